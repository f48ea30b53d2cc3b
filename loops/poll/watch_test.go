package poll_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/loops/poll"
)

// jobs is a host that can run functions on its goroutine and nothing else.
type jobs chan func()

var errHostEnded = errors.New("the host has ended")

func (j jobs) run(until <-chan struct{}) {
	for {
		select {
		case f := <-j:
			f()
		case <-until:
			return
		}
	}
}

func (j jobs) post(job func()) error {
	select {
	case j <- job:
		return nil
	default:
		return errHostEnded // its queue is larger than one job: it is gone
	}
}

func TestWatcherPassesLooptest(t *testing.T) {
	looptest.Run(t, func(testing.TB) looptest.Host {
		b := poll.Backend(poll.Nested())
		return looptest.Host{Backend: b, Run: func(e *core.Engine) error {
			host := make(jobs, 1)
			w, err := b.Thread(0).Watch(8, host.post)
			if err != nil {
				return err
			}
			host.run(w.Done())
			return w.Err()
		}}
	})
}

// watched is an engine on a nested loop, and its host.
func watched(t *testing.T) (*core.Engine, *poll.Loops) {
	t.Helper()
	b := poll.Backend(poll.Nested())
	eng, err := core.New(core.Config{Backend: b})
	if err != nil {
		t.Fatal(err)
	}
	return eng, b
}

// finish turns an engine that nobody hosts any more to its end.
func finish(t *testing.T, eng *core.Engine) {
	t.Helper()
	eng.Detach()
	if err := eng.Attach(poll.Backend()); err != nil {
		t.Fatal(err)
	}
	eng.Stop(-1)
	if err := eng.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestWatcherSurvivesItsHost: the host ends with a job of ours in its queue. The
// watcher ends when it is told; the job, run late, does nothing; the engine lives
// on in another loop.
func TestWatcherSurvivesItsHost(t *testing.T) {
	before := openFiles(t)
	eng, b := watched(t)
	host := make(jobs, 1)
	w, err := b.Thread(0).Watch(0, host.post)
	if err != nil {
		t.Fatal(err)
	}
	job := <-host // queued, and never run by the host
	w.Lost()
	if err := w.Err(); !errors.Is(err, poll.ErrHostGone) {
		t.Errorf("ended with %v", err)
	}
	waits := b.Thread(0).Waits()
	job()
	if n := b.Thread(0).Waits() - waits; n != 0 {
		t.Errorf("a job turned the loop %d times after the end", n)
	}
	finish(t, eng)
	if n := openFiles(t); n != before {
		t.Errorf("%d descriptors before, %d after", before, n)
	}
}

// TestWatcherEndsWhenPostFails: a host that takes no job has ended.
func TestWatcherEndsWhenPostFails(t *testing.T) {
	eng, b := watched(t)
	w, err := b.Thread(0).Watch(0, func(func()) error { return errHostEnded })
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Err(); !errors.Is(err, errHostEnded) || !errors.Is(err, poll.ErrHostGone) {
		t.Errorf("ended with %v", err)
	}
	finish(t, eng)
}

// TestWatcherStopsAnywhere: stopped while it sleeps, while a job is queued, and
// inside a job; another can follow, but not two at a time.
func TestWatcherStopsAnywhere(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	eng, b := watched(t)
	l := b.Thread(0)
	host := make(jobs, 1)
	watch := func() *poll.Watcher {
		w, err := l.Watch(0, host.post)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := watch()
	if _, err := l.Watch(0, host.post); err == nil {
		t.Error("two watchers at a time")
	}
	(<-host)() // the first turn; then nothing is ready and it sleeps
	w.Stop()
	w = watch()
	eng.Wake()
	late := <-host
	w.Stop()
	late()
	w = watch()
	if err := eng.Post(func() { w.Stop() }); err != nil {
		t.Fatal(err)
	}
	(<-host)()
	if err := w.Err(); err != nil {
		t.Errorf("ended with %v", err)
	}
	finish(t, eng)
	for end := time.Now().Add(looptest.Bound); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
		}
	}
}

// TestWatcherNeedsANestedLoop: there is nothing to watch in a loop that turns
// itself.
func TestWatcherNeedsANestedLoop(t *testing.T) {
	b := poll.Backend()
	eng, err := core.New(core.Config{Backend: b})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Thread(0).Watch(0, func(func()) error { return nil }); !errors.Is(err, poll.ErrNoDescriptor) {
		t.Errorf("Watch answered %v", err)
	}
	if err := eng.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(d)
}
