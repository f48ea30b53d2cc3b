//go:build linux || darwin || freebsd

package evioloop_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/e2e"
	"anyloop/loops/evio"
)

// turn serves an evio server that has nothing but the bridge until the engine has
// ended or left.
func turn(b *evioloop.Bridge, loops int) error {
	served := make(chan error, 1)
	up := make(chan struct{})
	ev := evio.Events{NumLoops: loops, Serving: func(evio.Server) evio.Action { close(up); return evio.None }}
	go func() { served <- b.Serve(ev) }()
	<-up
	<-b.Left()
	if err := b.Shutdown(); err != nil {
		return err
	}
	return <-served
}

func TestConformance(t *testing.T) {
	looptest.Run(t, func(t testing.TB) looptest.Host {
		leaks(t)
		b := newBridge(t)
		return looptest.Host{Backend: b, Run: func(*core.Engine) error { return turn(b, 1) }}
	})
}

func TestConformanceOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	TestConformance(t)
}

// bridged is a host for the end-to-end suite: an evio server with as many loops
// as there are service threads.
func bridged(t testing.TB, threads int) e2e.Host {
	b := newBridge(t)
	return e2e.Host{Backend: b, Run: func(ctx context.Context, eng *core.Engine) error {
		defer context.AfterFunc(ctx, func() { eng.Stop(0) })()
		return turn(b, threads)
	}}
}

func TestEndToEnd(t *testing.T) {
	for _, threads := range []int{1, 2} {
		e2e.Run(t, threads, bridged)
	}
}
