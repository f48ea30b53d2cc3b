package interop

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/examples/internal/tap"
	"anyloop/examples/internal/try"
)

var mirrorText = strings.Repeat("d #ff0000 10 20 30 40;", 20)

// TestLibwebsocketsServer: our client meets libwebsockets' test server. Debian's
// answers an offer of compression with none, and then the WebSocket must do without.
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
			got := ""
			h := &try.Ended{Greet: mirrorText}
			made := try.Ends(h, core.OnMessage(func(c *core.Conn, m core.Message, _ *core.Outbox) error {
				got = m.String()
				return c.Close(1000, "goodbye")
			}))
			eng := try.Engine(t, core.VHost{Deflate: d, Protocols: []core.Protocol{{Name: "lws-mirror-protocol", WS: made}}})
			try.Connect(t, eng, core.Dial{URL: "ws://" + p.Addr() + "/", Subprotocols: []string{"lws-mirror-protocol"}})
			if err := h.Wait(t); got != mirrorText {
				t.Errorf("the mirror sent %q, %v", got, err)
			}
			r := p.Next(t)
			t.Logf("on the wire:\n%s", r)
			if (r.Offer != "") != (d != nil) || r.Agreed.On != (r.Answer != "") || r.Agreed.On && r.Up.Compressed == 0 || !r.Agreed.On && r.Up.Compressed > 0 {
				t.Errorf("offered %q, answered %q, %d messages compressed", r.Offer, r.Answer, r.Up.Compressed)
			}
		})
	}
}

// lwsServer runs the test server on a free port until the test ends.
func lwsServer(t *testing.T, path string, flags ...string) (addr string) {
	t.Helper()
	addr, err := client.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, append(flags, "--port="+port)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
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
