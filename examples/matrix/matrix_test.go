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

// cell is one backend with one number of threads, and the cases run in it.
type cell struct {
	backend string
	threads int
	cases   []string
}

// plan lists the cells. Without full, the number of threads alternates from case
// to case and from backend to backend, so that every pair occurs; "threads" is
// asked with all numbers.
func plan(backends []string, full bool) (all []cell) {
	for b, name := range backends {
		_, one := limits[name]["threads"]
		cells := make([]cell, len(counts))
		for i, n := range counts {
			cells[i] = cell{backend: name, threads: n}
		}
		for c, k := range e2e.Cases() {
			for i := range cells {
				mine := (b+c)%len(counts) == i && !one || one && i == 0
				if full || mine || k == "threads" {
					cells[i].cases = append(cells[i].cases, k)
				}
			}
		}
		all = append(all, cells...)
	}
	return all
}

// TestMatrix runs the plan, and holds the table against it.
func TestMatrix(t *testing.T) {
	backends := app.Names()
	if *only != "" {
		backends = []string{*only}
	}
	got := table{}
	for _, c := range plan(backends, *full) {
		t.Run(fmt.Sprintf("%s/threads=%d", c.backend, c.threads), func(t *testing.T) { runCell(t, c, got) })
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
	newHost := func(_ testing.TB, threads int) e2e.Host { return host(c.backend, threads) }
	e2e.Warm(t, c.threads, newHost)
	for _, k := range c.cases {
		t.Run(k, func(t *testing.T) {
			res := e2e.RunCase(t, k, c.threads, newHost)
			if was, ok := got.result(c.backend, k); ok && was != res && k != "threads" {
				t.Errorf("%v with %d threads, but %v with another number", res, c.threads, was)
			} else if !ok || k == "threads" {
				got.set(c.backend, k, res) // "threads": the largest number counts
			}
		})
	}
	took := time.Since(start)
	fmt.Printf("matrix: %-12s threads %d  %2d cases  %5.1f s\n", c.backend, c.threads, len(c.cases), took.Seconds())
	if *budget > 0 && took > *budget {
		t.Errorf("took %v of %v", took, *budget)
	}
}

// host is one of the examples' loops as the suite wants it.
func host(name string, threads int) e2e.Host {
	h, err := app.NewHost(name, threads)
	return e2e.Host{Backend: h.Backend, Run: h.Run, Err: err, Limits: limits[name]}
}

// TestPlanHasEveryPair: backend and case, threads and case, backend and threads.
func TestPlanHasEveryPair(t *testing.T) {
	backends := app.Names()
	type pair [2]any
	have := map[pair]bool{}
	for _, c := range plan(backends, false) {
		for _, k := range c.cases {
			have[pair{c.backend, k}] = true
			have[pair{c.threads, k}] = true
			have[pair{c.backend, c.threads}] = true
		}
	}
	for _, k := range e2e.Cases() {
		for _, b := range backends {
			if !have[pair{b, k}] {
				t.Errorf("%s is not run over %s", k, b)
			}
		}
		for _, n := range counts {
			if !have[pair{n, k}] {
				t.Errorf("%s is not run with %d threads", k, n)
			}
		}
	}
	for _, b := range backends {
		for _, n := range counts {
			if !have[pair{b, n}] {
				t.Errorf("%s is not run with %d threads", b, n)
			}
		}
	}
	whole := 0
	for _, c := range plan(backends, true) {
		whole += len(c.cases)
	}
	if want := len(backends) * len(counts) * len(e2e.Cases()); whole != want {
		t.Errorf("%d runs in the whole product of %d", whole, want)
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
