// Loopbench prints what a 64-byte WebSocket echo costs on each event loop, beside
// a bare echo on the same engine: CPU time of the server per message, and the
// ratio of the two.
//
//	go run ./examples/loopbench
//	go run ./examples/loopbench -loops gnet,evio -conns 64 -depth 16
//
// Every server is a process of its own on one processor's worth of Go (-procs).
// The two of a pair take turns in short slices, every other time in the opposite
// order, and the ratio is the median over the pairs with its 95 % interval, so that
// a machine whose speed drifts does not decide.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"anyloop/examples/internal/app"
)

type options struct {
	conns, depth, rounds, procs int
	slice                       time.Duration
}

func main() {
	serve := flag.String("serve", "", "internal: be this server")
	loops := flag.String("loops", strings.Join(app.Names(), ","), "loops to measure")
	conns := flag.String("conns", "1,64", "numbers of connections")
	depth := flag.String("depth", "1,16", "messages in flight on each connection")
	var o options
	flag.IntVar(&o.rounds, "rounds", 9, "pairs of slices")
	flag.DurationVar(&o.slice, "slice", 200*time.Millisecond, "length of a slice")
	flag.IntVar(&o.procs, "procs", 1, "GOMAXPROCS of the servers")
	flag.Parse()
	if *serve != "" {
		if err := child(*serve); err != nil {
			app.Fatal(err)
		}
		return
	}
	work, err := plan(*conns, *depth)
	if err == nil {
		err = measure(strings.Split(*loops, ","), work, o)
	}
	if err != nil {
		app.Fatal(err)
	}
}

// plan lists the pairs of connections and depth.
func plan(conns, depth string) (work [][2]int, err error) {
	for _, c := range strings.Split(conns, ",") {
		for _, d := range strings.Split(depth, ",") {
			var w [2]int
			if _, err := fmt.Sscan(c, &w[0]); err != nil || w[0] < 1 {
				return nil, fmt.Errorf("-conns %q", conns)
			}
			if _, err := fmt.Sscan(d, &w[1]); err != nil || w[1] < 1 {
				return nil, fmt.Errorf("-depth %q", depth)
			}
			if w != [2]int{1, 16} { // says nothing that 1 x 1 and 64 x 16 do not
				work = append(work, w)
			}
		}
	}
	return work, nil
}

func measure(loops []string, work [][2]int, o options) error {
	fmt.Println("| loop | beside | conns x in flight | CPU us/message | bare | ratio (median) | 95 % interval | messages per CPU second |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, name := range loops {
		bare := bareOf(name)
		for _, w := range work {
			o.conns, o.depth = w[0], w[1]
			r, err := pair(name, bare, o)
			if err != nil {
				return fmt.Errorf("%s beside %s: %w", name, bare, err)
			}
			lo, hi := interval(r.ratios)
			fmt.Printf("| %s | %s | %d x %d | %.2f | %.2f | %.2f | %.2f..%.2f | %.0f |\n", name, bare, o.conns, o.depth,
				r.ours*1e6, r.bare*1e6, median(r.ratios), lo, hi, 1/r.ours)
		}
	}
	return nil
}

// result is CPU seconds per message, medians, and the ratios of all pairs.
type result struct {
	ours, bare float64
	ratios     []float64
}

// pair lets the two servers take turns.
func pair(name, bare string, o options) (r result, err error) {
	a, err := start(name, o)
	if err != nil {
		return r, err
	}
	defer a.stop()
	b, err := start("bare-"+bare, o)
	if err != nil {
		return r, err
	}
	defer b.stop()
	both := [2]*server{a, b}
	var cost [2][]float64
	for i := range o.rounds + 1 {
		var now [2]float64
		for k := range both {
			k ^= i & 1
			if now[k], err = both[k].slice(o.slice); err != nil {
				return r, err
			}
		}
		if i == 0 {
			continue // warms up
		}
		cost[0], cost[1] = append(cost[0], now[0]), append(cost[1], now[1])
		r.ratios = append(r.ratios, now[0]/now[1])
	}
	r.ours, r.bare = median(cost[0]), median(cost[1])
	return r, nil
}

// self is the path of this program, for its servers.
func self() string {
	p, err := os.Executable()
	if err != nil {
		app.Fatal(err)
	}
	return p
}
