package core_test

import (
	"context"
	"errors"
	"testing"

	"anyloop/core"
	"anyloop/loops/poll"
)

// detached is an engine that Run, or Thread.Run, has turned, and that has left its loop.
func detached(t *testing.T, run func(*core.Engine) error) *core.Engine {
	t.Helper()
	eng := ownLoops(t, 1)
	ran := returns(func() error { return run(eng) })
	inTurnOf(t, eng.Thread(0), eng.Detach)
	if err := comes(t, ran, "Run returns after Detach"); err != nil {
		t.Fatal(err)
	}
	return eng
}

func engineRun(eng *core.Engine) error { return eng.Run(context.Background()) }
func threadRun(eng *core.Engine) error { return eng.Thread(0).Run() }

func attach(t *testing.T, eng *core.Engine) {
	t.Helper()
	if err := eng.Attach(poll.Backend()); err != nil {
		t.Fatal(err)
	}
}

// TestRunOfADetachedEngineDoesNotStopIt: it says what is missing, and the engine runs
// where it is attached.
func TestRunOfADetachedEngineDoesNotStopIt(t *testing.T) {
	eng := detached(t, engineRun)
	for range 2 {
		if err := engineRun(eng); !errors.Is(err, core.ErrDetached) {
			t.Errorf("Run: %v", err)
		}
		if err := threadRun(eng); !errors.Is(err, core.ErrDetached) {
			t.Errorf("Thread.Run: %v", err)
		}
	}
	attach(t, eng)
	ran := turning(eng)
	inTurnOf(t, eng.Thread(0), func() {})
	select {
	case err := <-ran:
		t.Fatalf("Run has ended by itself: %v", err)
	default:
	}
	ends(t, eng, ran)
	if err := threadRun(eng); !errors.Is(err, core.ErrStopped) {
		t.Errorf("Thread.Run after the end: %v", err)
	}
}

// TestShutdownOfADetachedEngineLeavesTheEndToRun: it waits as long as it may; the next
// Run ends the engine.
func TestShutdownOfADetachedEngineLeavesTheEndToRun(t *testing.T) {
	eng := detached(t, engineRun)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := eng.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	attach(t, eng)
	if err := comes(t, turning(eng), "Run returns"); err != nil {
		t.Error(err)
	}
	comes(t, eng.Done(), "the engine ends")
}

// TestDetachWhileShutdownTurns: what Shutdown could not finish, Run does.
func TestDetachWhileShutdownTurns(t *testing.T) {
	eng := ownLoops(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan struct{})
	eng.Post(func() { eng.Detach(); close(left) })
	down := returns(func() error { return eng.Shutdown(ctx) })
	comes(t, left, "Shutdown turns the loops")
	cancel()
	if err := comes(t, down, "Shutdown returns"); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	for { // Shutdown's own run may be on its way out yet
		if err := engineRun(eng); errors.Is(err, core.ErrDetached) {
			break
		}
	}
	attach(t, eng)
	if err := comes(t, turning(eng), "Run returns"); err != nil {
		t.Error(err)
	}
	comes(t, eng.Done(), "the engine ends")
}

// TestEngineRunAfterThreadRun: threads that have been turned one by one are free for Run
// when they have left.
func TestEngineRunAfterThreadRun(t *testing.T) {
	eng := detached(t, threadRun)
	attach(t, eng)
	ran := turning(eng)
	inTurnOf(t, eng.Thread(0), eng.Detach)
	if err := comes(t, ran, "Run returns"); err != nil {
		t.Errorf("Run: %v", err)
	}
	attach(t, eng)
	if err := eng.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestAThreadIsTurnedOnce: whoever comes second is refused, and the first turns on.
func TestAThreadIsTurnedOnce(t *testing.T) {
	runs := map[string]func(*core.Engine) error{"Engine.Run": engineRun, "Thread.Run": threadRun}
	for first, a := range runs {
		for second, b := range runs {
			t.Run(first+", "+second, func(t *testing.T) {
				eng := ownLoops(t, 1)
				ran := returns(func() error { return a(eng) })
				inTurnOf(t, eng.Thread(0), func() {})
				if err := comes(t, returns(func() error { return b(eng) }), "the second is refused"); !errors.Is(err, core.ErrRunning) {
					t.Errorf("the second: %v", err)
				}
				inTurnOf(t, eng.Thread(0), func() {})
				ends(t, eng, ran)
				if n := eng.Stats().Misuses; n != 0 {
					t.Errorf("%d misuses", n)
				}
			})
		}
	}
}

// TestDetachFromOutsideIsNamed: a thread that Run turns is not taken from under it, nor
// is one that is not the caller's.
func TestDetachFromOutsideIsNamed(t *testing.T) {
	eng := ownLoops(t, 2)
	ran := turning(eng)
	for i := range 2 {
		inTurnOf(t, eng.Thread(i), func() {})
	}
	eng.Detach()
	eng.Thread(0).Detach()
	for i := range 2 {
		inTurnOf(t, eng.Thread(i), func() {
			if !eng.Thread(i).Hosted() {
				t.Errorf("thread %d has left", i)
			}
		})
	}
	for i := range 2 {
		inTurnOf(t, eng.Thread(i), eng.Thread(i).Detach)
	}
	if err := comes(t, ran, "Run returns after Detach"); err != nil {
		t.Fatal(err)
	}
	attach(t, eng)
	eng.Detach() // nobody turns it: anybody may
	attach(t, eng)
	ends(t, eng, turning(eng))
	if n := eng.Stats().Misuses; n != 3 {
		t.Errorf("%d misuses", n)
	}
}

// TestShutdownDeepInAHandler: it is told from one elsewhere, however deep it is.
func TestShutdownDeepInAHandler(t *testing.T) {
	eng := ownLoops(t, 1)
	ran := turning(eng)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var down func(depth int) error
	down = func(depth int) error {
		if depth == 0 {
			return eng.Shutdown(ctx)
		}
		err := down(depth - 1)
		return err
	}
	inTurnOf(t, eng.Thread(0), func() {
		for _, depth := range []int{1, 40, 80, 1000} {
			if err := down(depth); !errors.Is(err, core.ErrWouldDeadlock) {
				t.Errorf("%d calls deep: %v", depth, err)
			}
		}
	})
	ends(t, eng, ran)
}
