package e2e

import (
	"net"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// gated is a connection of a TLS client that goes part of the way and waits: to the
// middle of its first flight, or to the end of it.
type gated struct {
	net.Conn
	half    bool
	flights int
	stopped chan<- struct{}
	goOn    <-chan struct{}
}

func (g *gated) Write(p []byte) (n int, err error) {
	g.flights++
	switch {
	case g.half && g.flights == 1:
		if n, err = g.Conn.Write(p[:len(p)/2]); err != nil {
			return n, err
		}
		g.stopped <- struct{}{}
		<-g.goOn
	case !g.half && g.flights == 2:
		g.stopped <- struct{}{}
		<-g.goOn
	}
	m, err := g.Conn.Write(p[n:])
	return n + m, err
}

// crowd is clients inside their handshakes.
type crowd struct {
	s     *scene
	goOn  chan struct{}
	conns []net.Conn
	done  chan error // what becomes of each, when it has gone on
}

// crowd brings n clients to the middle of their ClientHello and n to where only
// their Finished is missing.
func (s *scene) crowd(n int) *crowd {
	s.t.Helper()
	c := &crowd{s: s, goOn: make(chan struct{}), done: make(chan error, 2*n)}
	before := s.eng.Stats()
	stopped := make(chan struct{}, 2*n)
	for i := range 2 * n {
		raw, err := net.DialTimeout("tcp", s.addr, s.host.Bound)
		s.must(err)
		raw.SetDeadline(time.Now().Add(s.host.Bound))
		c.conns = append(c.conns, raw)
		g := &gated{Conn: raw, half: i%2 == 0, stopped: stopped, goOn: c.goOn}
		cl := client.New(client.Client(g, ours().client("test"), client.AsMade))
		s.owns(cl)
		go func() {
			err := cl.Upgrade("")
			if err == nil {
				err = cl.Echo(ws.Text, []byte("at last"))
			}
			c.done <- err
		}()
	}
	for range 2 * n {
		select {
		case <-stopped:
		case err := <-c.done:
			s.t.Fatalf("a client on its way ended: %v", err)
		}
	}
	s.until("the handshakes are underway", func() bool {
		s.laps()
		now := s.eng.Stats()
		return now.Shaking-before.Shaking == n && now.Conns-before.Conns == 2*n
	})
	return c
}

// goes lets the clients go on, and all of them must come through.
func (c *crowd) goes() {
	c.s.t.Helper()
	close(c.goOn)
	for range c.conns {
		c.s.must(take(c.s, c.done, "a client goes on"))
	}
}

// gives ends the clients, which the engine must have done before.
func (c *crowd) gives() {
	c.s.t.Helper()
	for _, raw := range c.conns {
		raw.SetDeadline(time.Now().Add(c.s.host.Bound)) // the one from its beginning may be over
		if n, err := raw.Read(make([]byte, 1)); n == 0 && isTimeout(err) {
			c.s.t.Errorf("a handshake that was underway is not closed")
		}
		raw.Close()
	}
	close(c.goOn)
	for range c.conns {
		if err := take(c.s, c.done, "a client gives up"); err == nil {
			c.s.t.Errorf("a client came through after the end")
		}
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

const underway = 100

// patient are limits that leave handshakes alone.
var patient = core.Limits{TLSTimeout: time.Hour, HandshakeTimeout: time.Hour, PingInterval: -1}

// tlsSuspended: whatever the engine does while a hundred handshakes are underway,
// and a hundred more have not begun, it ends without leaving anything of them, and
// no handler is made for one. Over a change of loop they go on.
func tlsSuspended(s *scene) error {
	for _, k := range []struct {
		name string
		stop func(s *scene)
		ws   int // WebSockets that it needs
	}{
		{"from a goroutine", func(s *scene) { s.eng.Stop(time.Hour) }, 0},
		{"from a post", func(s *scene) { s.on(s.threads-1, func() { s.eng.Stop(time.Hour) }) }, 0},
		{"from Receive", func(s *scene) { s.must(s.ws().Text("receive")) }, 1},
		{"from Timer", func(s *scene) { s.must(s.ws().Text("timer")) }, 1},
	} {
		err := s.afresh(func(s *scene) error {
			if err := s.up(serving(s.stopper()), patient); err != nil {
				return err
			}
			c := s.crowd(underway)
			k.stop(s)
			s.done()
			c.gives()
			if n := len(s.guard.lives); n != k.ws {
				s.t.Errorf("Stop %s: %d handlers were made for handshakes that were underway", k.name, n-k.ws)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.afresh(shakeElsewhere)
}

// stopper ends the engine at once, as its peer asks.
func (s *scene) stopper() func(*core.Conn) core.WSHandler {
	return func(*core.Conn) core.WSHandler {
		return &wsCalls{
			receive: func(c *core.Conn, f core.Fragment) error {
				if string(f.Data) == "timer" {
					return c.SetTimer(time.Millisecond)
				}
				s.eng.Stop(-1)
				return nil
			},
			timer: func(*core.Conn) error { s.eng.Stop(-1); return nil },
		}
	}
}

// shakeElsewhere: handshakes that began in one loop are completed in the next;
// those that are not end with the engine.
func shakeElsewhere(s *scene) error {
	if err := s.up(echoing(), patient); err != nil {
		return err
	}
	going, staying := s.crowd(underway/2), s.crowd(underway/2)
	if s.host.Backend.Info().Foreign {
		for i := range s.threads {
			s.on(i, s.eng.Thread(i).Detach)
		}
		s.returned()
		s.host = s.newHost(s.t, s.threads).or()
		if err := s.eng.Attach(s.host.Backend); err != nil {
			return err
		}
		s.turn()
	}
	going.goes()
	later := s.crowd(2) // begun in the second loop
	later.goes()
	s.eng.Stop(-1)
	s.done()
	staying.gives()
	if n := len(s.guard.lives); n != underway+4 {
		s.t.Errorf("%d handlers were made for %d connections", n, underway+4)
	}
	return nil
}

// afresh runs f over a host of its own, and holds what it leaves behind against
// what there was.
func (s *scene) afresh(f func(s *scene) error) error {
	s.t.Helper()
	before := settledStock()
	sub := &scene{t: s.t, threads: s.threads, newHost: s.newHost}
	sub.host = s.newHost(s.t, s.threads).or()
	defer before.compare(s.t, sub.host.Bound)
	defer sub.finish()
	return f(sub)
}
