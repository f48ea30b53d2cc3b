//go:build linux || darwin || freebsd

package evioloop_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
	"anyloop/loops/evio"
)

// TestHundredRounds: an engine comes and goes a hundred times in one evio server,
// which is the same afterwards: descriptors, goroutines and so watchers, and heap.
func TestHundredRounds(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	a := serve(t, b, nil)
	l := a.dial()
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("127.0.0.1:0")}})
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	c := wsDial(t, eng.VHost("default").Addr())
	round := func(i int) {
		if i > 0 {
			if err := eng.Attach(b); err != nil {
				t.Fatal(err)
			}
			if err := b.Start(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Echo(ws.Text, fmt.Appendf(nil, "round %d", i)); err != nil {
			t.Fatal(err)
		}
		l.echo("and the application")
		on(t, eng.Thread(0), eng.Detach)
		take(t, b.Left(), "the engine has left")
	}
	var fds, gos int
	var heap int64
	for i := range 100 {
		round(i)
		switch i + 1 {
		case 10:
			fds, gos, heap = settled(t, l)
		case 20, 30: // what was on its way out for long is none of what stays
			f, g, _ := settled(t, l)
			fds, gos = min(fds, f), min(gos, g)
		case 100:
			f, g, h := settled(t, l)
			for end := time.Now().Add(looptest.Bound); (f != fds || g != gos) && time.Now().Before(end); {
				f, g, h = settled(t, l)
			}
			if f != fds || g != gos {
				t.Errorf("round 100 has %d descriptors and %d goroutines, round 10 had %d and %d", f, g, fds, gos)
			}
			t.Logf("heap: round 10 %d, round 100 %d", heap, h)
			if h-heap > 64<<10 {
				t.Errorf("the heap has grown by %d bytes", h-heap)
			}
		}
	}
	finish(t, eng)
	a.stop()
}

// settled returns descriptors, goroutines and heap when they have stayed the same
// over some laps of evio's loop, which closes its end of the bridge in a later one.
func settled(t testing.TB, l *line) (fds, gos int, heap int64) {
	t.Helper()
	same := 0
	for end := time.Now().Add(looptest.Bound); same < 20; l.echo("a lap") {
		f, g := stock(t)
		if f == fds && g == gos {
			same++
		} else {
			fds, gos, same = f, g, 0
		}
		if time.Now().After(end) {
			t.Fatal("descriptors and goroutines do not come to rest")
		}
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return fds, gos, int64(m.HeapAlloc)
}

// counting is a bridge that counts what core does in one turn.
type counting struct {
	*evioloop.Bridge
	n, most, turns int // evio's goroutine
}

func (b *counting) Open(thread int, s loop.Service) (loop.Loop, error) {
	return b.Bridge.Open(thread, countedService{s, b})
}

type countedService struct {
	loop.Service
	b *counting
}

func (s countedService) ServiceFD(p *loop.PollFD) bool {
	s.b.n++
	s.b.most = max(s.b.most, s.b.n)
	return s.Service.ServiceFD(p)
}

func (s countedService) ServicePending() {
	s.b.turns++
	s.b.n = 0
	s.Service.ServicePending()
}

// TestHostIsServedDuringAFlood: 1000 WebSockets send without a pause, and the
// application answers all the same: core does a bounded number of events at a
// time, and no two turns without evio looking for the application's in between.
func TestHostIsServedDuringAFlood(t *testing.T) {
	const conns, pass = 1000, 16
	leaks(t)
	b := &counting{Bridge: newBridge(t, evioloop.WithPass(pass))}
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("127.0.0.1:0")}})
	most := 0 // turns in one call of evio's
	a := serve(t, b.Bridge, func(a *app, _ *evio.Events) {
		a.outer = func(ev *evio.Events) {
			data := ev.Data
			ev.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
				before := b.turns
				defer func() { most = max(most, b.turns-before) }()
				return data(c, in)
			}
		}
	})
	stop := make(chan struct{})
	ended := make(chan struct{}, conns)
	var all []*client.Conn
	for range conns {
		all = append(all, wsDial(t, eng.VHost("default").Addr()))
	}
	for _, c := range all {
		go flood(c, stop, ended)
	}
	until(t, "the flood runs", func() bool { return eng.Stats().Messages > 2*conns })
	l := a.dial()
	lines := 0
	for before := eng.Stats().Messages; lines < 10 || eng.Stats().Messages < before+conns; lines++ {
		l.echo("during the flood")
	}
	close(stop)
	for range conns {
		take(t, ended, "a client ends")
	}
	end(t, eng)
	a.stop()
	t.Logf("%d events in one turn at most, %d turns, %d lines while %d messages came", b.most, b.turns, lines, conns)
	if b.most > pass || b.most == 0 {
		t.Errorf("%d events in one turn, the bound is %d", b.most, pass)
	}
	if most != 1 {
		t.Errorf("%d turns in one callback of evio's", most)
	}
}

// flood echoes until stop.
func flood(c *client.Conn, stop, ended chan struct{}) {
	defer func() { ended <- struct{}{} }()
	c.Text("flood")
	for {
		if _, err := c.Next(); err != nil {
			return
		}
		select {
		case <-stop:
			return
		default:
			c.Text("flood")
		}
	}
}
