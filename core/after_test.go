package core_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

func TestBackoff(t *testing.T) {
	var b core.Backoff
	within := func(i int, base time.Duration) {
		t.Helper()
		d, ok := b.Next()
		if !ok || d < base || d > base+base/5 {
			t.Errorf("wait %d is %v, %v; want %v to %v", i, d, ok, base, base+base/5)
		}
	}
	different := map[time.Duration]bool{}
	for range 200 {
		b.Reset()
		for i, base := range []time.Duration{1, 3, 9, 17, 17, 17} {
			within(i, base*time.Second)
		}
		b.Reset()
		d, _ := b.Next()
		different[d] = true
	}
	if len(different) < 50 {
		t.Errorf("only %d different first waits of 200", len(different))
	}
	b = core.Backoff{Delays: []time.Duration{time.Millisecond, time.Second}, Jitter: -1, Tries: 3}
	for range 2 {
		for i, want := range []time.Duration{time.Millisecond, time.Second, time.Second} {
			if d, ok := b.Next(); d != want || !ok {
				t.Errorf("wait %d is %v, %v", i, d, ok)
			}
		}
		if _, ok := b.Next(); ok {
			t.Error("a fourth try of three")
		}
		b.Reset()
	}
}

// TestAfterFunc: at its moment and not before, in order, once; not when stopped;
// and one that panics harms nobody.
func TestAfterFunc(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	th := w.eng.Thread(0)
	var got []string
	note := func(s string) func() { return func() { got = append(got, s) } }
	th.AfterFunc(5*time.Second, note("5"))
	th.AfterFunc(time.Second, note("1"))
	stopped := th.AfterFunc(2*time.Second, note("2"))
	th.AfterFunc(3*time.Second, func() { panic("three") })
	th.AfterFunc(4*time.Second, func() {
		got = append(got, "4")
		th.AfterFunc(-1, note("at once, in a later turn"))
	})
	w.k.Advance(time.Second - 1)
	if len(got) != 0 {
		t.Errorf("early: %v", got)
	}
	w.k.Advance(1)
	stopped.Stop()
	stopped.Stop()
	w.k.Advance(time.Minute)
	if s := fmt.Sprint(got); s != "[1 4 at once, in a later turn 5]" {
		t.Errorf("ran %s", s)
	}
	if w.eng.Stats().Panics != 1 || !strings.Contains(w.log.String(), "AfterFunc") {
		t.Errorf("the panic: %d, %s", w.eng.Stats().Panics, w.log)
	}
}

// TestReconnecting: a client that comes back by Backoff, until the server is there.
func TestReconnecting(t *testing.T) {
	w, h := client(t, core.Limits{})
	b := core.Backoff{Jitter: -1}
	var dial func()
	failed := 0
	h2 := &comesBack{fail: func() {
		failed++
		d, _ := b.Next()
		w.eng.Thread(0).AfterFunc(d, dial)
	}}
	dial = func() {
		if _, err := w.eng.Thread(0).Dial(w.eng.VHost("default"), core.Dial{URL: "ws://192.0.2.1/", WS: func(*core.Conn) core.WSHandler { return h2 }}); err != nil {
			t.Error(err)
		}
	}
	_ = h
	dial()
	w.k.Drive() // refused: nobody listens
	w.k.Advance(time.Second)
	w.k.Advance(3 * time.Second)
	if failed != 3 {
		t.Fatalf("%d failures after 4 seconds", failed)
	}
	f := w.listens(farAddr)
	w.k.Advance(9 * time.Second)
	f.opens()
	if h2.opened != 1 || failed != 3 {
		t.Errorf("opened %d times after %d failures", h2.opened, failed)
	}
}

// comesBack is a client that tries again.
type comesBack struct {
	fail   func()
	opened int
}

func (h *comesBack) ConnectFailed(*core.Conn, error)            { h.fail() }
func (h *comesBack) Connected(*core.Conn, *core.Response) error { h.opened++; return nil }
func (h *comesBack) Receive(*core.Conn, core.Fragment) error    { return nil }
func (h *comesBack) Writable(*core.Conn, *core.WSWriter) error  { return nil }
