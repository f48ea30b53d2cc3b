package external_test

import (
	"errors"
	"slices"
	"testing"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/loops/external"
)

// TestBackendHasOneThread: hooks for one service thread are not given to two, of
// which the application would turn one. What was opened is closed again.
func TestBackendHasOneThread(t *testing.T) {
	table, closed := map[int]loop.Events{}, 0
	hooks := external.Hooks{
		Add:    func(fd int, ev loop.Events) error { table[fd] = ev; return nil },
		Change: func(fd int, _, ev loop.Events) { table[fd] = ev },
		Del:    func(fd int) { delete(table, fd) },
		Close:  func() { closed++ },
	}
	cfg := core.Config{Backend: external.Backend(hooks), Threads: 2, VHosts: []core.VHost{{Addr: "127.0.0.1:0"}}}
	if _, err := core.New(cfg); !errors.Is(err, external.ErrOneThread) {
		t.Fatalf("two threads: %v", err)
	}
	if len(table) != 0 || closed != 1 {
		t.Errorf("%d descriptors are left, closed %d times", len(table), closed)
	}
	cfg.Backend = perThread(nil)
	eng, err := core.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	eng.Detach()
	if err := eng.Attach(external.Backend(hooks)); !errors.Is(err, external.ErrOneThread) {
		t.Errorf("Attach of two threads: %v", err)
	}
	if len(table) != 0 || eng.Thread(0).Hosted() || eng.Threads() != 2 {
		t.Errorf("%d descriptors are left, %d threads, hosted %v", len(table), eng.Threads(), eng.Thread(0).Hosted())
	}
	if err := eng.Attach(perThread(nil)); err != nil {
		t.Fatal(err)
	}
	end(eng)
}

// TestHooksAreMadeOncePerThread: a function that makes a loop for each call makes
// one for each thread, whatever the backend is asked, and also when the engine has
// been away.
func TestHooksAreMadeOncePerThread(t *testing.T) {
	var asked []int
	b := perThread(func(thread int) { asked = append(asked, thread) })
	eng, err := core.New(core.Config{Backend: b, Threads: 2, VHosts: []core.VHost{{Addr: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	if name := b.Info().Name; name != "per thread" {
		t.Errorf("it is called %q", name)
	}
	eng.Detach()
	if err := eng.Attach(b); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(asked, []int{0, 1}) {
		t.Errorf("asked for the hooks of %v", asked)
	}
	end(eng)
}

// perThread is a backend of loops that are never ready.
func perThread(asked func(thread int)) loop.Backend {
	return external.Threads(func(thread int) external.Hooks {
		if asked != nil {
			asked(thread)
		}
		return external.Hooks{Name: "per thread", Add: func(int, loop.Events) error { return nil },
			Change: func(int, loop.Events, loop.Events) {}, Del: func(int) {}}
	})
}

// end turns an engine without connections to its end: all threads, since one may
// wait for another.
func end(eng *core.Engine) {
	eng.Stop(-1)
	for hosted := true; hosted; {
		hosted = false
		for i := range eng.Threads() {
			th := eng.Thread(i)
			for fd := int32(0); fd < 1<<10 && th.Hosted(); fd++ {
				th.ServiceFD(&loop.PollFD{Fd: fd, Events: 1, Revents: 1})
			}
			if th.Hosted() {
				th.ServicePending()
				hosted = true
			}
		}
	}
	<-eng.Done()
}
