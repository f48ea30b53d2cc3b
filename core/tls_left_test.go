package core_test

import (
	"testing"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/sim"
)

// TestTLSFloodLeftUndecrypted: when a client that was flooding listens again, what was
// read of its flood goes on, though nothing more comes.
func TestTLSFloodLeftUndecrypted(t *testing.T) {
	m := tlsModes[0]
	vh, recs := recorders(nil)
	w := m.open(t, sim.Options{Capacity: 32 << 10}, core.Limits{}, vh)
	p := w.secretLogged()
	f := p.forge(p.log)
	p.Write(f.data(handshake + "\r\n"))
	p.hear()
	c := (*recs)[0].c
	p.Stall(true)
	for left := false; !left; left, _ = c.Left() {
		var b []byte
		for len(b) < 30<<10 {
			b = append(append(b, f.keyUpdate()...), f.data("\x8a\x80\x00\x00\x00\x00")...)
		}
		if p.Write(b) != len(b) {
			t.Fatal("the wire is full before anything is left")
		}
		w.drive()
	}
	if p.Unread() != 0 {
		t.Fatalf("%d bytes are not read", p.Unread())
	}
	p.Stall(false)
	w.drive()
	if left, n := c.Left(); left {
		t.Errorf("%d bytes are left", n)
	}
}

// TestTLSEndFedWhilePaused: a stream's engine that cannot pause feeds the last records
// and tells of the end while the input is paused. The handler hears of it behind them.
func TestTLSEndFedWhilePaused(t *testing.T) {
	for _, m := range tlsModes {
		if m.below == onDescriptor {
			continue
		}
		t.Run(m.String(), func(t *testing.T) {
			m.mock = looptest.MockMode{NoPause: true}
			vh, recs := recorders(func(r *recorder) {
				r.on = func(c *core.Conn, _ core.Fragment) error { return c.Pause() }
			})
			w := m.open(t, sim.Options{}, core.Limits{}, vh)
			p := w.ws()
			p.text("1")
			p.pump()
			p.text("2")
			p.notify()
			p.pump()
			p.CloseWrite()
			w.drive()
			r := (*recs)[0]
			for i, want := range []int{1, 2} {
				if got := r.count("receive"); got != want || r.count("closed") != 0 {
					t.Fatalf("after %d Resumes: %s", i, r.log())
				}
				r.c.Resume()
				w.drive()
			}
			if r.count("closed") != 1 {
				t.Errorf("at the end: %s", r.log())
			}
		})
	}
}

// TestTLSCloseNotifyFedWhilePaused: the same when close_notify is all that waits.
func TestTLSCloseNotifyFedWhilePaused(t *testing.T) {
	m := tlsModes[1]
	m.mock = looptest.MockMode{NoPause: true}
	vh, recs := recorders(func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error { return c.Pause() }
	})
	w := m.open(t, sim.Options{}, core.Limits{}, vh)
	p := w.ws()
	p.text("1")
	p.pump()
	p.notify()
	p.pump()
	p.CloseWrite()
	w.drive()
	r := (*recs)[0]
	r.c.Resume()
	w.drive()
	if r.count("closed") != 1 {
		t.Errorf("at the end: %s", r.log())
	}
}
