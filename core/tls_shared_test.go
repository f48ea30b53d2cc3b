package core_test

import (
	"fmt"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// TestTLSSharing: messages to many, from any goroutine, compressed or not: each
// receiver decrypts the right bytes, in order, and nothing counts as sent from where it
// is. A receiver that takes nothing for a while loses nothing.
func TestTLSSharing(t *testing.T) {
	for _, zip := range []bool{false, true} {
		t.Run(fmt.Sprintf("deflate=%v", zip), func(t *testing.T) {
			everyMode(t, func(t *testing.T, m tlsMode) {
				group := core.NewGroup(core.GroupLimits{})
				var outs []*core.Outbox
				vh := core.VHost{Protocols: []core.Protocol{{Name: "g", WS: func(c *core.Conn) core.WSHandler {
					h := core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error {
						if string(m.Data) == "join" {
							outs = append(outs, out)
							return group.Add(out)
						}
						return out.Send(m)
					})(c)
					return h
				}}}}
				if zip {
					vh.Deflate = &core.Deflate{}
				}
				m.mock.Mark = 8 << 10
				w := m.open(t, sim.Options{Capacity: 8 << 10}, core.Limits{}, vh)
				var ps []*tlsPeer
				for range 5 {
					p := w.tls()
					ext := ""
					if zip {
						ext = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
					}
					if got := p.say(handshake + ext + "\r\n"); !strings.HasPrefix(got, "HTTP/1.1 101 ") || strings.Contains(got, "permessage-deflate") != zip {
						t.Fatalf("%q", got)
					}
					p.text("join")
					p.pump()
					ps = append(ps, p)
				}
				ps[0].Stall(true)
				var want strings.Builder
				for i := range 30 {
					s := fmt.Sprint(i, strings.Repeat(" all of you", 400))
					want.WriteString(s)
					msg := core.Message{Data: []byte(s)}
					switch i % 3 {
					case 0:
						if err := group.Send(msg); err != nil {
							t.Fatal(err)
						}
					case 1:
						shared := core.NewShared(msg)
						for _, o := range outs {
							if err := o.SendShared(shared); err != nil {
								t.Fatal(err)
							}
						}
					case 2:
						for _, o := range outs {
							if err := o.SendFrom(msg); err != nil {
								t.Fatal(err)
							}
						}
					}
					w.drive()
				}
				if outs[0].Pending() == 0 && !zip { // compressed, it is little
					t.Error("a receiver that takes nothing has nothing pending")
				}
				ps[0].Stall(false)
				for i, p := range ps {
					p.pump()
					if got := payloads(t, p.plain); got != want.String() {
						t.Errorf("receiver %d: %d bytes, want %d", i, len(got), want.Len())
					}
					if n := outs[i].Pending() + outs[i].Conn().Pending(); n != 0 {
						t.Errorf("receiver %d: %d bytes are pending", i, n)
					}
				}
				if n := w.eng.Stats().SharedOut; n != 0 {
					t.Errorf("SharedOut is %d", n)
				}
			})
		})
	}
}

// payloads joins the payloads of a server's messages, inflated where they are
// compressed.
func payloads(t *testing.T, buf []byte) (all string) {
	t.Helper()
	var d ws.Decoder
	d.Init(ws.Client)
	var msg []byte
	for len(buf) > 0 {
		ev, n, err := d.Next(buf, &ws.Limits{RSV1: true})
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == ws.Data {
			if msg = append(msg, ev.Payload...); ev.Final {
				if ev.Compressed {
					msg = []byte(unsquash(t, msg))
				}
				all, msg = all+string(msg), nil
			}
		}
		buf = buf[n:]
	}
	return all
}
