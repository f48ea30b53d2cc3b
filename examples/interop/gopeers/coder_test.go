package gopeers

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"anyloop/examples/internal/tap"
)

// coder has context takeover, and no windows.
var coder = lib{
	name:    "coder",
	noSplit: true,
	noPing:  true, // its Ping needs a reader in another goroutine
	toIt: map[string]string{
		"no takeover": "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
		"takeover 15": "permessage-deflate",
		"takeover 9":  "permessage-deflate; server_max_window_bits=9",
	},
	toUs: map[string]string{
		"no takeover": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"takeover 15": "permessage-deflate",
		"takeover 9":  "permessage-deflate",
	},
	client: func(t *testing.T, url string, m mode) error {
		c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{CompressionMode: compression(m), CompressionThreshold: 64})
		if err != nil {
			return err
		}
		return driveCoder(t.Context(), c)
	},
	server: func(t *testing.T, m mode) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: compression(m), CompressionThreshold: 64})
			if err == nil {
				err = driveCoder(context.Background(), c)
			}
			if err != nil {
				t.Error(err)
			}
		})
	},
}

func compression(m mode) websocket.CompressionMode {
	switch {
	case m.deflate == nil:
		return websocket.CompressionDisabled
	case m.takeover:
		return websocket.CompressionContextTakeover
	}
	return websocket.CompressionNoContextTakeover
}

func driveCoder(ctx context.Context, c *websocket.Conn) error {
	defer c.CloseNow()
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	c.SetReadLimit(4 << 20)
	for i, m := range tap.Messages() {
		kind := websocket.MessageText
		if m.Binary {
			kind = websocket.MessageBinary
		}
		w, err := c.Writer(ctx, kind)
		if err != nil {
			return err
		}
		for p := m.Data; ; {
			n := len(p)
			if m.Split {
				n = min(n, len(m.Data)/3+1)
			}
			if _, err := w.Write(p[:n]); err != nil {
				return err
			}
			if p = p[n:]; len(p) == 0 {
				break
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
		got, data, err := c.Read(ctx)
		if err != nil || got != kind || !bytes.Equal(data, m.Data) {
			return fmt.Errorf("message %d: kind %d, %d bytes, %w", i, got, len(data), err)
		}
	}
	return c.Close(websocket.StatusNormalClosure, goodbye)
}
