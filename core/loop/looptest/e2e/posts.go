package e2e

import (
	"encoding/binary"
	"sync"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

const wakers = 4

// wake: after the last Wake every thread hears of it, however many went before,
// and also if it sleeps.
func wake(s *scene) error {
	var mu sync.Mutex
	heard := map[int]int{}
	vh := echoing()
	vh.Protocols[0].WaitCancelled = func(th *core.Thread, _ *core.VirtualHost) {
		mu.Lock()
		heard[th.Index()]++
		mu.Unlock()
	}
	if err := s.up(vh, core.Limits{}); err != nil {
		return err
	}
	c := s.ws()
	var all sync.WaitGroup
	for range wakers {
		all.Go(func() {
			for range 250 {
				s.eng.Wake()
			}
		})
	}
	all.Wait()
	count := func(i int) int {
		mu.Lock()
		defer mu.Unlock()
		return heard[i]
	}
	for round := range 3 { // the later ones find the loops asleep, or nearly
		s.laps()
		was := make([]int, s.threads)
		for i := range was {
			was[i] = count(i)
		}
		s.eng.Wake()
		for i := range was {
			s.until("a wake-up is heard", func() bool { return count(i) > was[i] })
		}
		s.must(c.Echo(ws.Text, []byte{'0' + byte(round)}))
	}
	return nil
}

// post: posts run in the order of each poster, on the thread they are for, one
// at a time; so do messages from other goroutines.
func post(s *scene) error {
	type joined struct {
		c   *core.Conn
		out *core.Outbox
	}
	conns := make(chan joined, 2*s.threads)
	vh := serving(func(c *core.Conn) core.WSHandler {
		out := core.NewOutbox(c, core.Refuse)
		conns <- joined{c, out}
		return &wsCalls{writable: func(_ *core.Conn, w *core.WSWriter) error { return out.Writable(w) }}
	})
	if err := s.up(vh, core.Limits{OutboxCount: -1}); err != nil {
		return err
	}
	s.engineKeepsOrder()
	s.each(2*s.threads, func(_ int, c *client.Conn) error {
		j := <-conns // of whichever client: only the order counts
		var all sync.WaitGroup
		for g := range wakers {
			all.Go(func() {
				for i := range 50 {
					s.no(j.out.SendFrom(core.Message{Data: binary.BigEndian.AppendUint16([]byte{byte(g)}, uint16(i)), Binary: true}))
				}
			})
		}
		all.Wait()
		return s.connKeepsOrder(j.c)
	})
	// What was sent is counted on the server's side; each client reads its own.
	return s.sendersKeepOrder()
}

// engineKeepsOrder: Engine.Post from several goroutines.
func (s *scene) engineKeepsOrder() {
	s.t.Helper()
	var next [wakers]int
	done := make(chan struct{})
	left := wakers * 200
	for g := range wakers {
		go func() {
			for i := range 200 {
				s.no(s.eng.Post(func() { // thread 0: no lock
					if next[g] != i {
						s.t.Errorf("post %d of goroutine %d runs as number %d", i, g, next[g])
					}
					next[g]++
					if left--; left == 0 {
						close(done)
					}
				}))
			}
		}()
	}
	s.wait(done, "all posts run")
}

// connKeepsOrder: Conn.Post, in the guard's eyes like a callback of the conn.
func (s *scene) connKeepsOrder(c *core.Conn) error {
	next := 0
	done := make(chan struct{})
	for i := range 200 {
		if err := c.Post(func(c *core.Conn) {
			defer s.guard.enter(c, "Post")()
			if next != i {
				s.t.Errorf("Conn.Post %d runs as number %d", i, next)
			}
			if next++; next == 200 {
				close(done)
			}
		}); err != nil {
			return err
		}
	}
	<-done
	return nil
}

// sendersKeepOrder: every client gets what four goroutines sent it, in the order
// of each.
func (s *scene) sendersKeepOrder() error {
	s.t.Helper()
	for _, c := range s.clients {
		var next [wakers]uint16
		for range wakers * 50 {
			_, p, err := c.Message()
			s.must(err)
			g := p[0]
			if i := binary.BigEndian.Uint16(p[1:]); i != next[g] {
				s.t.Fatalf("message %d of goroutine %d comes as number %d", i, g, next[g])
			}
			next[g]++
		}
	}
	return nil
}
