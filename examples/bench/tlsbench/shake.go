//go:build linux

package tlsbench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"anyloop/core"
	"anyloop/examples/bench/internal/load"
	"anyloop/examples/bench/internal/stat"
)

// shakeRow is one kind of handshake.
type shakeRow struct {
	name string
	key  string
	load.Shake
	off  core.OffLoop // of ours
	goal float64      // 0: none
}

var shakeRows = []shakeRow{
	{"ECDSA P-256, TLS 1.3, default key exchange", "ecdsa", load.Shake{}, core.OffLoopSlow, 1},
	{"ECDSA P-256, TLS 1.3, X25519", "ecdsa", load.Shake{X25519: true}, core.OffLoopSlow, 1},
	{"ECDSA P-256, TLS 1.2, X25519", "ecdsa", load.Shake{X25519: true, TLS12: true}, core.OffLoopSlow, 1},
	{"RSA-2048, TLS 1.3, X25519, signed on workers, both servers with two processors", "rsa", load.Shake{X25519: true}, core.OffLoopSlow, 1},
	{"RSA-2048, TLS 1.3, X25519, signed on the loop", "rsa", load.Shake{X25519: true}, core.OffLoopNone, 0},
	{"ECDSA P-256, TLS 1.3, X25519, resumed", "ecdsa", load.Shake{X25519: true, Resume: true}, core.OffLoopSlow, 1},
}

// shakes is what came of a row: medians per handshake.
type shakes struct {
	ours, theirs []float64 // CPU us of each slice
	cost, peer   shakeCost
	made         int // handshakes of both
	resumed      int
}

// shakeCost is what a handshake needs besides, from accept to close.
type shakeCost struct {
	allocs, bytes                         float64
	reads, writes, adds, changes, deletes float64 // system calls; of ours only
}

func printShakes(w io.Writer, o *options) error {
	fmt.Fprintln(w, "handshakes per CPU second of the server, from accept to close, beside net/http")
	fmt.Fprintln(w, "| handshake | anyloop, CPU us | net/http | handshakes per CPU second | net/http | ratio, median and middle half | goal | allocations | net/http | of ours: reads, writes, adds, changes, deletes |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	for _, row := range shakeRows {
		if !strings.Contains(row.name, o.row) {
			continue
		}
		r, err := row.compare(o)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		goal := "-"
		if row.goal > 0 {
			goal = fmt.Sprintf(">= %.2f", row.goal)
		}
		a, b, c := stat.Median(r.ours), stat.Median(r.theirs), r.cost
		fmt.Fprintf(w, "| %s | %.0f | %.0f | %.0f | %.0f | %s | %s | %.0f, %.1f KiB | %.0f, %.1f KiB | %.2f, %.2f, %.2f, %.2f, %.2f |\n", row.name, a, b, 1e6/a, 1e6/b,
			stat.Spread(stat.Ratios(r.theirs, r.ours)), goal, c.allocs, c.bytes/1024, r.peer.allocs, r.peer.bytes/1024,
			c.reads, c.writes, c.adds, c.changes, c.deletes)
	}
	return nil
}

// compare lets the two servers take turns.
func (row shakeRow) compare(o *options) (r shakes, err error) {
	var sides []*side
	defer func() { err = stopAll(sides, err) }()
	var each []stat.Side
	for _, srv := range []server{plainOurs, gorilla} {
		s, err := newSide(o, srv.with(row.key, row.off), row.procs(o))
		if err != nil {
			return r, err
		}
		sides = append(sides, s)
		each = append(each, func() (float64, error) { return row.slice(s, o.slice, &r) })
	}
	if row.Resume {
		for _, s := range sides { // gets the session
			if _, err := s.shake(load.Shake{Resume: true, X25519: row.X25519, Count: 1}); err != nil {
				return r, err
			}
		}
	}
	all, err := stat.Rounds(o.rounds, each...)
	if err != nil {
		return r, err
	}
	r.ours, r.theirs = all[0], all[1]
	if r.cost, err = row.costs(sides[0]); err != nil {
		return r, err
	}
	r.peer, err = row.costs(sides[1])
	return r, err
}

// procs is the servers' GOMAXPROCS: a worker that signs needs a processor besides
// the loop's.
func (row shakeRow) procs(o *options) int {
	if row.key == "rsa" && row.off != core.OffLoopNone {
		return max(o.procs, 2)
	}
	return o.procs
}

// parallel is how many handshakes are underway at a time.
const parallel = 4

// slice makes handshakes for d and returns the server's CPU time for each, in us.
func (row shakeRow) slice(s *side, d time.Duration, r *shakes) (float64, error) {
	before, err := s.usage()
	if err != nil {
		return 0, err
	}
	what := row.Shake
	what.For, what.Parallel = d, parallel
	n, err := s.shake(what)
	if err != nil {
		return 0, err
	}
	after, err := s.usage()
	if err != nil {
		return 0, err
	}
	if got := int(after.Handshakes - before.Handshakes); got != n.Done {
		return 0, fmt.Errorf("the server counts %d handshakes of %d", got, n.Done)
	}
	if got := int(after.Resumed - before.Resumed); got != n.Resumed || row.Resume && got != n.Done {
		return 0, fmt.Errorf("%d of %d handshakes resumed a session, the server says %d", n.Resumed, n.Done, got)
	}
	r.made += n.Done
	r.resumed += n.Resumed
	return micro(after.CPU-before.CPU) / float64(max(n.Done, 1)), nil
}

// shake makes handshakes and waits until the server is rid of all.
func (s *side) shake(what load.Shake) (n load.Shaken, err error) {
	if err := s.load.Ask("shake", what, &n); err != nil {
		return n, err
	}
	return n, s.settle(0)
}

// costs counts what handshakes one after the other need.
func (row shakeRow) costs(s *side) (c shakeCost, err error) {
	before, err := s.memory()
	if err != nil {
		return c, err
	}
	what := row.Shake
	what.Count, what.Parallel = 200, 1
	if _, err := s.shake(what); err != nil {
		return c, err
	}
	after, err := s.memory()
	per := func(a, b uint64) float64 { return float64(b-a) / float64(what.Count) }
	x, y := before.Stats, after.Stats
	return shakeCost{
		allocs: per(before.Mallocs, after.Mallocs), bytes: per(before.Allocated, after.Allocated),
		reads: per(x.Reads, y.Reads), writes: per(x.Writes, y.Writes),
		adds: per(x.Adds, y.Adds), changes: per(x.Changes, y.Changes), deletes: per(x.Dels, y.Dels),
	}, err
}
