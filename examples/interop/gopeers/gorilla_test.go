package gopeers

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"anyloop/examples/internal/tap"
)

// gorilla has no context takeover, and no windows.
var gorilla = lib{
	name:    "gorilla",
	noSplit: true,
	toIt: map[string]string{
		"no takeover": "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
		"takeover 15": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"takeover 9":  "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9",
	},
	toUs: map[string]string{
		"no takeover": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"takeover 15": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"takeover 9":  "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
	},
	client: func(t *testing.T, url string, m mode) error {
		d := websocket.Dialer{EnableCompression: m.deflate != nil, HandshakeTimeout: bound}
		c, _, err := d.Dial(url, nil)
		if err != nil {
			return err
		}
		return driveGorilla(c)
	},
	server: func(t *testing.T, m mode) http.Handler {
		u := websocket.Upgrader{EnableCompression: m.deflate != nil}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := u.Upgrade(w, r, nil)
			if err == nil {
				err = driveGorilla(c)
			}
			if err != nil {
				t.Error(err)
			}
		})
	},
}

func driveGorilla(c *websocket.Conn) error {
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(bound))
	c.SetWriteDeadline(time.Now().Add(bound))
	for i, m := range tap.Messages() {
		kind := websocket.TextMessage
		if m.Binary {
			kind = websocket.BinaryMessage
		}
		w, err := c.NextWriter(kind)
		if err != nil {
			return err
		}
		if _, err := w.Write(m.Data); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		got, data, err := c.ReadMessage()
		if err != nil || got != kind || !bytes.Equal(data, m.Data) {
			return fmt.Errorf("message %d: kind %d, %d bytes, %w", i, got, len(data), err)
		}
	}
	pong := false
	c.SetPongHandler(func(s string) error { pong = s == tap.PingText; return nil })
	if err := c.WriteControl(websocket.PingMessage, []byte(tap.PingText), time.Now().Add(bound)); err != nil {
		return err
	}
	if err := c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, goodbye), time.Now().Add(bound)); err != nil {
		return err
	}
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1000) || !pong {
		return fmt.Errorf("closed with %w, pong %v", err, pong)
	}
	return nil
}
