package matrix

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"anyloop/core/loop/looptest/e2e"
	"anyloop/examples/internal/app"
)

var (
	full   = flag.Bool("full", false, "run the whole product of backends, threads and cases")
	update = flag.Bool("update", false, "write the table in loops/README.md")
	budget = flag.Duration("budget", 0, "fail a cell that takes longer; 0: only say how long it took")
	only   = flag.String("loop", "", "run one loop only; the table is not looked at")
)

// counts are the numbers of service threads.
var counts = []int{1, 2}

// cell is one backend with one number of threads over one wire, and the cases run
// in it.
type cell struct {
	backend string
	threads int
	wire    e2e.Wire
	cases   []string
}

var wires = []e2e.Wire{e2e.Plain, e2e.TLS, e2e.TLSBytes, e2e.TLSRecords, e2e.TLSCoalesced}

// plan lists the cells. Without full, a case is run once over each backend; which
// number of threads and which wire it gets alternates from case to case and from
// backend to backend, so that every pair occurs. "threads" is asked with all
// numbers.
func plan(backends []string, full bool) (all []cell) {
	for b, name := range backends {
		_, one := limits[name]["threads"]
		for i, n := range counts {
			for _, w := range wires {
				c := cell{backend: name, threads: n, wire: w}
				alike := map[int]int{} // cases with as many wires
				for _, k := range e2e.Cases() {
					mine := e2e.Wires(k)
					turn := b + alike[len(mine)]
					alike[len(mine)]++
					if !slices.Contains(mine, w) {
						continue
					}
					count := turn%len(counts) == i && !one || one && i == 0 || k == "threads"
					if full || count && by(turn, mine) == w {
						c.cases = append(c.cases, k)
					}
				}
				if len(c.cases) > 0 {
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// by returns the wire of a turn, of which every other has the same number of
// threads.
func by(turn int, wires []e2e.Wire) e2e.Wire {
	if len(wires)%len(counts) == 0 {
		turn /= len(counts)
	}
	return wires[turn%len(wires)]
}

// TestMatrix runs the plan, and holds the table against it.
func TestMatrix(t *testing.T) {
	backends := app.Names()
	if *only != "" {
		backends = []string{*only}
	}
	got := table{}
	for _, c := range plan(backends, *full) {
		t.Run(fmt.Sprintf("%s/threads=%d/%v", c.backend, c.threads, c.wire), func(t *testing.T) { runCell(t, c, got) })
	}
	if t.Failed() || *only != "" || !got.complete(backends) {
		return
	}
	if *update {
		got.write(t)
		return
	}
	got.compare(t)
}

func runCell(t *testing.T, c cell, got table) {
	start := time.Now()
	newHost := e2e.Over(c.wire, func(_ testing.TB, threads int) e2e.Host { return host(c.backend, threads) })
	e2e.Warm(t, c.threads, newHost)
	for _, k := range c.cases {
		t.Run(k, func(t *testing.T) {
			res := e2e.RunCase(t, k, c.threads, newHost)
			if was, ok := got.result(c.backend, k); ok && was != res && k != "threads" {
				t.Errorf("%v with %d threads over %v, but %v with another number or over another wire", res, c.threads, c.wire, was)
			} else if !ok || k == "threads" {
				got.set(c.backend, k, res) // "threads": the largest number counts
			}
		})
	}
	took := time.Since(start)
	fmt.Printf("matrix: %-12s threads %d  %-13v  %2d cases  %5.1f s\n", c.backend, c.threads, c.wire, len(c.cases), took.Seconds())
	if *budget > 0 && took > *budget {
		t.Errorf("took %v of %v", took, *budget)
	}
}

// host is one of the examples' loops as the suite wants it.
func host(name string, threads int) e2e.Host {
	h, err := app.NewHost(name, threads)
	return e2e.Host{Backend: h.Backend, Run: h.Run, Err: err, Limits: limits[name]}
}

// TestPlanHasEveryPair of backend, case, wire and number of threads, as far as a case
// is asked over a wire.
func TestPlanHasEveryPair(t *testing.T) {
	backends := app.Names()
	have := map[[2]any]bool{}
	for _, c := range plan(backends, false) {
		have[[2]any{c.backend, c.threads}] = true
		have[[2]any{c.backend, c.wire}] = true
		have[[2]any{c.wire, c.threads}] = true
		for _, k := range c.cases {
			have[[2]any{c.backend, k}] = true
			have[[2]any{c.threads, k}] = true
			have[[2]any{c.wire, k}] = true
		}
	}
	want := func(a, b any) {
		if !have[[2]any{a, b}] {
			t.Errorf("%v is not run with %v", a, b)
		}
	}
	whole := 0
	for _, k := range e2e.Cases() {
		for _, b := range backends {
			want(b, k)
		}
		for _, n := range counts {
			want(n, k)
		}
		for _, w := range e2e.Wires(k) {
			want(w, k)
		}
		whole += len(backends) * len(counts) * len(e2e.Wires(k))
	}
	for _, b := range backends {
		for _, n := range counts {
			want(b, n)
		}
		for _, w := range wires {
			want(b, w)
		}
	}
	for _, w := range wires {
		for _, n := range counts {
			want(w, n)
		}
	}
	for _, c := range plan(backends, true) {
		whole -= len(c.cases)
	}
	if whole != 0 {
		t.Errorf("%d runs are missing in the whole product", whole)
	}
}

// TestLimitsNameWhatThereIs: a limit of no loop or no case would be a promise
// that nobody holds.
func TestLimitsNameWhatThereIs(t *testing.T) {
	for b, all := range limits {
		if !slices.Contains(app.Names(), b) && !slices.Contains(tagged, b) {
			t.Errorf("limits for %s, which is no loop", b)
		}
		for k, r := range all {
			if !slices.Contains(e2e.Cases(), k) {
				t.Errorf("a limit of %s for %s, which is no case", b, k)
			}
			if r.Why == "" || r.Verdict == e2e.Yes {
				t.Errorf("%s, %s: a limit without a reason", b, k)
			}
		}
	}
}
