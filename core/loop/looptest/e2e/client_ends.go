package e2e

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"anyloop/core"
	"anyloop/core/ws"
)

// dialEnds: whatever a server does instead of answering, and whenever the client
// is given up, it ends once, and its descriptor is closed.
func dialEnds(s *scene) error {
	if err := s.up(echoing(), core.Limits{FinTimeout: 50 * time.Millisecond}); err != nil {
		return err
	}
	p := s.plain("tcp", "127.0.0.1:0")
	defer p.close()
	says := func(text string) func(error) bool {
		return func(err error) bool { return strings.Contains(err.Error(), text) }
	}
	drop := func(g *guest, c *served) { s.with(g.conn, func(c *core.Conn) { s.no(c.Drop()) }) }
	for i, k := range []struct {
		name string
		do   func(g *guest, c *served) // after the request
		open bool                      // which is answered
		want func(error) bool
	}{
		{"a server that refuses", func(_ *guest, c *served) { io.WriteString(c, "HTTP/1.1 403 No\r\n\r\n") }, false, says("403")},
		{"a server that is none", func(_ *guest, c *served) { io.WriteString(c, "220 mail\r\n") }, false, says("does not speak HTTP")},
		{"a server that ends", func(_ *guest, c *served) { s.no(c.closeWrite()) }, false, says("closed the connection")},
		{"a server that resets", func(_ *guest, c *served) { reset(c) }, false, caused(syscall.ECONNRESET)},
		{"dropped while asking", drop, false, caused(core.ErrDrop)},
		{"dropped when open", drop, true, caused(core.ErrDrop)},
		{"reset when open", func(_ *guest, c *served) { reset(c) }, true, caused(syscall.ECONNRESET)},
		{"a server that does not close TCP", func(_ *guest, c *served) { s.no(c.send(ws.Close, nil)); c.next() }, true, func(err error) bool {
			var ce *core.CloseError
			return errors.As(err, &ce) && ce.Remote
		}},
	} {
		g := s.guest(i%s.threads, core.Dial{URL: p.url()})
		c, key := p.asked()
		if k.open {
			s.no(c.answer(key))
			s.is(g, k.name)
		}
		k.do(g, c)
		s.was(g, k.name, k.want)
		if err := c.rest(); err != nil {
			s.t.Errorf("%s: %v", k.name, err)
		}
	}
	s.givenUpInAHole()
	if err := muteServer(s); err != nil {
		return err
	}
	return s.afresh(blackHole)
}

// reset ends a connection with RST.
func reset(c *served) {
	c.raw().(*net.TCPConn).SetLinger(0)
	c.raw().Close()
}

// givenUpInAHole: where nothing answers, Drop ends the connecting.
func (s *scene) givenUpInAHole() {
	s.t.Helper()
	hole, fill := s.hole()
	if hole == "" {
		return
	}
	defer fill()
	files := len(openFiles())
	g := s.guest(s.threads-1, core.Dial{URL: s.scheme() + "://" + hole})
	s.laps()
	s.with(g.conn, func(c *core.Conn) { s.no(c.Drop()) })
	s.was(g, "dropped while connecting", caused(core.ErrDrop))
	s.until("its descriptor is closed", func() bool { return len(openFiles()) <= files })
}

// blackHole: and so does the limit.
func blackHole(s *scene) error {
	hole, fill := s.hole()
	if hole == "" {
		return nil
	}
	defer fill()
	if err := s.up(echoing(), core.Limits{ConnectTimeout: 300 * time.Millisecond}); err != nil {
		return err
	}
	files := len(openFiles())
	s.was(s.guest(0, core.Dial{URL: s.scheme() + "://" + hole}), "a black hole", limited("ConnectTimeout"))
	s.until("its descriptor is closed", func() bool { return len(openFiles()) <= files })
	return nil
}

