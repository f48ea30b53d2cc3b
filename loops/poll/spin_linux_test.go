package poll

import (
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// spinner is a spin over an epoll set with one end of a socket pair, on a clock that
// advances with every look at it.
type spinner struct {
	spin
	ep, far int
	looks   int
	at      int64
	step    int64 // per look
	after   int   // looks after which the event comes, 0: never
}

func newSpinner(t *testing.T) *spinner {
	t.Helper()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(ep); unix.Close(pair[0]); unix.Close(pair[1]) })
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, pair[0], &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(pair[0])}); err != nil {
		t.Fatal(err)
	}
	s := &spinner{ep: ep, far: pair[1], step: 100}
	s.clock = func() int64 {
		s.looks++
		if s.looks == s.after {
			unix.Write(s.far, []byte{1})
		}
		s.at += s.step
		return s.at
	}
	return s
}

// once waits once, the event coming after so many looks at the clock.
func (s *spinner) once(t *testing.T, after int, sleepy bool) (events, looks int) {
	t.Helper()
	s.looks, s.after = 0, after
	evs := make([]unix.EpollEvent, 4)
	n, errno := s.wait(s.ep, evs, sleepy)
	if errno != 0 {
		t.Fatal(errno)
	}
	return n, s.looks
}

// TestSpinFindsWhatComesSoon: an event that comes while it spins is found at once,
// one that comes later is not waited for, and a loop that must not sleep asks once.
func TestSpinFindsWhatComesSoon(t *testing.T) {
	s := newSpinner(t)
	if n, looks := s.once(t, 50, true); n != 1 || looks != 50 {
		t.Errorf("%d events after %d looks", n, looks)
	}
	if n, looks := s.once(t, 0, true); n != 0 || looks != 1+spinTime/100 {
		t.Errorf("nothing comes: %d events after %d looks", n, looks)
	}
	if n, looks := s.once(t, 0, false); n != 0 || looks != 0 {
		t.Errorf("not sleepy: %d events after %d looks", n, looks)
	}
}

// TestSpinGivesUp: before a thousand sleeps that nothing ends soon, it spins nine
// times; and it takes as few hits again until it spins every time.
func TestSpinGivesUp(t *testing.T) {
	s := newSpinner(t)
	spun := 0
	for range 1000 {
		if _, looks := s.once(t, 0, true); looks > 0 {
			spun++
		}
	}
	if spun != 9 {
		t.Errorf("it spun %d times", spun)
	}
	hits, calls := 0, 0
	for s.penalty > 0 && calls < 10_000 {
		calls++
		if n, looks := s.once(t, 2, true); looks > 0 && n == 1 {
			hits++
		}
	}
	if hits > 10 || s.penalty > 0 {
		t.Errorf("after %d hits the penalty is %d", hits, s.penalty)
	}
	if _, looks := s.once(t, 5, true); looks != 5 {
		t.Errorf("then it does not spin: %d looks", looks)
	}
}

// TestSpinLetsOthersRunFirst: a goroutine that is ready does not wait for a loop that
// finds something each time it spins. (Once in 61 times the scheduler takes who has
// just stepped aside.)
func TestSpinLetsOthersRunFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := newSpinner(t)
	const rounds = 100
	first := 0
	for range rounds {
		var ran atomic.Bool
		go ran.Store(true)
		if n, _ := s.once(t, 5, true); n != 1 {
			t.Fatalf("%d events", n)
		}
		if ran.Load() {
			first++
		}
	}
	if first < rounds*9/10 {
		t.Errorf("%d of %d goroutines ran before the wait ended", first, rounds)
	}
}
