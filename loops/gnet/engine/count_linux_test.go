package gnetengine_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/looptest/count"
	gnetengine "anyloop/loops/gnet/engine"
)

// rounds of the tests that count. What the process does besides, a collection now
// and then, is far less than one call in a round.
const rounds = 100

// TestStreamCostsWhatGnetDoes: an echo through gnet's connections, one message at a
// time or sixteen at once, makes as many reads and writes as gnet's own, one each,
// allocates nothing, and changes no interest.
func TestStreamCostsWhatGnetDoes(t *testing.T) {
	const conns = 16
	b := gnetengine.Streams()
	path := filepath.Join(t.TempDir(), "s")
	eng, _ := newEngine(t, core.Config{Backend: b}, echoing("unix:"+path))
	ran := make(chan error, 1)
	go func() { ran <- eng.Run(context.Background()) }()
	wait(t, b.Listening(), "gnet does not listen")
	ours := count.NewPeers(t, "unix", path, true, conns)
	bare := count.NewPeers(t, "unix", run(t, &program{}).path, false, conns)
	for _, burst := range []int{1, 16} {
		msg := bytes.Repeat(count.Message, burst)
		want := bare.Spend(rounds, msg, len(msg), nil, nil)
		count.Calls(t, "gnet's own reads", want.Reads, rounds, conns)
		count.Calls(t, "gnet's own writes", want.Writes, rounds, conns)
		var before, after core.Stats
		var sent uint64
		count.Inside(t, eng, func() { before, sent = eng.Stats(), gnetengine.Writes(b, 0) })
		got := ours.Spend(rounds, msg, burst*count.Echoed, nil, nil)
		count.Inside(t, eng, func() { after, sent = eng.Stats(), gnetengine.Writes(b, 0)-sent })
		count.Calls(t, "reads", got.Reads, rounds, conns)
		count.Calls(t, "writes beside core's", got.Writes, rounds, 0) // which are sends
		if sent != (rounds+count.WarmUp)*conns {
			t.Errorf("%d at once: %d writes in %d rounds of %d", burst, sent, rounds+count.WarmUp, conns)
		}
		count.SameInterest(t, before, after)
		if got.Mallocs > want.Mallocs+rounds/2 && !raceEnabled {
			t.Errorf("%d at once: %d allocations in %d rounds of %d, gnet's own %d", burst, got.Mallocs, rounds, conns, want.Mallocs)
		}
	}
	ours.Close()
	shutdown(t, eng)
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// TestBridgeTurnsAreShared: messages that have come on 64 connections are served in
// one turn, which costs gnet's wake-up beside a read and a write for each, and no
// change of interest. Without the bridge there would be those, and the turn's wait.
func TestBridgeTurnsAreShared(t *testing.T) {
	const conns = 64
	b := gnetengine.New()
	run(t, b.Wrap(nil))
	path := filepath.Join(t.TempDir(), "s")
	eng, _ := newEngine(t, core.Config{Backend: b}, echoing("unix:"+path))
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the bridge is up", func() bool { return gnetengine.Settled(b) })
	p := count.NewPeers(t, "unix", path, true, conns)
	for _, burst := range []int{1, 16} {
		var before, after core.Stats
		count.Inside(t, eng, func() { before = eng.Stats() })
		var release func()
		got := p.Spend(rounds, bytes.Repeat(count.Message, burst), burst*count.Echoed, func() { release = count.Hold(t, eng) }, func() { release() })
		count.Inside(t, eng, func() { after = eng.Stats() })
		// Core's own are receives and sends. The post rings the doorbell, which
		// is read; gnet is woken for the turn of the post, and for that of the
		// messages, if it is not awake.
		count.Calls(t, "reads beside core's", got.Reads, rounds, 1)
		if n := got.Writes; n > 3*rounds+rounds/2 {
			t.Errorf("%d at once: %d writes beside core's in %d rounds, want 3 each at most", burst, n, rounds)
		}
		if n := after.Reads - before.Reads; n != (rounds+count.WarmUp)*conns {
			t.Errorf("%d at once: %d reads in %d rounds of %d", burst, n, rounds+count.WarmUp, conns)
		}
		if n := after.Writes - before.Writes; n != (rounds+count.WarmUp)*conns {
			t.Errorf("%d at once: %d writes in %d rounds of %d", burst, n, rounds+count.WarmUp, conns)
		}
		count.SameInterest(t, before, after)
		// A post with its channels, and gnet's two jobs; messages cost none.
		if got.Mallocs > 20*rounds && !raceEnabled {
			t.Errorf("%d at once: %d allocations in %d rounds of %d", burst, got.Mallocs, rounds, conns)
		}
	}
	p.Close()
	shutdown(t, eng)
}
