package core_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// TestListenerTellsWhyItDoesNotAccept: clients that wait for a descriptor, or below
// MaxConns, are seen by nobody; the log says so, but not ten times a second.
func TestListenerTellsWhyItDoesNotAccept(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  sim.Options
		lim  core.Limits
		want string
	}{
		{"EMFILE", sim.Options{Files: 12}, core.Limits{PingInterval: -1, PongTimeout: -1}, syscall.EMFILE.Error()},
		{"MaxConns", sim.Options{}, core.Limits{PingInterval: -1, PongTimeout: -1, MaxConns: 10}, "MaxConns"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.opt, core.Config{Limits: c.lim, VHosts: []core.VHost{{
				Protocols: []core.Protocol{recording("rec", &[]*recorder{}, func(*recorder) {})},
			}}})
			told := func() int { return strings.Count(w.log.String(), "not accepting") }
			for range 10 {
				w.ws()
			}
			w.k.Drive()
			for range 3 {
				w.dial()
			}
			w.k.Drive()
			if n := told(); n != 1 || !strings.Contains(w.log.String(), c.want) {
				t.Errorf("told %d times, want once, with %q:\n%s", n, c.want, w.log)
			}
			w.k.Advance(59 * time.Second)
			if n := told(); n != 1 {
				t.Errorf("told %d times within a minute", n)
			}
		})
	}
}
