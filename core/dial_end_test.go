package core

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core/loop/sim"
)

// TestRaceCancel ends a race before, between and after all its steps.
func TestRaceCancel(t *testing.T) {
	for _, at := range []time.Duration{0, 1, 250*ms - 1, 250 * ms, 499 * ms, 500 * ms, 650*ms - 1} {
		w := newTrack(t, sim.Options{})
		threeAddrs(w)
		w.k.Answer(six, sim.Answer{Silent: true})
		w.k.Answer(one, sim.Answer{After: 400 * ms})
		w.k.Answer(two, sim.Answer{After: 300 * ms, Err: syscall.ECONNREFUSED})
		r := w.up(tcp("three"))
		w.k.Advance(at)
		n := len(w.k.Attempts())
		err := r.cancel()
		if err == nil || strings.Count(err.Error(), "no answer yet") != n {
			t.Errorf("at %v: %d attempts, cancel says %v", at, n, err)
		}
		if err := r.cancel(); err != nil {
			t.Errorf("a second cancel says %v", err)
		}
		w.idle()
		w.k.Advance(time.Minute)
		if r.calls != 0 || len(w.k.Attempts()) != n {
			t.Errorf("at %v: done called %d times, %d attempts more", at, r.calls, len(w.k.Attempts())-n)
		}
	}
}

// TestRaceCancelInsideCallbacks: of another attempt's link, of a timer, of done.
func TestRaceCancelInsideCallbacks(t *testing.T) {
	w := newTrack(t, sim.Options{})
	threeAddrs(w)
	w.k.Answer(six, sim.Answer{Silent: true})
	w.k.Answer("10.0.0.9:80", sim.Answer{After: 300 * ms})
	a := w.up(tcp("three"))
	b := w.reach(tcp("10.0.0.9"))
	b.then = func() { a.cancel(); b.cancel() }
	w.k.Advance(300 * ms)
	if a.calls != 0 {
		t.Error("the cancelled one is done")
	}
	b.over(300*ms, "10.0.0.9:80", "")
}

// TestRaceUntakenWinnerIsClosed, also if done panics.
func TestRaceUntakenWinnerIsClosed(t *testing.T) {
	w := newTrack(t, sim.Options{})
	w.k.Answer(one, sim.Answer{})
	for _, then := range []func(){nil, func() { panic("in done") }} {
		r := w.reach(tcp("10.0.0.1"))
		r.take, r.then = false, then
		w.k.Drive()
		r.over(0, one, "")
	}
	if n := w.eng.Stats().Panics; n != 1 {
		t.Errorf("%d panics", n)
	}
	w.th.stats.Panics = 0
	if a := w.k.Attempts(); !a[0].Peer.Gone() || !a[1].Peer.Gone() {
		t.Error("still open")
	}
}

// TestRaceStop stops the engine at every step, with the caller not cancelling: the
// race ends by itself, and is told why.
func TestRaceStop(t *testing.T) {
	for _, grace := range []time.Duration{time.Second, -1} {
		for _, at := range []time.Duration{0, 1, 250 * ms, 600 * ms} {
			w := newTrack(t, sim.Options{})
			threeAddrs(w)
			for _, a := range []string{six, one, two} {
				w.k.Answer(a, sim.Answer{Silent: true})
			}
			r := w.up(tcp("three"))
			w.k.Advance(at)
			w.eng.Stop(grace)
			w.until("the end", func() bool { return w.th.end.phase == endOver })
			if r.calls > 1 || r.calls == 1 && !errors.Is(r.err, ErrStopped) || w.k.Now().Sub(w.start) != at {
				t.Errorf("grace %v at %v: %d calls, %v", grace, at, r.calls, r.err)
			}
			r.cancel()
		}
	}
}

// TestRaceDetach: attempts are carried along, and the clock runs on.
func TestRaceDetach(t *testing.T) {
	for _, c := range []struct {
		answer time.Duration // of the second address
		at     time.Duration // of the detach
		stay   time.Duration // until attached again
		tried  string
		done   time.Duration
	}{
		{400 * ms, 300 * ms, 100 * ms, each, 650 * ms},
		{400 * ms, 300 * ms, time.Second, "0s " + six + ", 250ms " + one, 1300 * ms},
		{2 * time.Second, 100 * ms, time.Second, "0s " + six + ", 1.1s " + one + ", 1.35s " + two, 3100 * ms},
		{2 * time.Second, 250 * ms, 300 * ms, "0s " + six + ", 250ms " + one + ", 550ms " + two, 2250 * ms},
	} {
		w := newTrack(t, sim.Options{})
		threeAddrs(w)
		w.k.Answer(six, sim.Answer{Silent: true})
		w.k.Answer(one, sim.Answer{After: c.answer})
		w.k.Answer(two, sim.Answer{Silent: true})
		r := w.up(tcp("three"))
		w.k.Advance(c.at)
		w.eng.Detach()
		if w.k.Watched() != 0 {
			t.Error("still watched")
		}
		w.k.Advance(c.stay)
		if err := w.eng.Attach(w.k); err != nil {
			t.Fatal(err)
		}
		w.k.Advance(5 * time.Second)
		if got := w.went(); got != c.tried {
			t.Errorf("tried %s\nwant  %s", got, c.tried)
		}
		r.over(c.done, one, "")
	}
}

func TestRaceCancelWhileDetached(t *testing.T) {
	w := newTrack(t, sim.Options{})
	threeAddrs(w)
	w.k.Answer(six, sim.Answer{Silent: true})
	r := w.up(tcp("three"))
	s := w.reach(tcp("three"))
	w.eng.Detach()
	r.cancel()
	s.cancel()
	w.idle()
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	w.k.Advance(time.Minute)
	if r.calls+s.calls != 0 {
		t.Error("done was called")
	}
	w.idle()
}

// TestRaceDetachInTheTurnOfAStep: a step that is due after the loop was left waits
// for the next loop.
func TestRaceDetachInTheTurnOfAStep(t *testing.T) {
	w := newTrack(t, sim.Options{})
	threeAddrs(w)
	w.k.Answer(six, sim.Answer{Silent: true})
	w.k.Answer(one, sim.Answer{})
	r := w.up(tcp("three"))
	var first timerNode
	first.Owner = w.eng.Detach
	w.th.timers.SetAt(&first, w.th.now()+int64(249*ms))
	w.k.Skip(250 * ms) // both are ripe in one turn
	if w.th.hosted.Load() || len(w.k.Attempts()) != 1 {
		t.Fatalf("hosted %v, %d attempts", w.th.hosted.Load(), len(w.k.Attempts()))
	}
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	r.over(250*ms, one, "")
}
