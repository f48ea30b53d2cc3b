//go:build foreignloops && cgo && linux

package cloop_test

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/examples/internal/cloop"
)

type makeBackend = func(cloop.Loop) loop.Backend

// TestLifeInALoop_15_2_T1: the loop alone; an engine comes in the host's timer and
// serves; it ends there; the loop alone again; and once more. The host's timer
// and pipe run all the time, and nothing is left. While the pipe is ready all the
// time, it is heard before core has served a descriptor a third time: once in
// the turn before the pipe's, once in its own.
func TestLifeInALoop_15_2_T1(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		h := newHost(t, lib)
		h.ticked(5)
		before, fds := h.watchers(), descriptors(t)
		for round := range 3 {
			var eng *core.Engine
			h.keepBusy(true)
			h.at(func() { eng = h.engine(echoes(h.spy.on(backend(h.l)), anyPort)) })
			var ticks atomic.Int64
			count := cloop.Every(h.l, 1, func() { ticks.Add(1) })
			h.in(func() error { return echoFor(addrOf(eng), &ticks) })
			count.Close()
			h.keepBusy(false)
			if h.spy.total == 0 || h.spy.mostEach > 2 {
				t.Errorf("%d services, %d of one descriptor between two callbacks of the host", h.spy.total, h.spy.mostEach)
			}
			h.at(func() { eng.Stop(0) })
			h.until("the end", func() bool {
				select {
				case <-eng.Done():
					return true
				default:
					return false
				}
			})
			h.same(before)
			settle(t, fmt.Sprintf("descriptors after round %d", round), fds, func() int { return descriptors(t) })
			h.ticked(5)
		}
		// Once with the same engine, which goes and comes back.
		eng := h.engine(echoes(backend(h.l), anyPort))
		h.in(once(addrOf(eng)))
		for range 3 {
			h.at(eng.Detach)
			h.same(before)
			h.ticked(5)
			h.at(func() {
				if err := eng.Attach(backend(h.l)); err != nil {
					t.Error(err)
				}
			})
			h.in(once(addrOf(eng)))
		}
		h.end(eng)
		h.same(before)
	})
}

// echoFor keeps a connection busy while the host's timer fires 20 times.
func echoFor(addr string, ticks *atomic.Int64) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for enough := ticks.Load() + 20; ticks.Load() < enough; {
		if err := c.echo("x"); err != nil {
			return err
		}
	}
	return nil
}

// TestHundredRounds_15_2_T2: round 100 leaves what round 10 left. Engines come and
// go by turns inside a callback and outside, with the loop turned by plain Go.
func TestHundredRounds_15_2_T2(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		h := newHost(t, lib)
		h.ticked(2)
		var first figures
		for round := 1; round <= 100; round++ {
			var eng *core.Engine
			come := func() { eng = h.engine(echoes(backend(h.l), anyPort)) }
			if round%2 == 0 {
				h.at(come)
				h.in(once(addrOf(eng)))
				h.at(func() { eng.Stop(-1) })
			} else {
				come()
				h.in(once(addrOf(eng)))
				eng.Stop(-1)
			}
			h.turnUntil(eng.Done())
			if round == 10 {
				first = h.figures(lib)
			}
		}
		h.compare(first, lib)
	})
}

// TestHundredVisits: one engine leaves and comes back a hundred times, with a
// connection that lives through all of it.
func TestHundredVisits(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		h := newHost(t, lib)
		alone := h.watchers()
		eng := h.engine(echoes(backend(h.l), anyPort))
		var c *client
		h.in(func() (err error) { c, err = dial(addrOf(eng)); return err })
		defer c.Close()
		var first figures
		for round := 1; round <= 100; round++ {
			msg := fmt.Sprint("round ", round)
			eng.Detach()
			h.same(alone)
			if err := c.send(msg); err != nil { // while nobody serves
				t.Fatal(err)
			}
			if err := eng.Attach(backend(h.l)); err != nil {
				t.Fatal(err)
			}
			h.in(func() error { return c.want(msg) })
			if round == 10 {
				first = h.figures(lib)
			}
		}
		h.compare(first, lib)
		h.end(eng)
		h.same(alone)
	})
}

