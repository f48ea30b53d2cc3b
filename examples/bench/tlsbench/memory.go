//go:build linux

package tlsbench

import (
	"fmt"
	"io"
	"strings"

	"anyloop/examples/bench/internal/load"
	"anyloop/examples/bench/internal/serve"
)

// Goals, in bytes of a connection, 0 for none.
type memoryRow struct {
	server
	goal, goalAfter, goalHalf int
}

var memoryRows = []memoryRow{
	{plainOurs, 8 << 10, 0, 512},
	{lendOurs, 4608, 4608, 512},
	{gobwas, 0, 0, 0},
	{gorilla, 0, 0, 0},
}

// footprint is what one connection adds.
type footprint struct {
	heap, stack int // bytes
	goroutines  float64
}

func (f footprint) all() int { return f.heap + f.stack }

// footprints are those of an idle WebSocket after a message of 64 bytes, after one
// of 16 KiB, and of a connection that has sent half a ClientHello.
type footprints struct{ idle, after, half footprint }

func printMemory(w io.Writer, o *options) error {
	fmt.Fprintf(w, "memory of a server per TLS 1.3 connection, in bytes: heap and stacks after a collection, %d connections\n", o.conns)
	fmt.Fprintln(w, "| server | idle | of that stack | goal | after 16 KiB | goal | half a ClientHello | goal | goroutines |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for _, row := range memoryRows {
		if !strings.Contains(row.name, o.row) {
			continue
		}
		f, err := row.measure(o)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		fmt.Fprintf(w, "| %s | %d | %d | %s | %d | %s | %d | %s | %.1f |\n", row.name, f.idle.all(), f.idle.stack, most(row.goal),
			f.after.all(), most(row.goalAfter), f.half.all(), most(row.goalHalf), f.idle.goroutines)
	}
	return nil
}

func most(goal int) string {
	if goal == 0 {
		return "-"
	}
	return fmt.Sprintf("<= %d", goal)
}

func (row memoryRow) measure(o *options) (f footprints, err error) {
	if f.idle, f.after, err = row.idle(o); err != nil {
		return f, err
	}
	f.half, err = row.half(o)
	return f, err
}

// warm is how many connections are there before, so that what the server makes
// once is not counted.
const warm = 64

// start starts a server that has served some connections.
func (row memoryRow) start(o *options) (s *side, before serve.Usage, err error) {
	if s, err = newSide(o, row.c, o.procs); err != nil {
		return nil, before, err
	}
	err = s.load.Ask("open", warm, nil)
	for _, size := range []int{16 << 10, 64} {
		if err == nil {
			err = s.load.Ask("echo", load.Echo{Size: size, Depth: 1, Rounds: 2}, nil)
		}
	}
	if err == nil {
		before, err = s.memory()
	}
	if err != nil {
		return nil, before, stopAll([]*side{s}, err)
	}
	return s, before, nil
}

func (row memoryRow) idle(o *options) (idle, after footprint, err error) {
	s, before, err := row.start(o)
	if err != nil {
		return idle, after, err
	}
	defer func() { err = stopAll([]*side{s}, err) }()
	if err := s.load.Ask("open", o.conns, nil); err != nil {
		return idle, after, err
	}
	if err := s.load.Ask("echo", load.Echo{Size: 64, Depth: 1, Rounds: 1}, nil); err != nil {
		return idle, after, err
	}
	if idle, err = s.added(before, o.conns); err != nil {
		return idle, after, err
	}
	if err := s.load.Ask("echo", load.Echo{Size: 16 << 10, Depth: 1, Rounds: 1}, nil); err != nil {
		return idle, after, err
	}
	after, err = s.added(before, o.conns)
	return idle, after, err
}

func (row memoryRow) half(o *options) (f footprint, err error) {
	s, before, err := row.start(o)
	if err != nil {
		return f, err
	}
	defer func() { err = stopAll([]*side{s}, err) }()
	if err := s.load.Ask("half", o.conns, nil); err != nil {
		return f, err
	}
	return s.added(before, o.conns)
}

// added returns what each of n connections has added to what was there before.
func (s *side) added(before serve.Usage, n int) (f footprint, err error) {
	if err := s.settle(warm + n); err != nil {
		return f, err
	}
	u, err := s.memory()
	if err == nil {
		u, err = s.memory() // what the first was too early for
	}
	if err == nil && u.Conns != warm+n {
		err = fmt.Errorf("%d connections are open, not %d", u.Conns, warm+n)
	}
	f.heap = (int(u.Heap) - int(before.Heap)) / n
	f.stack = (int(u.Stack) - int(before.Stack)) / n
	f.goroutines = float64(u.Goroutines-before.Goroutines) / float64(n)
	return f, err
}
