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

func TestEndToEndTLS(t *testing.T) { e2e.RunTLS(t, []int{1, 2}, bridged) }

// streamed is a host for the end-to-end suite in which evio has the connections.
func streamed(t testing.TB, _ int) e2e.Host {
	return e2e.Host{Backend: streams(t), Limits: map[string]e2e.Result{
		"ws-flow":         e2e.Does("after 64 KiB the socket is taken from evio"),
		"http-half-close": e2e.Does("the peer's end of stream closes"),
		"raw-half-close":  e2e.Does("the peer's end of stream closes"),
		"capacity":        e2e.Does("a connection beyond MaxConns is closed"),
		"add-vhost":       e2e.Refuses("further addresses"),
	}}
}

// notStreams are the lines of the contract that a backend with the connections in
// its own hands cannot be asked, and where what they are about is tested.
var notStreams = map[string]string{
	"Line1_AddChangeDelAreExact":       "connections are not in the loop",
	"Line2_NothingIsHidden":            "neither they nor listeners are announced",
	"Line4_EventsIsNotNeeded":          "they have no readiness",
	"Line6_ReadinessIsAHint":           "the same",
	"Line9_AllFourMasks":               "they have no interest; pausing: ws-flow, TestPauseTakesTheSocket",
	"Line11_WorkIsBounded":             "evio reads 64 KiB at a time, once per event",
	"Line12_AcceptingPausesAtTheLimit": "evio accepts; beyond the limit: capacity, TestAcceptErrorIsSurvived",
}

func TestConformanceStreams(t *testing.T) {
	for _, name := range looptest.Lines() {
		t.Run(name, func(t *testing.T) {
			if why := notStreams[name]; why != "" {
				t.Skip("does not apply: " + why)
			}
			leaks(t)
			looptest.RunLine(t, name, looptest.Host{Backend: streams(t)}, nil)
		})
	}
}

func streams(t testing.TB) *evioloop.StreamLoops {
	t.Helper()
	b, err := evioloop.Streams()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEndToEndStreamsOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, name := range []string{"ws-echo", "ws-flow", "http", "post", "shutdown"} {
		t.Run(name, func(t *testing.T) { e2e.RunCase(t, name, 1, streamed) })
	}
}

func TestEndToEndStreams(t *testing.T) {
	for _, threads := range []int{1, 2} {
		e2e.Run(t, threads, streamed)
	}
}

func TestEndToEndStreamsTLS(t *testing.T) { e2e.RunTLS(t, []int{1, 2}, streamed) }

func TestStreamSuite(t *testing.T) {
	looptest.RunStreams(t, func(t testing.TB) looptest.StreamHost {
		leaks(t)
		return looptest.StreamHost{Host: looptest.Host{Backend: streams(t)}, NoEOF: true, NoPause: true, Steals: true}
	})
}
