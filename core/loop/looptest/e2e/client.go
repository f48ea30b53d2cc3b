package e2e

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"anyloop/core"
	"anyloop/core/ws"
)

// guest is a client in the engine's loop.
type guest struct {
	conn *core.Conn
	out  *core.Outbox
	part []byte
	open chan struct{} // it is connected
	got  chan string   // a message has come
	end  chan error    // ConnectFailed or Closed
}

func (g *guest) Connected(*core.Conn, *core.Response) error { close(g.open); return nil }
func (g *guest) ConnectFailed(_ *core.Conn, err error)      { g.end <- err }
func (g *guest) Closed(_ *core.Conn, err error)             { g.end <- err }

func (g *guest) Receive(_ *core.Conn, f core.Fragment) error {
	if g.part = append(g.part, f.Data...); f.Final {
		g.got <- string(g.part)
		g.part = nil
	}
	return nil
}

func (g *guest) Writable(_ *core.Conn, w *core.WSWriter) error { return g.out.Writable(w) }

// guest dials on a service thread.
func (s *scene) guest(thread int, d core.Dial) (g *guest) {
	s.t.Helper()
	s.on(thread, func() { g = s.guestHere(thread, d) })
	return g
}

// guestHere is guest for who is on the thread already.
func (s *scene) guestHere(thread int, d core.Dial) *guest {
	g := &guest{open: make(chan struct{}), got: make(chan string, 16), end: make(chan error, 4)}
	d.WS = s.guard.ws(func(c *core.Conn) core.WSHandler {
		g.out = core.NewOutbox(c, core.Refuse)
		return g
	})
	var err error
	g.conn, err = s.eng.Thread(thread).Dial(s.eng.VHost("test"), d)
	s.no(err)
	return g
}

// is waits until a guest is connected.
func (s *scene) is(g *guest, name string) {
	s.t.Helper()
	opened := make(chan struct{})
	var err error
	go func() {
		defer close(opened)
		select {
		case <-g.open:
		case err = <-g.end:
			g.end <- err
		}
	}()
	s.wait(opened, name+" is connected")
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
}

// was waits for the one end of a guest.
func (s *scene) was(g *guest, name string, want func(error) bool) {
	s.t.Helper()
	if err := take(s, g.end, name+": its end"); !want(err) {
		s.t.Errorf("%s: ended with %v", name, err)
	}
	s.laps()
	if len(g.end) > 0 {
		s.t.Errorf("%s: ended once more, with %v", name, <-g.end)
	}
}

// says sends a message from a guest, and waits for its echo.
func (s *scene) says(g *guest, c *served, text string) {
	s.t.Helper()
	echoed := make(chan error, 1)
	go func() { echoed <- c.echo(1) }()
	s.with(g.conn, func(*core.Conn) { s.no(g.out.Text(text)) })
	s.must(take(s, echoed, "the server has a message of the client's"))
	if got := take(s, g.got, "an echo reaches the client"); got != text {
		s.t.Errorf("%d bytes came back of %d", len(got), len(text))
	}
}

// limited is an end because of a limit.
func limited(name string) func(error) bool {
	return func(err error) bool {
		var le *core.LimitError
		return errors.As(err, &le) && le.Limit == name
	}
}

func caused(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// dialWhere: clients of each thread reach servers of package net by address, by
// name and over a unix socket; a megabyte goes both ways; either side closes.
func dialWhere(s *scene) error {
	if err := s.up(echoing(), core.Limits{FinTimeout: time.Hour}); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "e2e")
	s.must(err)
	defer os.RemoveAll(dir)
	tcp, unix := s.plain("tcp", "127.0.0.1:0"), s.plain("unix", filepath.Join(dir, "s"))
	defer tcp.close()
	defer unix.close()
	_, port, _ := net.SplitHostPort(tcp.ln.Addr().String())
	for i := range s.threads {
		for n, to := range []struct {
			name string
			p    *plain
			d    core.Dial
		}{
			{"by address", tcp, core.Dial{URL: tcp.url()}},
			{"by name", tcp, core.Dial{URL: s.scheme() + "://localhost:" + port + "/"}}, // also where ::1 comes first
			{"over a unix socket", unix, core.Dial{URL: s.scheme() + "://x/", Addr: "unix:" + unix.ln.Addr().String()}},
		} {
			g := s.guest(i, to.d)
			c := to.p.accept()
			s.is(g, to.name)
			s.says(g, c, "short")
			s.says(g, c, string(letters(1<<20)))
			s.goodbye(g, c, to.name, (i+n)%2 == 0)
		}
	}
	return nil
}

// goodbye closes a client, from our side or the server's. In both cases the
// client waits for the server to close TCP first (RFC 6455 7.1.1).
func (s *scene) goodbye(g *guest, c *served, name string, ours bool) {
	s.t.Helper()
	farewell := func() {
		s.t.Helper()
		if f, err := c.next(); err != nil || f.Op != ws.Close || f.Code() != 4000 || f.Reason() != "bye" {
			s.t.Errorf("%s: instead of the client's Close: %+v, %v", name, f, err)
		}
	}
	if ours {
		s.with(g.conn, func(c *core.Conn) { s.no(c.Close(4000, "bye")) })
		farewell()
	}
	s.no(c.send(ws.Close, []byte("\x0f\xa0bye")))
	if !ours {
		farewell()
	}
	s.laps()
	if len(g.end) > 0 {
		s.t.Errorf("%s: the client has not waited for the server's end", name)
	}
	s.no(c.closeWrite())
	if err := c.rest(); err != nil {
		s.t.Errorf("%s: %v", name, err)
	}
	s.was(g, name, func(err error) bool {
		var ce *core.CloseError
		return errors.As(err, &ce) && *ce == core.CloseError{Code: 4000, Text: "bye", Remote: !ours}
	})
}
