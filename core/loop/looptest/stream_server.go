package looptest

import (
	"fmt"
	"strconv"
	"time"

	"anyloop/core"
)

// streamServer is what the stream suite serves: one WebSocket protocol that does
// what its messages say, and bodies of any length. Its counts are the loop's
// goroutine's.
type streamServer struct {
	opened, closed int
	twice          int // Closed more than once, or without Opened
	conns          []*streamWS
}

func newStreamServer() *streamServer { return &streamServer{} }

func (s *streamServer) vhost() core.VHost {
	return core.VHost{Protocols: []core.Protocol{{
		Name: "s",
		WS: func(c *core.Conn) core.WSHandler {
			h := &streamWS{s: s, c: c, out: core.NewOutbox(c, core.PauseSource)}
			s.conns = append(s.conns, h)
			return h
		},
		HTTP: func(*core.Conn) core.HTTPHandler { return &streamHTTP{s: s} },
	}}}
}

// life counts the callbacks of one handler.
type life struct{ opened, closed bool }

func (l *life) open(s *streamServer) {
	if !l.opened {
		l.opened = true
		s.opened++
	}
}

func (l *life) close(s *streamServer) {
	if l.closed {
		s.twice++
	}
	l.closed = true
	s.closed++
}

// streamWS echoes, except for its commands.
type streamWS struct {
	life
	s     *streamServer
	c     *core.Conn
	out   *core.Outbox
	msg   []byte // of which the end has not come
	poked bool
	flood int // messages of floodSize to be sent as fast as they go
}

const floodSize = 16 << 10

func (h *streamWS) Opened(*core.Conn, *core.Request) error {
	h.open(h.s)
	return nil
}

func (h *streamWS) Receive(c *core.Conn, f core.Fragment) error {
	data := f.Data
	if h.msg = append(h.msg, data...); !f.Final {
		return nil
	}
	data, h.msg = h.msg, nil
	switch string(data) {
	case "pause":
		return c.Pause()
	case "drop":
		return core.ErrDrop
	case "close":
		return c.Close(1000, "asked")
	case "timer":
		return c.SetTimer(20 * time.Millisecond)
	case "flood":
		h.flood = 1 << 30
		return c.RequestWritable()
	case "poke":
		for _, o := range h.s.conns {
			if o != h && o.c.RequestWritable() == nil {
				o.poked = true
			}
		}
		return nil
	}
	return h.out.Send(core.Message{Data: data, Binary: f.Binary})
}

func (h *streamWS) Writable(c *core.Conn, w *core.WSWriter) error {
	switch {
	case h.flood > 0:
		h.flood--
		if err := c.RequestWritable(); err != nil {
			return err
		}
		return w.Binary(make([]byte, floodSize))
	case h.poked:
		h.poked = false
		return w.Text([]byte("poked"))
	}
	return h.out.Writable(w)
}

func (h *streamWS) Timer(*core.Conn) error       { return h.out.Text("ripe") }
func (h *streamWS) Closed(_ *core.Conn, _ error) { h.close(h.s) }

// streamHTTP answers "?n=..." with a body of n bytes of a pattern.
type streamHTTP struct {
	life
	s     *streamServer
	n, at int
	whole bool // in one response
	buf   []byte
}

func (h *streamHTTP) Request(c *core.Conn, r *core.Request) error {
	h.open(h.s)
	n, _ := r.Arg("n")
	h.n, _ = strconv.Atoi(n)
	h.at, h.whole = 0, r.Header("x-whole") != ""
	return c.RequestWritable()
}

// bodyStep is how much of a body is written at once: enough to go by reference.
const bodyStep = 48 << 10

func (h *streamHTTP) Writable(c *core.Conn, w *core.HTTPWriter) error {
	if h.whole {
		return w.Respond(200, nil, pattern(nil, 0, h.n))
	}
	if w.Status() == 0 {
		if h.n > 0 {
			if err := c.RequestWritable(); err != nil {
				return err
			}
		}
		return w.Head(200, nil, int64(h.n))
	}
	h.buf = pattern(h.buf[:0], h.at, min(bodyStep, h.n-h.at))
	n, err := w.Write(h.buf)
	if err != nil {
		return err
	}
	if h.at += n; h.at < h.n {
		return c.RequestWritable()
	}
	return nil
}

func (h *streamHTTP) Closed(_ *core.Conn, _ error) { h.close(h.s) }

// pattern appends n bytes of a body from offset at. Its period is no power of
// two, so that a piece that is lost or doubled shows.
func pattern(b []byte, at, n int) []byte {
	for i := at; i < at+n; i++ {
		b = append(b, byte(i%251))
	}
	return b
}

// checkPattern says where p differs from the body at offset at, "" if it does
// not.
func checkPattern(p []byte, at int) string {
	for i, b := range p {
		if want := byte((at + i) % 251); b != want {
			return fmt.Sprintf("byte %d is %d, want %d", at+i, b, want)
		}
	}
	return ""
}
