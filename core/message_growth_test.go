package core_test

import (
	"runtime"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// TestManyFragmentsAreNotCopiedAgainAndAgain: assembling a message of n fragments
// takes memory in proportion to its size, not to its size times n.
func TestManyFragmentsAreNotCopiedAgainAndAgain(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.ws()
	const n = 8192
	part := strings.Repeat("x", 64)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range n {
		op := ws.Continuation
		if i == 0 {
			op = ws.Text
		}
		p.Write(frame(op, i == n-1, part))
		w.k.Drive()
	}
	runtime.ReadMemStats(&after)
	p.want("text [524288]")
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<20 {
		t.Errorf("%d MiB allocated for a message of half a MiB", spent>>20)
	}
}
