package cloop_test

import (
	"slices"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/examples/internal/cloop"
)

// fake is a loop on paper: it notes what is asked of it, and is turned by hand.
type fake struct {
	timer *fakeTimer
	watch map[int]*fakeWatcher
}

type fakeWatcher struct {
	l     *fake
	fd    int
	ready func(loop.Events)
}

type fakeTimer struct {
	fire   func()
	sets   []time.Duration
	stops  int
	closed bool
}

func (l *fake) Name() string { return "fake" }
func (l *fake) Watch(fd int, _ loop.Events, ready func(loop.Events)) (cloop.Watcher, error) {
	w := &fakeWatcher{l, fd, ready}
	l.watch[fd] = w
	return w, nil
}
func (l *fake) NewTimer(fire func()) cloop.Timer {
	l.timer = &fakeTimer{fire: fire}
	return l.timer
}
func (l *fake) Run()                     {}
func (l *fake) Turn(bool)                {}
func (l *fake) Stop()                    {}
func (l *fake) Watchers() int            { return len(l.watch) }
func (l *fake) Close() error             { return nil }
func (*fakeWatcher) Set(loop.Events)     {}
func (w *fakeWatcher) Close()            { delete(w.l.watch, w.fd) }
func (t *fakeTimer) Set(d time.Duration) { t.sets = append(t.sets, d) }
func (t *fakeTimer) Stop()               { t.stops++ }
func (t *fakeTimer) Close()              { t.closed = true }

// paper is core on paper.
type paper struct {
	loop.Service
	wait   time.Duration // what AdjustTimeout answers
	at     time.Time
	asked  int
	calls  []string
	inside func()
}

func (s *paper) ServiceFD(p *loop.PollFD) bool {
	s.calls = append(s.calls, "fd")
	if s.inside != nil {
		s.inside()
	}
	return true
}
func (s *paper) ServicePending()                           { s.calls = append(s.calls, "pending") }
func (s *paper) AdjustTimeout(time.Duration) time.Duration { s.asked++; return s.wait }
func (s *paper) NextDeadline() (time.Time, bool)           { return s.at, true }

func onPaper(t *testing.T) (*fake, *paper, loop.Loop) {
	t.Helper()
	l, s := &fake{watch: map[int]*fakeWatcher{}}, &paper{wait: -1}
	lp, err := cloop.Watching(l).Open(0, s)
	if err != nil {
		t.Fatal(err)
	}
	return l, s, lp
}

// TestFirstTurn: a loop that is joined owes core a turn, in which protocols are
// initialised.
func TestFirstTurn(t *testing.T) {
	l, s, _ := onPaper(t)
	if !slices.Equal(l.timer.sets, []time.Duration{0}) || len(s.calls) != 0 || s.asked != 0 {
		t.Errorf("at Open: timer set to %v, core called: %v", l.timer.sets, s.calls)
	}
	l.timer.fire()
	if !slices.Equal(s.calls, []string{"pending"}) || len(l.timer.sets) != 1 {
		t.Errorf("in the first turn: %v, timer set %v", s.calls, l.timer.sets)
	}
}

// TestTimerIsSetOnlyWhenItChanges: one timer, for the nearest deadline; work that is
// due now waits for the next turn, and is asked for once.
func TestTimerIsSetOnlyWhenItChanges(t *testing.T) {
	l, s, lp := onPaper(t)
	l.timer.fire()
	if err := lp.AddPollFD(7, loop.In); err != nil {
		t.Fatal(err)
	}
	l.timer.sets = nil
	step := func(wait time.Duration, at time.Time, want ...time.Duration) {
		t.Helper()
		s.wait, s.at = wait, at
		for range 3 {
			l.watch[7].ready(loop.In)
		}
		lp.(loop.Rearmer).Rearm()
		if !slices.Equal(l.timer.sets, want) {
			t.Errorf("timer set to %v, want %v", l.timer.sets, want)
		}
		l.timer.sets = nil
	}
	now := time.Now()
	step(-1, now)
	step(time.Second, now.Add(time.Second), time.Second)
	step(900*time.Millisecond, now.Add(time.Second)) // the same, later
	step(time.Minute, now.Add(time.Minute), time.Minute)
	step(0, now.Add(time.Minute), 0)
	if slices.Contains(s.calls[1:], "pending") {
		t.Errorf("pending work was done in the turn of a descriptor: %v", s.calls)
	}
	step(time.Minute, now.Add(time.Minute), time.Minute)
	stops := l.timer.stops
	step(-1, now)
	if l.timer.stops != stops+1 {
		t.Errorf("with nothing due the timer was stopped %d times", l.timer.stops-stops)
	}
	step(time.Minute, now.Add(time.Minute), time.Minute)
	s.wait = time.Minute
	l.timer.fire() // a timer that has fired must be set again, also to the same
	if !slices.Equal(l.timer.sets, []time.Duration{time.Minute}) {
		t.Errorf("after firing: %v", l.timer.sets)
	}
}

// TestLeavingInService: core may leave inside ServiceFD; it is not called again, nor
// the timer touched.
func TestLeavingInService(t *testing.T) {
	l, s, lp := onPaper(t)
	l.timer.fire()
	if err := lp.AddPollFD(7, loop.In); err != nil {
		t.Fatal(err)
	}
	sets, asked := len(l.timer.sets), s.asked
	s.wait = 0
	s.inside = func() {
		lp.DelPollFD(7)
		if err := lp.(loop.Closer).Close(); err != nil {
			t.Error(err)
		}
	}
	l.watch[7].ready(loop.In)
	if s.asked != asked || len(l.timer.sets) != sets || !l.timer.closed || len(l.watch) != 0 {
		t.Errorf("after leaving: asked %d times, timer set %v, closed %v, %d watched",
			s.asked-asked, l.timer.sets[sets:], l.timer.closed, len(l.watch))
	}
}

// TestOneTimerPerThread: every service thread has its own part of the loop.
func TestOneTimerPerThread(t *testing.T) {
	l := &fake{watch: map[int]*fakeWatcher{}}
	eng, err := core.New(core.Config{Backend: cloop.Watching(l), Threads: 2, VHosts: []core.VHost{{Addr: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.watch) != 3 { // two wake-ups and a listener
		t.Errorf("%d watchers", len(l.watch))
	}
	eng.Detach()
	if len(l.watch) != 0 {
		t.Errorf("%d watchers are left", len(l.watch))
	}
	if err := eng.Attach(cloop.Nested(l)); err != nil {
		t.Fatal(err)
	}
	if len(l.watch) != 2 {
		t.Errorf("%d watchers, of one set for each thread", len(l.watch))
	}
	eng.Stop(-1)
	for end := time.Now().Add(time.Minute); len(l.watch) > 0 && time.Now().Before(end); {
		for _, w := range l.watch {
			w.ready(loop.In)
		}
	}
	<-eng.Done()
}