// figures are what must not grow.
type figures struct {
	watchers, live, fds, gos int
	heap                     uint64
}

func (h *host) figures(lib library) figures {
	f := figures{live: lib.live(), fds: descriptors(h.t), gos: runtime.NumGoroutine()}
	for range 10 { // one look may find fewer: see same
		f.watchers = max(f.watchers, h.watchers())
	}
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	f.heap = m.HeapAlloc
	return f
}

func (h *host) compare(first figures, lib library) {
	h.t.Helper()
	settle(h.t, "goroutines", first.gos, runtime.NumGoroutine)
	settle(h.t, "descriptors", first.fds, func() int { return descriptors(h.t) })
	last := h.figures(lib)
	if last.watchers != first.watchers || last.live != first.live {
		h.t.Errorf("after 10 rounds %+v, after 100 %+v", first, last)
	}
	if last.heap > first.heap+64<<10 {
		h.t.Errorf("the live heap grew from %d to %d bytes", first.heap, last.heap)
	}
	h.t.Logf("after 10 rounds %+v, after 100 %+v", first, last)
}

// TestTwoEngines_15_2_T3: two engines in one loop; one ends, the other serves on.
func TestTwoEngines_15_2_T3(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		h := newHost(t, lib)
		alone := h.watchers()
		a := h.engine(echoes(backend(h.l), anyPort))
		h.in(once(addrOf(a)))
		one := h.watchers()
		b := h.engine(echoes(backend(h.l), anyPort))
		var c *client
		h.in(func() (err error) { c, err = dial(addrOf(a)); return err })
		defer c.Close()
		h.in(once(addrOf(b)))
		h.at(func() { b.Stop(-1) })
		h.turnUntil(b.Done())
		h.in(func() error { return c.echo("still") })
		h.in(once(addrOf(a)))
		c.Close()
		h.until("the connection is gone", func() bool { return a.Thread(0).Stats().Conns == 0 })
		h.same(one)
		h.end(a)
		h.same(alone)
	})
}

// lives notes the order in which things end.
type lives struct {
	mu     sync.Mutex
	open   int
	closed []string
}

func (l *lives) note(s string) {
	l.mu.Lock()
	l.closed = append(l.closed, s)
	l.mu.Unlock()
}

type life struct{ *lives }

func (l life) Opened(*core.Conn, *core.Request) error    { l.open++; return nil }
func (l life) Receive(*core.Conn, core.Fragment) error   { return nil }
func (l life) Writable(*core.Conn, *core.WSWriter) error { return nil }
func (l life) Closed(_ *core.Conn, err error)            { l.note("closed") }
func (l *lives) protocol(name string) core.Protocol {
	return core.Protocol{Name: name, WS: l.handler, Destroy: l.destroy}
}
func (l *lives) handler(*core.Conn) core.WSHandler { return life{l} }
func (l *lives) destroy(*core.VirtualHost)         { l.note("destroy") }
func (l *lives) config(b loop.Backend, threads int) core.Config {
	return core.Config{Backend: b, Threads: threads, VHosts: []core.VHost{{Addr: anyPort,
		Protocols: []core.Protocol{l.protocol("one"), l.protocol("two")}}}}
}

// TestEndWithConnections_15_2_T4: an engine that ends with 100 WebSockets: each has
// its Closed, then each protocol its Destroy, then Done. On one service thread
// and on two.
func TestEndWithConnections_15_2_T4(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		for threads := 1; threads <= 2; threads++ {
			h := newHost(t, lib)
			alone := h.watchers()
			l := &lives{}
			eng := h.engine(l.config(backend(h.l), threads))
			var all []*client
			h.in(func() error {
				for range 100 {
					c, err := dial(addrOf(eng))
					if err != nil {
						return err
					}
					all = append(all, c)
				}
				return nil
			})
			for i := range threads {
				if n := eng.Thread(i).Stats().Conns; n != 100/threads {
					t.Errorf("thread %d of %d has %d connections", i, threads, n)
				}
			}
			h.at(func() { eng.Stop(-1) })
			h.turnUntil(eng.Done())
			want := append(slices.Repeat([]string{"closed"}, 100), "destroy", "destroy")
			if l.open != 100 || !slices.Equal(l.closed, want) {
				t.Errorf("%d opened; ended: %v", l.open, l.closed)
			}
			h.same(alone)
			for _, c := range all {
				if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
					t.Errorf("the peer reads %v", err)
				}
				c.Close()
			}
		}
	})
}

