//go:build foreignloops && cgo && linux

package cloop_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core/loop"
	"anyloop/examples/internal/cloop"
)

// eachLoop runs a test over the loop of every library.
func eachLoop(t *testing.T, test func(t *testing.T, l cloop.Loop)) {
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			leakCheck(t)
			test(t, lib.newLoop(t))
		})
	}
}

func socketpair(t *testing.T) (a, b int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}

func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}

// turns is enough for readiness that is there to be told: libev tells the kernel of
// a change in the turn after it.
func turns(l cloop.Loop) {
	for range 3 {
		l.Turn(false)
	}
}

// TestMasks: none, In, Out, In|Out, in any order: what is asked is told, in every
// turn, and nothing else.
func TestMasks(t *testing.T) {
	eachLoop(t, func(t *testing.T, l cloop.Loop) {
		a, b := socketpair(t)
		defer unix.Close(a)
		defer unix.Close(b)
		if _, err := unix.Write(b, []byte("x")); err != nil { // a is readable and writable
			t.Fatal(err)
		}
		got, calls := loop.Events(0), 0
		w, err := l.Watch(a, 0, func(ev loop.Events) { got |= ev; calls++ })
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for _, mask := range []loop.Events{0, loop.Out, loop.In, 0, loop.In | loop.Out, loop.Out, loop.In | loop.Out, loop.In, loop.Out, 0} {
			w.Set(mask)
			got, calls = 0, 0
			turns(l)
			if got != mask || mask != 0 && calls < 2 {
				t.Errorf("asked for %v, told %v in %d calls", mask, got, calls)
			}
		}
		for _, mask := range []loop.Events{0, loop.In, loop.Out} {
			other, err := l.Watch(b, mask, func(ev loop.Events) {
				if mask == 0 || ev != mask {
					t.Errorf("made for %v, told %v", mask, ev)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			turns(l)
			other.Close()
		}
	})
}

// TestHangupIsTold: of a peer that is gone, in every turn until the watcher is
// closed; readable if nothing better can be said.
func TestHangupIsTold(t *testing.T) {
	eachLoop(t, func(t *testing.T, l cloop.Loop) {
		a, b := socketpair(t)
		defer unix.Close(a)
		got, calls := loop.Events(0), 0
		w, err := l.Watch(a, loop.In, func(ev loop.Events) { got |= ev; calls++ })
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		unix.Close(b)
		turns(l)
		if got&(loop.In|loop.Hup) == 0 || got&loop.Out != 0 || calls < 2 {
			t.Errorf("told %v in %d calls", got, calls)
		}
	})
}

// TestErrorIsTold: a pipe without a reader is in error. It is told of in every
// turn, though libuv stops the watcher each time.
func TestErrorIsTold(t *testing.T) {
	eachLoop(t, func(t *testing.T, l cloop.Loop) {
		r, wr := pipe(t)
		defer unix.Close(wr)
		got, calls := loop.Events(0), 0
		w, err := l.Watch(wr, loop.Out, func(ev loop.Events) { got |= ev; calls++ })
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		unix.Close(r)
		turns(l)
		if got&(loop.Out|loop.Err|loop.Hup) == 0 || got&loop.In != 0 || calls < 2 {
			t.Errorf("told %v in %d calls", got, calls)
		}
		w.Set(0)
		turns(l)
		w.Set(loop.Out)
		before := calls
		turns(l)
		if calls == before {
			t.Error("not told after interest none")
		}
	})
}

// TestNumberIsWatchedAgainAtOnce: in one callback a ready descriptor is unwatched
// and closed, and its number opened and watched anew: the old watcher is not
// called, though its readiness lies in the same batch, and the new one is
// called for its own readiness only.
func TestNumberIsWatchedAgainAtOnce(t *testing.T) {
	eachLoop(t, func(t *testing.T, l cloop.Loop) {
		for range 20 {
			reuse(t, l)
		}
	})
}

func reuse(t *testing.T, l cloop.Loop) {
	var rd, wr [2]int
	var ws [2]cloop.Watcher
	swapped, served := -1, 0
	var newWriter int
	for i := range 2 {
		rd[i], wr[i] = pipe(t)
	}
	for i := range 2 {
		w, err := l.Watch(rd[i], loop.In, func(loop.Events) {
			if swapped >= 0 {
				if i == swapped {
					t.Error("a closed watcher was called")
				}
				return
			}
			// Whoever comes first replaces the other, which is ready too.
			swapped = 1 - i
			old := rd[swapped]
			ws[swapped].Close()
			unix.Close(old)
			r, nw := pipe(t)
			newWriter = nw
			if r != old { // the lowest free number is the kernel's choice
				if err := unix.Dup3(r, old, unix.O_CLOEXEC); err != nil {
					t.Fatal(err)
				}
				unix.Close(r)
			}
			var err error
			ws[swapped], err = l.Watch(old, loop.In, func(loop.Events) { served++ })
			if err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		ws[i] = w
	}
	for i := range 2 {
		unix.Write(wr[i], []byte{1})
	}
	turns(l)
	if swapped < 0 || served != 0 {
		t.Fatalf("swapped %d; the new watcher was called %d times with nothing to read", swapped, served)
	}
	unix.Write(newWriter, []byte{1})
	turns(l)
	if served == 0 {
		t.Error("the new watcher of an old number is not called")
	}
	for i := range 2 {
		ws[i].Close()
		unix.Close(rd[i])
		unix.Close(wr[i])
	}
	unix.Close(newWriter)
}

// TestTimerIsNeverEarly by the clock that core uses: set in a callback that has run
// for a while, so that the library's time is stale, and with a loop that does not
// sleep, so that the kernel's wait does not make up for it.
func TestTimerIsNeverEarly(t *testing.T) {
	eachLoop(t, func(t *testing.T, l cloop.Loop) {
		for i := range 60 {
			d := time.Duration(1+i*i*1777) * time.Nanosecond // to 6 ms
			set, fired := time.Time{}, time.Time{}
			tm := l.NewTimer(func() { fired = time.Now() })
			first := l.NewTimer(func() {
				for began := time.Now(); time.Since(began) < 500*time.Microsecond; {
				}
				set = time.Now()
				tm.Set(d)
			})
			first.Set(0)
			for fired.IsZero() {
				l.Turn(i%4 == 3)
			}
			if took := fired.Sub(set); took < d {
				t.Errorf("set to %v, fired after %v", d, took)
			}
			fired = time.Time{}
			tm.Set(0)
			tm.Stop()
			turns(l)
			if !fired.IsZero() {
				t.Error("a stopped timer fires")
			}
			first.Close()
			tm.Close()
		}
	})
}

// TestDueAtOnceStarvesNobody: a timer that is set to 0 whenever it fires is called
// once a turn, and so is a descriptor that is always ready.
func TestDueAtOnceStarvesNobody(t *testing.T) {
	eachLoop(t, func(t *testing.T, l cloop.Loop) {
		rd, wr := socketpair(t)
		defer unix.Close(rd)
		defer unix.Close(wr)
		fires, calls, gap, most := 0, 0, 0, 0
		w, err := l.Watch(wr, loop.Out, func(loop.Events) { calls++; gap = 0 })
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		var tm cloop.Timer
		tm = l.NewTimer(func() {
			fires++
			gap++
			most = max(most, gap)
			if fires < 100 {
				tm.Set(0)
			}
		})
		defer tm.Close()
		tm.Set(0)
		for range 200 {
			l.Turn(false)
		}
		if fires != 100 || calls < 98 || most > 2 {
			t.Errorf("fired %d times, the descriptor was told %d times; at most %d fires between two", fires, calls, most)
		}
	})
}
