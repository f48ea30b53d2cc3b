package interop

import (
	"context"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/examples/internal/tap"
	"anyloop/examples/internal/try"
	"anyloop/loops/poll"
)

// mirrored is a client of libwebsockets' mirror: what it sends comes back.
type mirrored struct {
	core.WSHandler
	out *core.Outbox
	got string
	end chan error
}

func (h *mirrored) Connected(*core.Conn, *core.Response) error { return h.out.Text(mirrorText) }
func (h *mirrored) ConnectFailed(_ *core.Conn, err error)      { h.end <- err }
func (h *mirrored) Closed(_ *core.Conn, err error)             { h.end <- err }

var mirrorText = strings.Repeat("d #ff0000 10 20 30 40;", 20)

// TestLibwebsocketsServer: our client meets libwebsockets' test server. Debian's is
// built without extensions, so it answers an offer of compression with none, and
// the WebSocket must do without.
func TestLibwebsocketsServer(t *testing.T) {
	server := try.Need(t, "libwebsockets-test-server", "libwebsockets-test-server")
	for _, name := range []string{"off", "offered"} {
		t.Run(name, func(t *testing.T) {
			addr := lwsServer(t, server)
			p := tap.New(t, addr)
			var d *core.Deflate
			if name != "off" {
				d = &core.Deflate{Takeover: true}
			}
			h := &mirrored{end: make(chan error, 1)}
			made := core.OnMessage(func(c *core.Conn, m core.Message, _ *core.Outbox) error {
				h.got = m.String()
				return c.Close(1000, "goodbye")
			})
			eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{{Deflate: d, Protocols: []core.Protocol{
				{Name: "lws-mirror-protocol", WS: func(c *core.Conn) core.WSHandler {
					h.WSHandler, h.out = made(c), core.NewOutbox(c, core.Refuse)
					return h
				}}}}}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := eng.Thread(0).Dial(eng.VHost("default"), core.Dial{URL: "ws://" + p.Addr() + "/", Subprotocols: []string{"lws-mirror-protocol"}}); err != nil {
				t.Fatal(err)
			}
			ran := make(chan error, 1)
			go func() { ran <- eng.Run(context.Background()) }()
			defer func() { eng.Stop(-1); <-ran }()
			select {
			case <-h.end:
			case <-time.After(bound):
				t.Fatal("the connection has not ended")
			}
			if h.got != mirrorText {
				t.Errorf("the mirror sent %q", h.got)
			}
			r := p.Next(t)
			t.Logf("on the wire:\n%s", r)
			if (r.Offer != "") != (d != nil) || r.Agreed.On != (r.Answer != "") || r.Agreed.On && r.Up.Compressed == 0 || !r.Agreed.On && r.Up.Compressed > 0 {
				t.Errorf("offered %q, answered %q, %d messages compressed", r.Offer, r.Answer, r.Up.Compressed)
			}
		})
	}
}

// Writable sends from the outbox that the test fills.
func (h *mirrored) Writable(_ *core.Conn, w *core.WSWriter) error { return h.out.Writable(w) }

// lwsServer runs the test server on a free port until the test ends.
func lwsServer(t *testing.T, path string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	cmd := exec.Command(path, "--port="+strconv.Itoa(port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for end := time.Now().Add(bound); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(end) {
			t.Fatalf("the server does not listen: %v", err)
		}
	}
}
