package evioloop_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/core/loop/looptest/count"
	"anyloop/loops/evio"
)

// rounds of the tests that count. What the process does besides, a collection now
// and then, is far less than one call in a round.
const rounds = 100

// TestStreamCostsWhatEvioDoes: an echo through evio's connections, one message at a
// time or sixteen at once, makes as many reads and writes as evio's own, one each
// (and none of the two changes of interest by which evio learns that it may write),
// allocates nothing, and changes no interest.
func TestStreamCostsWhatEvioDoes(t *testing.T) {
	const conns = 16
	back := streams(t)
	eng := runOn(t, core.Config{Backend: back, VHosts: []core.VHost{echoes("127.0.0.1:0")}})
	a := serve(t, newBridge(t), func(_ *app, ev *evio.Events) {
		ev.Opened = func(evio.Conn) ([]byte, evio.Options, evio.Action) {
			return nil, evio.Options{ReuseInputBuffer: true}, evio.None
		}
	})
	bare := count.NewPeers(t, "tcp", a.addr, false, conns)
	ours := count.NewPeers(t, "tcp", eng.VHost("default").Addr(), true, conns)
	for _, burst := range []int{1, 16} {
		msg := bytes.Repeat(count.Message, burst)
		want := bare.Spend(rounds, msg, len(msg), nil, nil)
		count.Calls(t, "evio's own reads", want.Reads, rounds, conns)
		count.Calls(t, "evio's own writes", want.Writes, rounds, conns)
		var before, after core.Stats
		var sent uint64
		count.Inside(t, eng, func() { before, sent = eng.Stats(), evioloop.Writes(back, 0) })
		got := ours.Spend(rounds, msg, burst*count.Echoed, nil, nil)
		count.Inside(t, eng, func() { after, sent = eng.Stats(), evioloop.Writes(back, 0)-sent })
		count.Calls(t, "reads", got.Reads, rounds, conns)
		count.Calls(t, "writes beside core's", got.Writes, rounds, 0) // which are sends
		if sent != (rounds+count.WarmUp)*conns {
			t.Errorf("%d at once: %d writes in %d rounds of %d", burst, sent, rounds+count.WarmUp, conns)
		}
		count.SameInterest(t, before, after)
		if got.Mallocs > want.Mallocs+rounds/2 && !raceEnabled {
			t.Errorf("%d at once: %d allocations in %d rounds of %d, evio's own %d", burst, got.Mallocs, rounds, conns, want.Mallocs)
		}
	}
	ours.Close()
	bare.Close()
	a.stop()
}

// TestBridgeTurnsAreShared: messages that have come on 64 connections are served in
// one turn, which costs a byte over the bridge beside a read and a write for each,
// and no change of interest.
func TestBridgeTurnsAreShared(t *testing.T) {
	const conns = 64
	b := newBridge(t)
	path := filepath.Join(t.TempDir(), "s")
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("unix:" + path)}})
	a := serve(t, b, nil)
	p := count.NewPeers(t, "unix", path, true, conns)
	for _, burst := range []int{1, 16} {
		var before, after core.Stats
		count.Inside(t, eng, func() { before = eng.Stats() })
		var release func()
		got := p.Spend(rounds, bytes.Repeat(count.Message, burst), burst*count.Echoed, func() { release = count.Hold(t, eng) }, func() { release() })
		count.Inside(t, eng, func() { after = eng.Stats() })
		// Core's own are receives and sends. The post rings the doorbell, and
		// there is a byte for the turn of the post, and one for that of the
		// messages.
		count.Calls(t, "reads beside core's", got.Reads, rounds, 3)
		count.Calls(t, "writes beside core's", got.Writes, rounds, 3)
		if n := after.Reads - before.Reads; n != (rounds+count.WarmUp)*conns {
			t.Errorf("%d at once: %d reads in %d rounds of %d", burst, n, rounds+count.WarmUp, conns)
		}
		if n := after.Writes - before.Writes; n != (rounds+count.WarmUp)*conns {
			t.Errorf("%d at once: %d writes in %d rounds of %d", burst, n, rounds+count.WarmUp, conns)
		}
		count.SameInterest(t, before, after)
		// A post with its channels; messages cost none.
		if got.Mallocs > 20*rounds && !raceEnabled {
			t.Errorf("%d at once: %d allocations in %d rounds of %d", burst, got.Mallocs, rounds, conns)
		}
	}
	p.Close()
	end(t, eng)
	a.stop()
}