// muteServer: the limit ends the waiting for a server that has heard the request and
// says nothing. On a busy machine it may be over before the request is heard, above
// all over TLS, whose handshake is within it: then it is longer the next time.
func muteServer(s *scene) error {
	s.t.Helper()
	heard := false
	for limit := 300 * time.Millisecond; !heard && limit < s.host.Bound; limit *= 4 {
		err := s.afresh(func(s *scene) error {
			if err := s.up(echoing(), core.Limits{AnswerTimeout: limit}); err != nil {
				return err
			}
			p := s.plain("tcp", "127.0.0.1:0")
			defer p.close()
			g := s.guest(s.threads-1, core.Dial{URL: p.url()})
			c := p.next()
			_, err := http.ReadRequest(c.r)
			heard = err == nil
			s.was(g, "a server that is mute", limited("AnswerTimeout"))
			if err := c.rest(); err != nil && heard {
				s.t.Errorf("a server that is mute: %v", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if !heard {
		s.t.Errorf("a server that is mute has never heard the request")
	}
	return nil
}

// dialStop: Stop ends twenty clients that are underway, each as far as another.
func dialStop(s *scene) error {
	if err := s.up(echoing(), core.Limits{}); err != nil {
		return err
	}
	p := s.plain("tcp", "127.0.0.1:0")
	defer p.close()
	hole, fill := s.hole()
	if hole == "" {
		hole = p.ln.Addr().String()
	}
	defer fill()
	var underway, open []*guest
	for i := range 5 {
		th := i % s.threads
		underway = append(underway, s.guest(th, core.Dial{URL: p.url()}))
		p.asked() // and no answer
		underway = append(underway, s.guest(th, core.Dial{URL: s.scheme() + "://" + hole + "/"}))
	}
	for range 5 {
		g := s.guest(0, core.Dial{URL: s.scheme() + "://test/", Addr: s.addr})
		s.is(g, "a client of ourselves")
		open = append(open, g)
	}
	s.on(s.threads-1, func() {
		for range 5 { // not begun yet
			underway = append(underway, s.guestHere(s.threads-1, core.Dial{URL: p.url()}))
		}
		s.eng.Stop(0)
	})
	s.done()
	for i, g := range append(underway, open...) {
		want := i < len(underway)
		if err := take(s, g.end, "the end of a client"); want && !errors.Is(err, core.ErrStopped) || len(g.end) > 0 {
			s.t.Errorf("client %d ended with %v, and %d times more", i, err, len(g.end))
		}
	}
	return nil
}

// dialFlow: what a paused client's server sends stays there; after Resume all of it
// comes, in order.
func dialFlow(s *scene) error {
	if err := s.up(echoing(), core.Limits{}); err != nil {
		return err
	}
	p := s.plain("tcp", "127.0.0.1:0")
	defer p.close()
	f := newFlow()
	whole := make(chan struct{})
	var conn *core.Conn
	th := s.threads - 1
	s.on(th, func() {
		var err error
		conn, err = s.eng.Thread(th).Dial(s.eng.VHost("test"), core.Dial{URL: p.url(), WS: s.guard.ws(func(*core.Conn) core.WSHandler {
			return &wsCalls{receive: func(c *core.Conn, g core.Fragment) error {
				if f.events++; f.events == 1 {
					f.conn <- c
					s.no(c.Pause())
				}
				if f.take(g.Data); f.got == flowBytes {
					close(whole)
				}
				return nil
			}}
		})})
		s.no(err)
	})
	c := p.accept()
	sent := make(chan error, 1)
	go func() {
		for at := 0; at < flowBytes; at += flowFrame {
			if err := c.send(ws.Binary, pattern(at, flowFrame)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	take(s, f.conn, "the client pauses")
	read := s.steady("the client's reading", func() uint64 { return s.eng.Thread(th).Stats().BytesIn })
	s.bounded("read for a paused client", int64(read), s.host.Held)
	if len(sent) > 0 {
		s.t.Errorf("all of %d bytes went out to a client that is paused", flowBytes)
	}
	s.with(conn, func(c *core.Conn) {
		if f.events != 1 {
			s.t.Errorf("%d Receive while paused", f.events-1)
		}
		s.no(c.Resume())
	})
	s.wait(whole, "all of the stream comes")
	s.no(take(s, sent, "the server has sent all"))
	s.with(conn, func(c *core.Conn) {
		if f.wrong >= 0 {
			s.t.Errorf("out of order at %d", f.wrong)
		}
		s.no(c.Drop())
	})
	return c.rest()
}

// dialDetach: clients outlive a change of loop, wherever they are on their way.
func dialDetach(s *scene) error {
	if !s.host.Backend.Info().Foreign {
		return &notApplicable{"the loop is the engine's own"}
	}
	if err := s.up(echoing(), core.Limits{FinTimeout: time.Hour}); err != nil {
		return err
	}
	p := s.plain("tcp", "127.0.0.1:0")
	defer p.close()
	open := s.guest(0, core.Dial{URL: p.url()})
	oc := p.accept()
	s.is(open, "before the change")
	for range 2 {
		asking := s.guest(s.threads-1, core.Dial{URL: p.url()})
		ac, key := p.asked()
		var connecting *guest
		for i := range s.threads {
			s.on(i, func() {
				if i == 0 { // in the very turn in which it leaves
					connecting = s.guestHere(0, core.Dial{URL: p.url()})
				}
				s.eng.Thread(i).Detach()
			})
		}
		s.returned()
		s.no(ac.answer(key))
		s.host = s.newHost(s.t, s.threads).or()
		if err := s.eng.Attach(s.host.Backend); err != nil {
			return err
		}
		s.turn()
		s.is(asking, "asking during the change")
		s.says(asking, ac, "asked before")
		cc := p.accept()
		s.is(connecting, "connecting during the change")
		s.says(connecting, cc, "dialled before")
		s.says(open, oc, "open before")
		s.goodbye(asking, ac, "asking", true)
		s.goodbye(connecting, cc, "connecting", false)
	}
	s.goodbye(open, oc, "open", true)
	return nil
}