// TestLeavingInACallback_15_2_T5: Detach, Detach with Attach, and Stop in a
// WebSocket's Receive.
func TestLeavingInACallback_15_2_T5(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		h := newHost(t, lib)
		alone := h.watchers()
		var eng *core.Engine
		cfg := echoes(backend(h.l), anyPort)
		cfg.VHosts[0].Protocols[0].WS = core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error {
			switch string(m.Data) {
			case "leave":
				eng.Detach()
			case "move":
				eng.Detach()
				if err := eng.Attach(backend(h.l)); err != nil {
					return err
				}
			case "stop":
				eng.Stop(-1)
			}
			return out.Send(m)
		})
		eng = h.engine(cfg)
		var c *client
		h.in(func() (err error) {
			if c, err = dial(addrOf(eng)); err == nil {
				err = c.send("leave")
			}
			return err
		})
		defer c.Close()
		h.until("it has left", func() bool { return !eng.Thread(0).Hosted() })
		h.same(alone)
		h.ticked(5)
		if err := eng.Attach(backend(h.l)); err != nil {
			t.Fatal(err)
		}
		h.in(func() error {
			if err := c.want("leave"); err != nil {
				return err
			}
			return c.echo("back")
		})
		hosted := h.watchers()
		h.in(func() error {
			for range 20 {
				if err := c.echo("move"); err != nil {
					return err
				}
			}
			return c.echo("still")
		})
		h.same(hosted)
		if err := c.send("stop"); err != nil {
			t.Fatal(err)
		}
		h.turnUntil(eng.Done())
		h.same(alone)
		h.ticked(5)
	})
}

// TestPortBusy_15_2_T6: an engine that cannot be made leaves the loop as it was.
func TestPortBusy_15_2_T6(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		taken, err := net.Listen("tcp", anyPort)
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		h := newHost(t, lib)
		alone := h.watchers()
		fail := func() {
			eng, err := core.New(echoes(backend(h.l), taken.Addr().String()))
			if !errors.Is(err, syscall.EADDRINUSE) || eng != nil {
				t.Errorf("a busy port: %v %v", eng, err)
			}
		}
		fail()
		h.same(alone)
		h.ticked(5)
		h.at(fail)
		h.same(alone)
		h.ticked(5)
		eng := h.engine(echoes(backend(h.l), anyPort))
		h.in(once(addrOf(eng)))
		fail() // beside one that serves
		h.in(once(addrOf(eng)))
		h.end(eng)
		h.same(alone)
	})
}

// TestOwnerStops_15_2_T7: the owner stops the loop without a word, and takes the
// engine out of it afterwards, or never runs it again.
func TestOwnerStops_15_2_T7(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		h := newHost(t, lib)
		alone := h.watchers()
		eng := h.engine(echoes(backend(h.l), anyPort))
		var c *client
		h.in(func() (err error) { c, err = dial(addrOf(eng)); return err })
		defer c.Close()
		if err := c.send("late"); err != nil { // unserved when the loop stops
			t.Fatal(err)
		}
		h.l.Stop()
		eng.Detach()
		h.same(alone)
		// A second loop takes over what the first has left.
		other := newHost(t, lib)
		if err := eng.Attach(backend(other.l)); err != nil {
			t.Fatal(err)
		}
		other.in(func() error { return c.want("late") })
		other.l.Stop()
		other.end(eng)
		h.ticked(5)
		h.same(alone)
	})
}
