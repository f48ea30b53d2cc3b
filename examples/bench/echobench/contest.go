//go:build linux

package echobench

import (
	"fmt"
	"time"

	"anyloop/examples/bench/internal/plain"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/internal/report"
	"anyloop/examples/bench/internal/stat"
)

// side is a server that is up, with its load and what has been measured.
type side struct {
	b      *bench
	server *server
	row    *row
	p      process
	load   *proc.Child

	warm    bool // what comes counts
	cpu     proc.CPU
	loadCPU time.Duration
	busy    time.Duration // of the machine
	elapsed time.Duration
	units   uint64
	slices  []float64 // microseconds per unit
	pairs   [][2]float64
}

// newSide starts the server, and its load without connections.
func (b *bench) newSide(s *server, r *row) (*side, error) {
	x := &side{b: b, server: s, row: r}
	var err error
	var addr string
	if x.p, addr, err = b.up(s, r); err != nil {
		return nil, err
	}
	w := r.work
	w.Addr, w.Raw = addr, s.raw
	if w.Kind == plain.Get {
		w.Body = fileBody()
	}
	if x.load, err = proc.StartOn(b.loadCore, "plain", w, 1); err != nil {
		x.p.Stop()
		return nil, err
	}
	return x, nil
}

// open opens the connections.
func (x *side) open() error {
	if x.row.work.Kind == plain.Connect {
		return nil // they are what is measured
	}
	return x.load.Ask("open", x.row.work.Conns, nil)
}

// stop ends both. The error is why the server had ended before, if it had.
func (x *side) stop() error {
	x.load.Stop()
	return x.p.Stop()
}

// slice loads the server for d and returns its CPU time per unit, in microseconds.
// The first slice warms up.
func (x *side) slice(d time.Duration) (float64, error) {
	before, err := x.used()
	if err != nil {
		return 0, err
	}
	var got plain.Slice
	if err := x.load.Ask("slice", d, &got); err != nil {
		return 0, err
	}
	settle(x.p.Pid())
	after, err := x.used()
	if err != nil {
		return 0, err
	}
	cpu := after.server.Sub(before.server)
	if got.Units == 0 || cpu.All <= 0 {
		return 0, fmt.Errorf("nothing was measured: %d %ss, %v", got.Units, x.row.unit, cpu.All)
	}
	us := float64(cpu.All.Nanoseconds()) / 1e3 / float64(got.Units)
	if !x.warm {
		return us, nil
	}
	x.cpu = x.cpu.Add(cpu)
	x.loadCPU += after.load.All - before.load.All
	x.busy += after.busy - before.busy
	x.elapsed += got.Elapsed
	x.units += got.Units
	x.slices = append(x.slices, us)
	return us, nil
}

// used is what had been used at a moment.
type used struct {
	server, load proc.CPU
	busy         time.Duration
}

func (x *side) used() (u used, err error) {
	if u.busy, err = proc.Busy(); err != nil {
		return u, err
	}
	if u.load, err = proc.Used(x.load.Pid()); err != nil {
		return u, err
	}
	u.server, err = proc.Used(x.p.Pid())
	return u, err
}

// settle waits until a process does nothing any more, but not for long.
func settle(pid int) {
	last, _ := proc.Used(pid)
	for range 20 {
		time.Sleep(500 * time.Microsecond)
		u, _ := proc.Used(pid)
		if u.All == last.All {
			return
		}
		last = u
	}
}

// heat warms a side up: one slice that does not count.
func (x *side) heat(d time.Duration) error {
	if x.warm {
		return nil
	}
	if _, err := x.slice(d); err != nil {
		return err
	}
	x.warm = true
	return x.load.Ask("forget", nil, nil)
}

// duel lets one or two servers take turns with the reference, so that each slice of
// theirs has one of the reference next to it. Which comes first changes.
func (b *bench) duel(ref *side, others []*side) error {
	d := b.slice * time.Duration(ref.row.stretch)
	order := []*side{others[0], ref}
	order = append(order, others[1:]...)
	var turns []stat.Side
	for _, x := range order {
		if err := x.heat(d); err != nil {
			return fmt.Errorf("%s: %w", x.server.name, err)
		}
		turns = append(turns, func() (float64, error) {
			us, err := x.slice(d)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", x.server.name, err)
			}
			return us, nil
		})
	}
	got, err := stat.Turns(b.pairs, turns...)
	if err != nil {
		return err
	}
	for i, x := range order {
		if x == ref {
			continue
		}
		for k := range got[i] {
			x.pairs = append(x.pairs, [2]float64{got[i][k], got[1][k]})
		}
	}
	return nil
}

// result sums up.
func (x *side) result(reference string) (r report.Result, err error) {
	r = report.Result{Server: x.server.name, Reference: reference, Units: x.units, Pairs: x.pairs}
	var l plain.Latency
	if err := x.load.Ask("latency", nil, &l); err != nil {
		return r, err
	}
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	seconds := x.elapsed.Seconds()
	r.CPU = stat.MedianInterval(x.slices, sure).Median
	r.User = r.CPU * x.cpu.UserPart()
	r.Rate = float64(x.units) / seconds
	r.Util = x.cpu.All.Seconds() / seconds
	r.P50, r.P99, r.P999 = us(l.P50), us(l.P99), us(l.P999)
	r.Foreign = max(0, (x.busy-x.cpu.All-x.loadCPU).Seconds()/seconds)
	var ratios []float64
	for _, p := range x.pairs {
		ratios = append(ratios, p[0]/p[1])
	}
	r.Ratio = stat.MedianInterval(ratios, sure)
	return r, nil
}
