//go:build linux

package tlsbench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"anyloop/examples/bench/internal/load"
	"anyloop/examples/bench/internal/stat"
)

// echoRow is one comparison.
type echoRow struct {
	name  string
	conns int
	load.Echo
	goal float64 // 0: none
}

var echoRows = []echoRow{
	{"64 connections, 64 B, one in flight", 64, load.Echo{Size: 64, Depth: 1}, 0.75},
	{"1,000 connections, 64 B, one in flight", 1000, load.Echo{Size: 64, Depth: 1}, 0.67},
	{"64 connections, 64 B, 16 in flight", 64, load.Echo{Size: 64, Depth: 16}, 0.3},
	{"64 connections, 16 KiB, one in flight", 64, load.Echo{Size: 16 << 10, Depth: 1}, 0},
}

// echoServers take turns; the others are compared with the last.
var echoServers = []server{plainOurs, lendOurs, batching, gobwas}

// echoes is what came of one server: medians per message.
type echoes struct {
	server
	cpu           []float64 // us of each slice
	allocs, bytes float64
	calls         float64 // read and write system calls; of ours only
	messages      int     // that came back, in all
}

func printEchoes(w io.Writer, o *options) error {
	fmt.Fprintln(w, "CPU time of the server per WebSocket echo over TLS 1.3, beside a goroutine per connection that makes one write per message")
	fmt.Fprintln(w, "| echo | server | CPU us | ratio, median and middle half | goal | allocations | bytes allocated | reads and writes |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, row := range echoRows {
		if !strings.Contains(row.name, o.row) {
			continue
		}
		all, err := row.compare(o)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		peer := all[len(all)-1]
		for i, e := range all {
			goal, calls := "-", "?"
			if i < 2 {
				calls = fmt.Sprintf("%.2f", e.calls)
				if row.goal > 0 {
					goal = fmt.Sprintf("<= %.2f", row.goal)
				}
			}
			fmt.Fprintf(w, "| %s | %s | %.2f | %s | %s | %.2f | %.0f | %s |\n", row.name, e.name, stat.Median(e.cpu),
				stat.Spread(stat.Ratios(e.cpu, peer.cpu)), goal, e.allocs, e.bytes, calls)
		}
	}
	return nil
}

// compare lets the servers take turns.
func (row echoRow) compare(o *options) (all []echoes, err error) {
	var sides []*side
	defer func() { err = stopAll(sides, err) }()
	var each []stat.Side
	all = make([]echoes, len(echoServers))
	for i, srv := range echoServers {
		s, err := newSide(o, srv.c, o.procs)
		if err != nil {
			return nil, err
		}
		sides = append(sides, s)
		if err := s.load.Ask("open", row.conns, nil); err != nil {
			return nil, err
		}
		e := &all[i]
		e.server = srv
		each = append(each, func() (float64, error) { return row.slice(s, o.slice, e) })
	}
	figures, err := stat.Rounds(o.rounds, each...)
	if err != nil {
		return nil, err
	}
	for i, s := range sides {
		all[i].cpu = figures[i]
		if err := row.costs(s, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// slice loads the server for d and returns its CPU time per message, in us.
func (row echoRow) slice(s *side, d time.Duration, e *echoes) (float64, error) {
	before, err := s.usage()
	if err != nil {
		return 0, err
	}
	what := row.Echo
	what.For = d
	var n int
	if err := s.load.Ask("echo", what, &n); err != nil {
		return 0, err
	}
	e.messages += n
	after, err := s.usage()
	return micro(after.CPU-before.CPU) / float64(max(n, 1)), err
}

// costs counts what messages need besides CPU time.
func (row echoRow) costs(s *side, e *echoes) error {
	before, err := s.memory()
	if err != nil {
		return err
	}
	what := row.Echo
	what.Rounds = max(1, 20_000/row.conns/row.Depth)
	var n int
	if err := s.load.Ask("echo", what, &n); err != nil {
		return err
	}
	e.messages += n
	after, err := s.memory()
	e.allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
	e.bytes = float64(after.Allocated-before.Allocated) / float64(n)
	e.calls = float64(after.Stats.Reads+after.Stats.Writes-before.Stats.Reads-before.Stats.Writes) / float64(n)
	return err
}
