package e2e

import (
	"errors"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// closer ends its conn as its peer asks.
func closer(closed chan<- error) func(*core.Conn) core.WSHandler {
	return func(*core.Conn) core.WSHandler {
		return &wsCalls{
			receive: func(c *core.Conn, f core.Fragment) error {
				switch string(f.Data) {
				case "close":
					return c.Close(4000, "bye")
				case "error":
					return errors.New("the handler's own error")
				case "drop":
					return core.ErrDrop
				case "refuse":
					return &core.CloseError{Code: 1008, Text: "not here"}
				}
				return nil
			},
			closed: func(_ *core.Conn, err error) { closed <- err },
		}
	}
}

// wsClose: each way in which a WebSocket ends, seen from both sides. That Closed
// comes once is the guard's business.
func wsClose(s *scene) error {
	closed := make(chan error, 1)
	if err := s.up(serving(closer(closed)), core.Limits{LingerTimeout: 50 * time.Millisecond}); err != nil {
		return err
	}
	code := func(code int, text string, remote bool) func(error) bool {
		return func(err error) bool {
			var ce *core.CloseError
			return errors.As(err, &ce) && *ce == core.CloseError{Code: code, Text: text, Remote: remote}
		}
	}
	any := func(err error) bool { var ce *core.CloseError; return err != nil && !errors.As(err, &ce) }
	for _, k := range []struct {
		name string
		do   func(c *client.Conn) error
		code int // of the Close frame that comes; 0: none does
		text string
		err  func(error) bool
	}{
		{"the client's Close", func(c *client.Conn) error { return c.SendClose(4001, "enough") }, 4001, "enough", code(4001, "enough", true)},
		{"an empty Close", func(c *client.Conn) error { return c.Send(ws.Close, nil) }, 1005, "", code(1005, "", true)},
		{"Conn.Close", func(c *client.Conn) error { return c.Text("close") }, 4000, "bye", code(4000, "bye", false)},
		{"a CloseError", func(c *client.Conn) error { return c.Text("refuse") }, 1008, "not here", code(1008, "not here", false)},
		{"a handler's error", func(c *client.Conn) error { return c.Text("error") }, 1011, "", any},
		{"ErrDrop", func(c *client.Conn) error { return c.Text("drop") }, 0, "", any},
		{"an unmasked frame", func(c *client.Conn) error { _, err := c.Write([]byte{0x81, 1, 'x'}); return err }, 1002, "", any},
		{"text that is not UTF-8", func(c *client.Conn) error { return c.Send(ws.Text, []byte{0xff}) }, 1007, "", any},
		{"no goodbye", func(c *client.Conn) error { return c.Close() }, -1, "", any},
	} {
		c := s.ws()
		s.must(k.do(c))
		s.farewell(c, k.name, k.code, k.text)
		if err := take(s, closed, k.name+": Closed"); !k.err(err) {
			s.t.Errorf("%s: Closed with %v", k.name, err)
		}
	}
	return nil
}

// farewell reads the server's Close frame, answers it and reads the end.
func (s *scene) farewell(c *client.Conn, name string, code int, text string) {
	s.t.Helper()
	if code < 0 {
		return
	}
	if code > 0 {
		f, err := c.Next()
		if err != nil || f.Op != ws.Close || f.Code() != code || text != "" && f.Reason() != text {
			s.t.Errorf("%s: frame %+v, %v", name, f, err)
			return
		}
		c.Send(ws.Close, f.Payload) // it may be gone already, after an error of ours
	}
	end := gone
	if code == 0 {
		end = dropped
	}
	if rest, err := end(c); rest != "" || err != nil {
		s.t.Errorf("%s: %q, %v", name, rest, err)
	}
	c.Close() // the engine lingers until then
}

// wsLimits: the limits that WebSockets live under come to pass; when exactly is
// the simulated clock's business (package core's own tests).
func wsLimits(s *scene) error {
	closed := make(chan error, 4)
	vh := serving(func(c *core.Conn) core.WSHandler {
		h := closer(closed)(c).(*wsCalls)
		out := core.NewOutbox(c, core.PauseSource)
		receive := h.receive
		h.receive = func(c *core.Conn, f core.Fragment) error {
			if string(f.Data) == "timer" {
				return c.SetTimer(10 * time.Millisecond)
			}
			return receive(c, f)
		}
		h.timer = func(*core.Conn) error { return out.Text("ripe") }
		h.writable = func(_ *core.Conn, w *core.WSWriter) error { return out.Writable(w) }
		return h
	})
	lim := core.Limits{CloseTimeout: 50 * time.Millisecond, PingInterval: 50 * time.Millisecond, PongTimeout: time.Hour}
	if err := s.up(vh, lim); err != nil {
		return err
	}
	c := s.ws()
	pings := 0
	next := func() client.Frame { // each Ping is answered: without that there is no other
		f, err := c.Next()
		s.must(err)
		if f.Op == ws.Ping {
			pings++
			s.must(c.Send(ws.Pong, f.Payload))
		}
		return f
	}
	if f := next(); f.Op != ws.Ping {
		s.t.Fatalf("in silence: %+v", f)
	}
	for range 2 { // again: a timer and a limit that were there before
		s.must(c.Text("timer"))
		f := next()
		for f.Op == ws.Ping {
			f = next()
		}
		if string(f.Payload) != "ripe" {
			s.t.Fatalf("instead of what the timer sends: %+v", f)
		}
	}
	for pings < 2 { // one more, after a Pong was heard
		next()
	}
	s.must(c.Text("close")) // and no answer to the Close
	if _, err := dropped(c); err != nil {
		s.t.Errorf("CloseTimeout: %v", err)
	}
	var ce *core.CloseError
	if err := take(s, closed, "Closed after CloseTimeout"); !errors.As(err, &ce) || ce.Code != 4000 {
		s.t.Errorf("Closed with %v", err)
	}
	return nil
}

// httpLimits: a connection that says nothing is closed, and so is one that stops
// inside its request.
func httpLimits(s *scene) error {
	lim := core.Limits{HandshakeTimeout: 50 * time.Millisecond, LingerTimeout: 50 * time.Millisecond}
	if err := s.up(web(), lim); err != nil {
		return err
	}
	silent := s.conn()
	if _, err := dropped(silent); err != nil {
		s.t.Errorf("HandshakeTimeout: %v", err)
	}
	part := s.conn()
	part.Write([]byte("GET / HT"))
	if _, err := dropped(part); err != nil {
		s.t.Errorf("HandshakeTimeout inside a request: %v", err)
	}
	s.until("all are gone", func() bool { s.laps(); return s.eng.Stats().Conns == 0 })
	return nil
}
