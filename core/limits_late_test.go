package core_test

import (
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// TestPingAfterAStall: a loop that was held up for longer than PongTimeout asks late,
// and its peers have as much time for the answer as ever: they are not dropped for
// what is not their fault.
func TestPingAfterAStall(t *testing.T) {
	const interval, timeout = 40 * time.Second, 50 * time.Second
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()},
		Limits: core.Limits{PingInterval: interval, PongTimeout: timeout}})
	alive, gone := w.ws(), w.ws()
	w.k.Skip(5 * time.Minute)
	for _, p := range []*peer{alive, gone} {
		if got := p.frames(); !strings.HasPrefix(got, "ping ") || strings.Contains(got, "|") {
			t.Errorf("after the stall: %s", got)
		}
	}
	w.k.Advance(timeout - interval - 1)
	alive.pong("")
	alive.want("")
	gone.want("")
	w.k.Advance(1)
	gone.want("eof")
	w.k.Advance(interval - 2)
	alive.want("")
	w.k.Advance(1)
	if got := alive.frames(); !strings.HasPrefix(got, "ping ") {
		t.Errorf("the next ping: %s", got)
	}
}
