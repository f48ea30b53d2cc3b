package core_test

import (
	"context"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/loops/poll"
)

// ownLoops starts an engine on loops of its own, which nobody turns yet.
func ownLoops(t *testing.T, threads int, protocols ...core.Protocol) *core.Engine {
	t.Helper()
	cfg := core.Config{Backend: poll.Backend(), Threads: threads}
	if protocols != nil {
		cfg.VHosts = []core.VHost{{Addr: "127.0.0.1:0", Protocols: protocols}}
	}
	eng, err := core.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return eng
}

// returns is where run tells what it has returned.
func returns(run func() error) <-chan error {
	ran := make(chan error, 1)
	go func() { ran <- run() }()
	return ran
}

func turning(eng *core.Engine) <-chan error {
	return returns(func() error { return eng.Run(context.Background()) })
}

// comes waits for what must come. The bound is on a hang.
func comes[T any](t *testing.T, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(time.Minute):
		t.Fatalf("never: %s", what)
	}
	return v
}

// inTurnOf runs fn on a thread that somebody turns.
func inTurnOf(t *testing.T, th *core.Thread, fn func()) {
	t.Helper()
	done := make(chan struct{})
	if err := th.Post(func() { defer close(done); fn() }); err != nil {
		t.Fatal(err)
	}
	comes(t, done, "a post runs")
}

// ends stops an engine that ran tells the end of.
func ends(t *testing.T, eng *core.Engine, ran <-chan error) {
	t.Helper()
	eng.Stop(-1)
	comes(t, eng.Done(), "the engine ends")
	if err := comes(t, ran, "Run returns"); err != nil {
		t.Error(err)
	}
}
