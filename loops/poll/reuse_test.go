package poll_test

import (
	"errors"
	"testing"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/loops/poll"
)

// passOut turns a nested loop to the end of its engine.
func passOut(t *testing.T, eng *core.Engine, l *poll.Loop) {
	t.Helper()
	eng.Stop(-1)
	for eng.Thread(0).Hosted() {
		if _, err := l.Pass(0); err != nil {
			t.Fatal(err)
		}
	}
	<-eng.Done()
}

// TestClosedLoopHasNoDescriptor: the number of a nested loop that core has left may
// be another's, so the loop does not give it out any more.
func TestClosedLoopHasNoDescriptor(t *testing.T) {
	b := poll.Backend(poll.Nested())
	eng, err := core.New(core.Config{Backend: b})
	if err != nil {
		t.Fatal(err)
	}
	first := b.Thread(0)
	if first.FD() < 0 {
		t.Fatal("an open loop has no descriptor")
	}
	eng.Detach()
	if fd := first.FD(); fd != -1 {
		t.Errorf("after Detach the descriptor is %d", fd)
	}
	if n, err := first.Pass(0); n != 0 || err != nil {
		t.Errorf("a pass after Detach: %d, %v", n, err)
	}
	if err := eng.Attach(b); err != nil {
		t.Fatal(err)
	}
	second := b.Thread(0)
	if first.FD() != -1 || second.FD() < 0 {
		t.Errorf("attached again, the descriptor is %d, and %d of the loop before", second.FD(), first.FD())
	}
	if err := eng.Post(func() { eng.Stop(-1) }); err != nil {
		t.Fatal(err)
	}
	for eng.Thread(0).Hosted() { // the end comes inside a pass
		if second.FD() < 0 {
			t.Fatal("the descriptor is gone before the engine has ended")
		}
		if _, err := second.Pass(0); err != nil {
			t.Fatal(err)
		}
	}
	if fd := second.FD(); fd != -1 {
		t.Errorf("after the end the descriptor is %d", fd)
	}
	<-eng.Done()
}

// TestBackendHasOneEngineAtATime: a second engine would take the first one's place,
// which nobody would turn any more. After the end, and after Detach, one may follow.
func TestBackendHasOneEngineAtATime(t *testing.T) {
	b := poll.Backend(poll.Nested())
	first, err := core.New(core.Config{Backend: b})
	if err != nil {
		t.Fatal(err)
	}
	l := b.Thread(0)
	if _, err := core.New(core.Config{Backend: b}); !errors.Is(err, poll.ErrInUse) {
		t.Fatalf("a second engine: %v", err)
	}
	if b.Thread(0) != l || l.FD() < 0 {
		t.Error("the second engine has touched the first one's loop")
	}
	passOut(t, first, l)
	second, err := core.New(core.Config{Backend: b})
	if err != nil {
		t.Fatal("after the end:", err)
	}
	second.Detach()
	third, err := core.New(core.Config{Backend: b})
	if err != nil {
		t.Fatal("after Detach:", err)
	}
	if err := second.Attach(b); !errors.Is(err, poll.ErrInUse) {
		t.Errorf("back where another engine is: %v", err)
	}
	passOut(t, third, b.Thread(0))
	if err := second.Attach(b); err != nil {
		t.Fatal(err)
	}
	passOut(t, second, b.Thread(0))
}

// TestEndedLoopIsNotInUse: an engine has ended a moment before its Run returns and
// closes the loop; who has waited for its end may use the backend.
func TestEndedLoopIsNotInUse(t *testing.T) {
	b := poll.Backend()
	s := &hosting{hosted: true}
	first, err := b.Open(0, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(0, &hosting{}); !errors.Is(err, poll.ErrInUse) {
		t.Errorf("while it is open: %v", err)
	}
	s.hosted = false
	second, err := b.Open(0, &hosting{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []loop.Loop{first, second} {
		if err := l.(loop.Closer).Close(); err != nil {
			t.Error(err)
		}
	}
}

type hosting struct {
	loop.Service
	hosted bool
}

func (h *hosting) Hosted() bool { return h.hosted }
