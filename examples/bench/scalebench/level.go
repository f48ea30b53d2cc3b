//go:build linux

package scalebench

import (
	"errors"
	"fmt"
	"io"
	"time"

	"anyloop/examples/bench/internal/proc"
)

// level is what so many connections cost.
type level struct {
	conns              int
	opened             time.Duration
	heap, asIs, packed int // bytes for each; 0: not known
	quiet
}

// quiet is an idle while.
type quiet struct {
	length time.Duration
	turns  int // -1: not known
	sleeps int
	cpu    time.Duration
	pings  int
}

// level looks at the memory, and is idle for d.
func (s *side) level(conns int, d time.Duration) (l level, err error) {
	st, err := s.look()
	if err != nil {
		return l, err
	}
	if s.child != nil && st.Conns != conns {
		return l, fmt.Errorf("the server has %d", st.Conns)
	}
	l = level{conns: conns, asIs: (st.asIs - s.base.asIs) / conns}
	if s.child != nil {
		l.heap = (int(st.Heap) - int(s.base.Heap)) / conns
		l.packed = (st.packed - s.base.packed) / conns
	}
	l.quiet, err = s.quiet(d)
	return l, err
}

// quiet is idle for d: nothing is asked of the server but what it asks for itself.
func (s *side) quiet(d time.Duration) (q quiet, err error) {
	before, err := s.count()
	if err != nil {
		return q, err
	}
	began := time.Now()
	if err := s.crowd.Ask("idle", d, &q.pings); err != nil {
		return q, err
	}
	q.length = time.Since(began)
	after, err := s.count()
	if err != nil {
		return q, err
	}
	q.turns, q.sleeps, q.cpu = -1, after.sleeps-before.sleeps, after.cpu-before.cpu
	if s.child == nil {
		return q, nil
	}
	q.turns = int(after.Turns - before.Turns)
	// Each Ping takes a turn when it is due, and one when it is answered. What
	// is left has no reason.
	if most := 2*q.pings + int(d/time.Second) + 2; q.turns > most {
		return q, fmt.Errorf("%d turns of the loop in %v in which nothing happened but %d Pings", q.turns, d, q.pings)
	}
	return q, nil
}

// count looks at what happens, without the memory.
func (s *side) count() (st state, err error) {
	if s.child != nil {
		if err := s.child.Ask("turns", nil, &st.Inside); err != nil {
			return st, err
		}
	}
	if st.sleeps, err = s.Switches(); err != nil {
		return st, err
	}
	used, err := proc.Used(s.Pid())
	st.cpu = used.All
	return st, err
}

// print prints it as a row. Without conns opened it is one of idleness only.
func (l *level) print(w io.Writer, name string) {
	opened, heap, packed, asIs, turns := "-", "-", "-", "-", "-"
	if l.opened > 0 {
		opened, asIs = fmt.Sprintf("%.1f", l.opened.Seconds()), fmt.Sprint(l.asIs)
	}
	if l.heap > 0 {
		heap, packed = fmt.Sprint(l.heap), fmt.Sprint(l.packed)
	}
	s := l.length.Seconds()
	if l.turns >= 0 {
		turns = fmt.Sprintf("%.1f", float64(l.turns)/s)
	}
	fmt.Fprintf(w, "| %s | %d | %s | %s | %s | %s | %s | %.1f | %.1f | %d |\n", name, l.conns, opened, heap, asIs, packed, turns,
		float64(l.sleeps)/s, float64(l.cpu.Milliseconds())/s, l.pings)
}

// flat fails if a connection costs more of the heap at one level than at another,
// by more than a twentieth and what tables that grow by pieces leave open.
func flat(all []level) (err error) {
	for _, a := range all {
		for _, b := range all {
			if a.heap > b.heap*21/20+8 {
				err = errors.Join(err, fmt.Errorf("a connection has %d bytes of the heap at %d and %d at %d", a.heap, a.conns, b.heap, b.conns))
			}
		}
	}
	return err
}
