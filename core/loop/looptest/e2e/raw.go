package e2e

import (
	"bytes"
	"fmt"
	"io"

	"anyloop/core"
)

// rawEcho sends back what comes. It holds no more than one piece: while the peer
// does not take that, nothing is read.
type rawEcho struct{ out []byte }

func (h *rawEcho) Receive(c *core.Conn, p []byte) error {
	h.out = append(h.out, p...)
	return c.RequestWritable()
}

func (h *rawEcho) Writable(c *core.Conn, w *core.RawWriter) error {
	if bytes.HasSuffix(h.out, []byte("quit\n")) {
		defer c.Close(1000, "")
	}
	if len(h.out) == 0 {
		return nil
	}
	n, err := w.Write(h.out)
	if h.out = h.out[n:]; err == nil && len(h.out) > 0 {
		err = c.RequestWritable()
	}
	return err
}

// rawSum answers, behind the end of what comes, how much it was.
type rawSum struct{ n int }

func (h *rawSum) Receive(_ *core.Conn, p []byte) error { h.n += len(p); return nil }
func (h *rawSum) PeerEnd(c *core.Conn) error           { return c.RequestWritable() }
func (h *rawSum) Writable(_ *core.Conn, w *core.RawWriter) error {
	if _, err := w.Write(fmt.Appendf(letters(50_000), "%d", h.n)); err != nil {
		return err
	}
	return w.CloseWrite()
}

func rawProtocol(name string, mk func() core.RawHandler) core.Protocol {
	return core.Protocol{Name: name, Raw: func(*core.Conn) core.RawHandler { return mk() }}
}

func rawEchoes() core.Protocol {
	return rawProtocol("raw", func() core.RawHandler { return &rawEcho{} })
}

// echoes sends p and expects it back.
func (s *scene) echoes(c io.ReadWriter, p []byte) {
	s.t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(p)
		sent <- err
	}()
	got := make([]byte, len(p))
	_, err := io.ReadFull(c, got)
	s.must(err)
	s.must(take(s, sent, "the bytes are sent"))
	if !bytes.Equal(got, p) {
		s.t.Errorf("%d bytes did not come back as they were", len(p))
	}
}

// rawEchoing: small pieces and large ones, on many connections, and the end from
// our side behind what was written.
func rawEchoing(s *scene) error {
	vh := core.VHost{RawOnly: "raw", Protocols: []core.Protocol{rawEchoes()}}
	if err := s.up(vh, core.Limits{}); err != nil {
		return err
	}
	for range 4 * s.threads {
		c := s.conn()
		for _, p := range []string{"a", "GET / HTTP/1.1\r\n\r\n", string(letters(1 << 20)), "z"} {
			s.echoes(c, []byte(p))
		}
		s.echoes(c, []byte("quit\n"))
		if rest, err := gone(c); rest != "" || err != nil {
			s.t.Errorf("after the end: %q %v", rest, err)
		}
	}
	return nil
}

// rawFallback: on one port, HTTP, WebSockets, and what is neither.
func rawFallback(s *scene) error {
	vh := core.VHost{RawFallback: "raw", Protocols: append(append(web().Protocols, echoing().Protocols...), rawEchoes())}
	if err := s.up(vh, core.Limits{}); err != nil {
		return err
	}
	bytewise := s.conn()
	for _, b := range []byte("OPTIMAL\n") {
		_, err := bytewise.Write([]byte{b})
		s.must(err)
		s.laps()
	}
	got := make([]byte, 8)
	_, err := io.ReadFull(bytewise, got)
	s.must(err)
	if string(got) != "OPTIMAL\n" {
		s.t.Errorf("byte by byte: %q", got)
	}
	s.echoes(s.conn(), []byte("\x00\x01 not text"))
	s.answer(s.conn(), "POST", "/x", "Content-Length: 5\r\n", "hello", "POST /x hello")
	ws := s.ws()
	s.must(ws.Text("hi"))
	s.must(ws.Want(1, []byte("hi")))
	s.echoes(bytewise, letters(100_000))
	return nil
}

// rawHalfClose: the peer ends its side, and gets an answer behind that.
func rawHalfClose(s *scene) error {
	sum := rawProtocol("raw", func() core.RawHandler { return &rawSum{} })
	if err := s.up(core.VHost{RawOnly: "raw", Protocols: []core.Protocol{sum}}, core.Limits{}); err != nil {
		return err
	}
	c := s.conn()
	_, err := c.Write(letters(200_000))
	s.must(err)
	s.must(c.CloseWrite())
	if rest, err := gone(c); rest != string(letters(50_000))+"200000" || err != nil {
		s.t.Errorf("the answer has %d bytes: %v", len(rest), err)
	}
	return nil
}

// rawHalfCloseInstead: the peer's end of stream ends the connection, and the peer is
// not left waiting. A loop that closes the socket then leaves no way to announce the
// end over TLS; close_notify without a FIN gets the whole answer here too.
func rawHalfCloseInstead(s *scene) error {
	sum := rawProtocol("raw", func() core.RawHandler { return &rawSum{} })
	if err := s.up(core.VHost{RawOnly: "raw", Protocols: []core.Protocol{sum}}, core.Limits{}); err != nil {
		return err
	}
	c := s.conn()
	_, err := c.Write([]byte("a"))
	s.must(err)
	s.must(c.CloseWrite())
	if _, err := dropped(c); err != nil {
		s.t.Errorf("after the client's end of stream: %v", err)
	}
	if !s.overTLS() {
		return nil
	}
	c = s.conn()
	_, err = c.Write([]byte("a"))
	s.must(err)
	s.must(c.TLS().CloseNotify())
	if rest, err := gone(c); rest != string(letters(50_000))+"1" || err != nil {
		s.t.Errorf("after close_notify alone: %d bytes, %v", len(rest), err)
	}
	return nil
}

// guardedRaw watches over a raw handler that is told of the peer's end if its own
// handler is.
type guardedRaw struct {
	g *guard
	l *life
	h core.RawHandler
}

func (w *guardedRaw) Receive(c *core.Conn, p []byte) error {
	defer w.g.in(w.l, c, "Receive")()
	return w.h.Receive(c, p)
}

func (w *guardedRaw) Writable(c *core.Conn, wr *core.RawWriter) error {
	defer w.g.in(w.l, c, "Writable")()
	return w.h.Writable(c, wr)
}

func (w *guardedRaw) Closed(c *core.Conn, err error) { w.g.closed(w.l, w.h, c, err) }

type guardedHalf struct {
	*guardedRaw
	ender core.PeerEnder
}

func (w *guardedHalf) PeerEnd(c *core.Conn) error {
	defer w.g.in(w.l, c, "PeerEnd")()
	return w.ender.PeerEnd(c)
}

// raw wraps a maker.
func (g *guard) raw(mk func(*core.Conn) core.RawHandler) func(*core.Conn) core.RawHandler {
	return func(c *core.Conn) core.RawHandler {
		defer g.enter(c, "Raw")()
		w := &guardedRaw{g, g.born("raw", c), mk(c)}
		if ender, ok := w.h.(core.PeerEnder); ok {
			return &guardedHalf{w, ender}
		}
		return w
	}
}
