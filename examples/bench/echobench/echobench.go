//go:build linux

// Package echobench measures the released examples on each loop beside other servers
// and beside what no server can be below: server CPU per message as a ratio to a
// reference that takes turns with it, latency, and memory.
package echobench

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"anyloop/examples/bench/internal/chart"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/internal/report"
)

// sure is how sure the intervals are.
const sure = 0.95

// bench is a run.
type bench struct {
	pairs  int           // of each ratio
	slice  time.Duration // of each side of a pair
	starts int           // of each server whose memory is measured

	serverCore, loadCore int
	servers              []server
	rows                 []row
	asked                map[string]bool // servers that were named; nil: none
	progress             io.Writer
	dir, www             string
	programs             map[string]string // what was built, or given, by the example's name
}

// output is where the report goes, besides the table on stdout.
type output struct{ dir, svg string }

// Echo is the command that measures WebSocket echoes, broadcasts, upgrades and idle
// connections.
func Echo(args []string) error {
	return run("echo", args, func(r *row) bool { return r.name != "http" })
}

// HTTP is the command that measures file servers.
func HTTP(args []string) error {
	return run("http", args, func(r *row) bool { return r.name == "http" })
}

// All is the command that measures everything.
func All(args []string) error { return run("all", args, func(*row) bool { return true }) }

func run(name string, args []string, usual func(*row) bool) error {
	b := &bench{progress: os.Stderr, programs: map[string]string{}, servers: servers()}
	var out output
	f := flag.NewFlagSet(name, flag.ExitOnError)
	only := f.String("only", "", "rows to measure, separated by commas: "+strings.Join(rowNames(), ","))
	who := f.String("servers", "", "servers to measure beside the references, separated by commas")
	f.IntVar(&b.pairs, "pairs", 9, "interleaved pairs of each ratio; fewer than 6 give no 95 % interval")
	f.DurationVar(&b.slice, "slice", 200*time.Millisecond, "length of each side of a pair")
	f.IntVar(&b.starts, "starts", 3, "starts of each server whose memory is measured")
	quick := f.Bool("quick", false, "see whether it works: 3 pairs of 50 ms, one start")
	f.StringVar(&out.dir, "out", "", "folder to write the data to, as DATE.json")
	f.StringVar(&out.svg, "svg", "", "file to draw the chart to")
	from := f.String("from", "", "measure nothing: print and draw what this file has, as -out has written it")
	f.Func("extra", "measure this server too: NAME=COMMAND, with %a for the address (the flag may be repeated)", b.extra)
	f.Func("example", "use this program instead of building an example: echo=FILE or server=FILE", b.given)
	f.Parse(args)
	if *from != "" {
		r, err := report.Load(*from)
		if err != nil {
			return err
		}
		return out.write(r)
	}
	if *quick {
		b.quick(f)
	}
	if b.pairs < 1 || b.slice <= 0 || b.starts < 1 {
		return errors.New("-pairs, -slice and -starts must be positive")
	}
	if err := errors.Join(b.chooseRows(*only, usual), b.chooseServers(*who)); err != nil {
		return err
	}
	r, err := b.run()
	if err != nil {
		return err
	}
	if err := out.write(r); err != nil {
		return err
	}
	if bad := r.Failures(); len(bad) > 0 {
		return fmt.Errorf("%d runs have failed", len(bad))
	}
	return nil
}

// quick makes everything short that was not said to be otherwise.
func (b *bench) quick(f *flag.FlagSet) {
	short := map[string]func(){
		"pairs":  func() { b.pairs = 3 },
		"slice":  func() { b.slice = 50 * time.Millisecond },
		"starts": func() { b.starts = 1 },
	}
	f.Visit(func(given *flag.Flag) { delete(short, given.Name) })
	for _, set := range short {
		set()
	}
}

// write prints the report, and writes it where it is to be.
func (o output) write(r *report.Report) error {
	r.Print(os.Stdout)
	if o.svg != "" {
		f, err := os.Create(o.svg)
		if err != nil {
			return err
		}
		if err := errors.Join(chart.Draw(f, r), f.Close()); err != nil {
			return err
		}
	}
	if o.dir != "" {
		file, err := r.Save(o.dir)
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "written to", file)
	}
	return nil
}

