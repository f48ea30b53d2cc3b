//go:build linux

package tlsbench

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"anyloop/core"
	"anyloop/examples/bench/internal/load"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/internal/serve"
	"anyloop/examples/bench/internal/stat"
)

// stormRow is one way to live through it.
type stormRow struct {
	name string
	load.Storm
	off   core.OffLoop
	steps int
	goal  bool
}

var stormRows = []stormRow{
	{"no storm", load.Storm{}, core.OffLoopSlow, 0, false},
	{"X25519, signed on workers (default)", load.Storm{PerSecond: 250, X25519: true}, core.OffLoopSlow, 0, true},
	{"the same, ShakeBatch 1", load.Storm{PerSecond: 250, X25519: true}, core.OffLoopSlow, 1, true},
	{"X25519, signed on the loop (OffLoopNone)", load.Storm{PerSecond: 250, X25519: true}, core.OffLoopNone, 0, false},
	{"default key exchange, signed on workers (default)", load.Storm{PerSecond: 250}, core.OffLoopSlow, 0, true},
	{"the same, ShakeBatch 1", load.Storm{PerSecond: 250}, core.OffLoopSlow, 1, true},
	{"default key exchange, signed on the loop", load.Storm{PerSecond: 250}, core.OffLoopNone, 0, false},
}

// storming is what came of it.
type storming struct {
	turns     serve.Turns
	took      []float64 // us of each echo
	echoes    int       // that were to come
	shaken    int
	signature time.Duration // CPU time of one RSA-2048 signature: how fast the machine was
}

func printStorm(w io.Writer, o *options) error {
	fmt.Fprintf(w, "%v of echoes of 64 B, 16 connections, 100 per second on each, beside 250 new RSA-2048 handshakes per second\n", o.storm)
	fmt.Fprintln(w, "| storm | handshakes | echo p50, p90, p99 us | turns of the loop by CPU time of its thread: < 50 us, < 200, < 500, < 1 ms, more | 500 us or more | an RSA-2048 signature then took, us | 5/8 of that or more | goal |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, row := range stormRows {
		if !strings.Contains(row.name, o.row) {
			continue
		}
		r, err := row.measure(o)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		goal := "-"
		if row.goal {
			goal = "<= 1 %"
		}
		t, us := &r.turns, time.Microsecond
		fmt.Fprintf(w, "| %s | %d | %.0f, %.0f, %.0f | %d, %d, %d, %d, %d | %.2f %% | %.0f | %.2f %% | %s |\n", row.name, r.shaken,
			stat.Quantile(r.took, 0.5), stat.Quantile(r.took, 0.9), stat.Quantile(r.took, 0.99),
			t.Between(0, 50*us), t.Between(50*us, 200*us), t.Between(200*us, 500*us), t.Between(500*us, 1000*us), t.Between(1000*us, time.Hour),
			100*t.From(500*us), micro(r.signature), 100*t.From(r.signature*5/8), goal)
	}
	return nil
}

// measure runs the echo and the storm beside each other, each in a process of its
// own.
func (row stormRow) measure(o *options) (r storming, err error) {
	c := plainOurs.with("rsa", row.off)
	c.Turns, c.Steps = true, row.steps
	s, err := newSide(o, c, runtime.NumCPU()) // the workers need a processor, too
	if err != nil {
		return r, err
	}
	defer func() { err = stopAll([]*side{s}, err) }()
	far, err := s.newLoad()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, far.Stop()) }()
	pace := load.Pace{Conns: 16, Every: 10 * time.Millisecond, For: o.storm}
	warmUp := pace
	warmUp.For = 100 * time.Millisecond
	if err := s.load.Ask("pace", warmUp, nil); err != nil {
		return r, err
	}
	r.signature = signature()
	if err := s.server.Ask("turns", nil, nil); err != nil {
		return r, err
	}
	over := make(chan error, 1)
	go func() { over <- row.blow(far, o.storm, &r.shaken) }()
	var took []time.Duration
	err = s.load.Ask("pace", pace, &took)
	if err = errors.Join(err, <-over); err != nil {
		return r, err
	}
	r.echoes = pace.Conns * int(pace.For/pace.Every)
	for _, d := range took {
		r.took = append(r.took, micro(d))
	}
	return r, s.server.Ask("turns", nil, &r.turns)
}

// blow is the storm.
func (row stormRow) blow(l *proc.Child, d time.Duration, shaken *int) error {
	if row.PerSecond == 0 {
		return nil
	}
	what := row.Storm
	what.For = d
	var n load.Shaken
	err := l.Ask("storm", what, &n)
	*shaken = n.Done
	return err
}

// signature returns how long an RSA-2048 signature takes, in CPU time of its thread:
// the median of some.
func signature() time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return 0
	}
	var took []float64
	digest := make([]byte, 32)
	for range 51 {
		before := serve.ThreadCPU()
		rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest, nil)
		took = append(took, float64(serve.ThreadCPU()-before))
	}
	return time.Duration(stat.Median(took))
}
