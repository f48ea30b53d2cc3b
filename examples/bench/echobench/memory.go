//go:build linux

package echobench

import (
	"time"

	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/internal/report"
	"anyloop/examples/bench/internal/stat"
)

// early is how many connections a server has had before its memory is looked at, so
// that what it makes once, and code that is loaded on its first use, is not counted.
const early = 20

// memory measures a server so many times, each time a new one.
func (b *bench) memory(s *server, r *row) (report.Result, error) {
	sum := report.Result{Server: s.name, Memory: &report.Memory{}}
	var grown, collected, idle []float64
	for range b.starts {
		m, err := b.idle(s, r)
		if err != nil {
			return sum, err
		}
		sum.Memory.Base = m.Base
		grown = append(grown, m.PerConn.Median)
		collected = append(collected, m.Collected)
		idle = append(idle, m.IdleCPU)
	}
	// No interval: the runs are few, and differ little.
	sum.Memory.PerConn = stat.MedianInterval(grown, 1)
	sum.Memory.Collected = stat.Median(collected)
	sum.Memory.IdleCPU = stat.Median(idle)
	return sum, nil
}

func (b *bench) idle(s *server, r *row) (m report.Memory, err error) {
	x, err := b.newSide(s, r)
	if err != nil {
		return m, err
	}
	defer func() { err = firstError(err, x.stop()) }()
	pid := x.p.Pid()
	for _, ask := range []struct {
		what string
		arg  any
	}{{"open", early}, {"touch", nil}, {"close", nil}} {
		if err := x.load.Ask(ask.what, ask.arg, nil); err != nil {
			return m, err
		}
	}
	b.rest(pid)
	if m.Base, err = proc.Resident(pid); err != nil {
		return m, err
	}
	if err := x.open(); err != nil {
		return m, err
	}
	if err := x.load.Ask("touch", nil, nil); err != nil {
		return m, err
	}
	b.rest(pid)
	grown := func() (float64, error) {
		now, err := proc.Resident(pid)
		return float64(now-m.Base) / float64(r.work.Conns), err
	}
	if m.PerConn.Median, err = grown(); err != nil {
		return m, err
	}
	if m.IdleCPU, err = b.idleCPU(pid); err != nil {
		return m, err
	}
	if c, ok := x.p.(*proc.Child); ok && s.collect {
		if err := c.Ask("collect", nil, nil); err != nil {
			return m, err
		}
		m.Collected, err = grown()
	}
	return m, err
}

// rest waits until a process has done next to nothing for a while.
func (b *bench) rest(pid int) {
	const while = 100 * time.Millisecond
	last, _ := proc.Used(pid)
	for range 20 {
		time.Sleep(while)
		u, _ := proc.Used(pid)
		if u.All-last.All < while/100 {
			return
		}
		last = u
	}
}

// idleCPU returns the milliseconds per second that a server needs for nothing.
func (b *bench) idleCPU(pid int) (float64, error) {
	const while = 500 * time.Millisecond
	before, err := proc.Used(pid)
	if err != nil {
		return 0, err
	}
	time.Sleep(while)
	after, err := proc.Used(pid)
	return (after.All - before.All).Seconds() * 1e3 / while.Seconds(), err
}