func rowNames() (names []string) {
	for i := range rows {
		names = append(names, rows[i].name)
	}
	return names
}

// chooseRows takes the rows that were asked for.
func (b *bench) chooseRows(only string, usual func(*row) bool) error {
	want := split(only)
	for _, name := range want {
		if !slices.Contains(rowNames(), name) {
			return fmt.Errorf("no row is called %q; there are: %s", name, strings.Join(rowNames(), ", "))
		}
	}
	for i := range rows {
		if len(want) == 0 && usual(&rows[i]) || slices.Contains(want, rows[i].name) {
			b.rows = append(b.rows, rows[i])
		}
	}
	return nil
}

// chooseServers takes the servers that were asked for.
func (b *bench) chooseServers(who string) error {
	for _, name := range split(who) {
		if _, err := b.find(name); err != nil {
			return err
		}
		if b.asked == nil {
			b.asked = map[string]bool{}
		}
		b.asked[name] = true
	}
	return nil
}

func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// run measures. The error is of what is needed for any figure; what only one server
// has done wrong is in the report.
func (b *bench) run() (*report.Report, error) {
	if err := b.prepare(); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	began := time.Now()
	notes := b.fit(proc.FileLimit())
	if lwsVersion() == "" {
		notes = append(notes, noLWS)
	}
	for _, n := range notes {
		fmt.Fprintln(b.progress, n)
	}
	plan := b.plan()
	expected := b.expected(plan)
	fmt.Fprintf(b.progress, "%d comparisons; it takes about %s\n", plan.comparisons(), expected.Round(time.Second))
	most := 3*expected + time.Minute
	defer b.bound(most + 2*time.Minute)()
	r := &report.Report{When: began, Pairs: b.pairs, Slice: b.slice, Machine: b.machine(), Versions: b.versions(plan), Notes: notes}
	for _, step := range plan {
		fmt.Fprintf(b.progress, "%s beside %s (%d s)\n", step.row.name, step.reference, int(time.Since(began).Seconds()))
		var results []report.Result
		if time.Since(began) < most {
			results = b.step(&step)
		} else {
			results = step.skipped(fmt.Errorf("not measured: it already takes more than %s", most.Round(time.Second)))
		}
		if n := len(r.Rows); n == 0 || r.Rows[n-1].Name != step.row.name {
			r.Rows = append(r.Rows, report.Row{Name: step.row.name, About: step.row.about, Unit: step.row.unit})
		}
		last := &r.Rows[len(r.Rows)-1]
		last.Results = append(last.Results, results...)
		for _, x := range results {
			if x.Failed != "" {
				fmt.Fprintf(b.progress, "FAILED: %s, %s: %s\n", step.row.name, x.Server, x.Failed)
			}
		}
	}
	r.Took = time.Since(began)
	return r, nil
}

// fit leaves out the rows that need more descriptors than a process may have, and says
// so.
func (b *bench) fit(limit int) (notes []string) {
	const besides = 100
	b.rows = slices.DeleteFunc(b.rows, func(r row) bool {
		over := r.work.Conns > limit-besides
		if over {
			notes = append(notes, fmt.Sprintf("%s is left out: a process may have only %d descriptors here", r.name, limit))
		}
		return over
	})
	return notes
}

// bound ends the program, and with it all servers, if it takes that long or is
// interrupted. The returned function lifts the bound.
func (b *bench) bound(most time.Duration) (lift func()) {
	over := func(why string) {
		os.RemoveAll(b.dir)
		fmt.Fprintln(os.Stderr, why)
		os.Exit(1)
	}
	timer := time.AfterFunc(most, func() { over(fmt.Sprintf("it is not over after %s", most)) })
	sig, lifted := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-sig:
			over("interrupted")
		case <-lifted:
		}
	}()
	return func() {
		timer.Stop()
		signal.Stop(sig)
		close(lifted)
	}
}

// prepare makes the folder of what a run needs.
func (b *bench) prepare() (err error) {
	if err = b.chooseCores(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "anyloop-bench-"); err != nil {
		return err
	}
	b.www = filepath.Join(b.dir, "www")
	if err := os.Mkdir(b.www, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.www, fileName), fileBody(), 0o644)
}
