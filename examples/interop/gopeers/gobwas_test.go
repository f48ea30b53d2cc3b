package gopeers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"anyloop/examples/internal/tap"
)

// gobwas compresses frames by helpers, without takeover and windows.
var gobwas = lib{
	name: "gobwas",
	toIt: gorilla.toIt,
	toUs: gorilla.toUs,
	client: func(t *testing.T, url string, m mode) error {
		d := ws.Dialer{Timeout: bound}
		if m.deflate != nil {
			d.Extensions = []httphead.Option{wsflate.DefaultParameters.Option()}
		}
		c, br, hs, err := d.Dial(context.Background(), url)
		if err != nil {
			return err
		}
		if br != nil {
			return fmt.Errorf("%d bytes came early", br.Buffered())
		}
		return driveGobwas(c, ws.StateClientSide, len(hs.Extensions) > 0)
	},
	server: func(t *testing.T, m mode) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e := wsflate.Extension{Parameters: wsflate.DefaultParameters}
			var u ws.HTTPUpgrader
			if m.deflate != nil {
				u.Negotiate = e.Negotiate
			}
			c, _, _, err := u.Upgrade(r, w)
			if err == nil {
				_, on := e.Accepted()
				err = driveGobwas(c, ws.StateServerSide, on)
			}
			if err != nil {
				t.Error(err)
			}
		})
	},
}

func driveGobwas(c net.Conn, side ws.State, deflate bool) error {
	defer c.Close()
	c.SetDeadline(time.Now().Add(bound))
	send := func(f ws.Frame) error {
		if side.ClientSide() {
			f = ws.MaskFrame(f)
		}
		return ws.WriteFrame(c, f)
	}
	for i, m := range tap.Messages() {
		op := ws.OpText
		if m.Binary {
			op = ws.OpBinary
		}
		f := ws.NewFrame(op, true, bytes.Clone(m.Data))
		if deflate && len(m.Data) >= 64 {
			var err error
			if f, err = wsflate.CompressFrame(f); err != nil {
				return err
			}
		}
		if err := sendSplit(send, f, m.Split); err != nil {
			return err
		}
		got, err := ws.ReadFrame(c)
		if err != nil {
			return err
		}
		if got.Header.Masked {
			got = ws.UnmaskFrame(got)
		}
		if deflate {
			if got, err = wsflate.DecompressFrame(got); err != nil {
				return err
			}
		}
		if got.Header.OpCode != op || !got.Header.Fin || !bytes.Equal(got.Payload, m.Data) {
			return fmt.Errorf("message %d: %+v", i, got.Header)
		}
	}
	if err := send(ws.NewPingFrame([]byte(tap.PingText))); err != nil {
		return err
	}
	if f, err := ws.ReadFrame(c); err != nil || f.Header.OpCode != ws.OpPong || string(ws.UnmaskFrame(f).Payload) != tap.PingText && side.ServerSide() {
		return fmt.Errorf("for a Ping: %+v, %w", f.Header, err)
	}
	if err := send(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, goodbye))); err != nil {
		return err
	}
	f, err := ws.ReadFrame(c)
	if err != nil || f.Header.OpCode != ws.OpClose {
		return fmt.Errorf("for a Close: %+v, %w", f.Header, err)
	}
	return nil
}

// sendSplit sends a message as one frame or as three.
func sendSplit(send func(ws.Frame) error, f ws.Frame, split bool) error {
	if !split {
		return send(f)
	}
	p := f.Payload
	a, b := len(p)/3, 2*len(p)/3
	first := f
	first.Header.Fin, first.Header.Length, first.Payload = false, int64(a), p[:a:a]
	if err := send(first); err != nil {
		return err
	}
	if err := send(ws.NewFrame(ws.OpContinuation, false, p[a:b:b])); err != nil {
		return err
	}
	return send(ws.NewFrame(ws.OpContinuation, true, p[b:]))
}
