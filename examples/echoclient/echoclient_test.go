package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"anyloop/core"
	"anyloop/examples/internal/tap"
	"anyloop/examples/internal/try"
)

// server greets with a message, and has what comes back looked at.
type server struct {
	core.WSHandler
	greet core.Message
	sent  bool
}

func (s *server) Opened(c *core.Conn, _ *core.Request) error { return c.RequestWritable() }

func (s *server) Writable(c *core.Conn, w *core.WSWriter) error {
	if !s.sent {
		s.sent = true
		return w.Send(s.greet)
	}
	return s.WSHandler.Writable(c, w)
}

// serve runs a server of one greeting; f gets its echo.
func serve(t *testing.T, greet core.Message, f func(*core.Conn, core.Message) error) string {
	t.Helper()
	eng := try.Engine(t, core.VHost{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "test", WS: func(c *core.Conn) core.WSHandler {
		return &server{WSHandler: core.OnMessage(func(c *core.Conn, m core.Message, _ *core.Outbox) error { return f(c, m) })(c), greet: greet}
	}}}})
	return eng.VHost("default").Addr()
}

// TestEcho: a message comes back as it was, in its kind, and the status is 0 after
// the server's Close, which is said.
func TestEcho(t *testing.T) {
	bin := try.Program(t, ".")
	for _, m := range []core.Message{{}, {Binary: true}, {Data: []byte("żółć")}, {Binary: true, Data: []byte{0, 0xff}}, {Data: bytes.Repeat([]byte("x"), 100000)}} {
		got := make(chan bool, 1)
		addr := serve(t, m, func(c *core.Conn, e core.Message) error {
			got <- e.Binary == m.Binary && bytes.Equal(e.Data, m.Data)
			return c.Close(4001, "bye")
		})
		status, out := try.Status(t, nil, bin, "-url", "ws://"+addr+"/")
		if status != 0 || !strings.Contains(out, `closed by the peer with code 4001 "bye"`) {
			t.Errorf("status %d: %s", status, out)
		}
		select {
		case same := <-got:
			if !same {
				t.Errorf("%d bytes, binary %v: came back differently", len(m.Data), m.Binary)
			}
		default: // the server closes after it, so it would be here
			t.Errorf("%d bytes, binary %v: did not come back", len(m.Data), m.Binary)
		}
	}
}

// TestStatus: every end that is not the server's Close has status 1 and its reason.
func TestStatus(t *testing.T) {
	bin := try.Program(t, ".")
	drop := serve(t, core.Message{}, func(*core.Conn, core.Message) error { return core.ErrDrop })
	long := serve(t, core.Message{Data: make([]byte, 100)}, func(*core.Conn, core.Message) error { return nil })
	closed := try.Closed(t)
	wire := tap.New(t, long)
	for _, tc := range []struct {
		name, want string
		flags      []string
	}{
		{"dropped", "echoclient: core: read", []string{"-url", "ws://" + drop}},
		{"too long", "code 1009", []string{"-url", "ws://" + wire.Addr(), "-max-message", "99"}},
		{"nobody there", "echoclient: core: connect " + closed, []string{"-url", "ws://" + closed}},
		{"no URL", "none of ws, wss", []string{"-url", "nowhere"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if status, out := try.Status(t, nil, bin, tc.flags...); status != 1 || !strings.Contains(out, tc.want) {
				t.Errorf("status %d, no %q in: %s", status, tc.want, out)
			}
		})
	}
	if r := wire.Next(t); r.Up.Close == nil || r.Up.Close.Code != 1009 {
		t.Errorf("on the wire of the long message:\n%s", r)
	}
}

// TestInterrupted: SIGINT ends it before the server has closed, with 1001 on the wire
// and status 1.
func TestInterrupted(t *testing.T) {
	echoed := make(chan struct{})
	addr := serve(t, core.Message{Data: []byte("ready")}, func(*core.Conn, core.Message) error { close(echoed); return nil })
	wire := tap.New(t, addr)
	cmd := exec.Command(try.Program(t, "."), "-url", "ws://"+wire.Addr())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-echoed
	cmd.Process.Signal(syscall.SIGINT)
	line, _ := bufio.NewReader(stderr).ReadString('\n')
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(line, "echoclient: ") {
		t.Errorf("%v: %s", err, line)
	}
	if r := wire.Next(t); r.Up.Close == nil || r.Up.Close.Code != 1001 {
		t.Errorf("on the wire:\n%s", r)
	}
}
