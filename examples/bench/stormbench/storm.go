//go:build linux

// Package stormbench measures what others do to those who are connected: storms of
// new connections, mass disconnects, greedy peers, and full load.
package stormbench

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/stormbench/crowd"
	"anyloop/examples/bench/stormbench/target"
)

// servers are those that are measured where nothing else is said.
const servers = "ours-poll,ours-gnet-engine,ours-evio,gnet,gorilla,gobwas"

// options are the flags of both commands.
type options struct {
	servers  string
	rounds   int
	rate     int           // echoes per second of those that are steady
	steady   int           // of them
	quiet    time.Duration // without anything else
	storm    int           // connections
	parallel int
	patience time.Duration
	conns    int           // latency: connections
	full     time.Duration // latency: at full load
	open     time.Duration // latency: at a fixed rate
	greed    time.Duration
	nice     int // of those whose echoes are timed
}

func (o *options) common(f *flag.FlagSet) {
	f.StringVar(&o.servers, "servers", servers, "what to measure: ours- and a loop's name, or peers")
	f.IntVar(&o.nice, "nice", -10, "priority of those whose echoes are timed, as far as the system allows")
	f.DurationVar(&o.patience, "patience", 20*time.Second, "how long a server may take to notice that its peers are gone")
}

// Storm is the command "storm".
func Storm(args []string) error {
	var o options
	f := flag.NewFlagSet("storm", flag.ExitOnError)
	o.common(f)
	f.IntVar(&o.rounds, "rounds", 5, "rounds")
	f.IntVar(&o.steady, "steady", 100, "connections that echo all the time")
	f.IntVar(&o.rate, "rate", 5000, "their echoes per second, all together")
	f.DurationVar(&o.quiet, "quiet", 2*time.Second, "how long they are measured without a storm, in each round")
	f.IntVar(&o.storm, "storm", 15000, "connections of a storm")
	f.IntVar(&o.parallel, "parallel", 512, "handshakes of the storm that are under way")
	f.Parse(args)
	return o.printStorms(os.Stdout)
}

// times are how long echoes took in one kind of weather, and how late they were
// sent.
type times struct {
	took, late crowd.Hist
	length     time.Duration // of the weather, all rounds together
	cpu        time.Duration // that the server needed for all of it
}

func (t *times) add(p *crowd.Paced, s crowd.Span) {
	took, late := p.In(s)
	for _, d := range took {
		t.took.Add(d)
	}
	for _, d := range late {
		t.late.Add(d)
	}
	t.length += s.Length()
}

func micro(ns int64) float64 { return float64(ns) / 1e3 }

// row prints quantiles as columns.
func (t *times) row() string {
	return fmt.Sprintf("%d | %.0f | %.0f | %.0f | %.0f | %.0f", t.took.Count(), micro(t.took.Quantile(0.5)), micro(t.took.Quantile(0.99)),
		micro(t.took.Quantile(0.999)), micro(t.took.Quantile(1)), micro(t.late.Quantile(0.99)))
}

const rowHead = "echoes | p50 us | p99 us | p99.9 us | longest us | sent late, p99 us |"

// weather is what is measured, in this order.
var weather = []string{"quiet", "storm", "leaving, FIN", "storm again", "leaving, RST"}

// season is one server through all weathers.
type season []times

func (o *options) printStorms(w io.Writer) error {
	b, err := target.NewBuilder()
	if err != nil {
		return err
	}
	defer b.Close()
	names := strings.Split(o.servers, ",")
	all := make([]season, len(names))
	for i := range all {
		all[i] = make(season, len(weather))
	}
	for round := range o.rounds {
		for i := range names {
			if round%2 == 1 {
				i = len(names) - 1 - i
			}
			if err := o.live(b, names[i], all[i]); err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
		}
	}
	fmt.Fprintf(w, "%d connections echo 64 B, %d per second together, on a schedule; beside them %d others come (handshakes under way: %d) and leave at once. %d rounds; one core for the server.\n",
		o.steady, o.rate, o.storm, o.parallel, o.rounds)
	fmt.Fprintln(w, "| server | weather | ms of it | server CPU ms | "+rowHead)
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	for i, name := range names {
		for k := range weather {
			t := &all[i][k]
			fmt.Fprintf(w, "| %s | %s | %.0f | %.0f | %s |\n", name, weather[k], o.perRound(t.length), o.perRound(t.cpu), t.row())
		}
	}
	return nil
}

func (o *options) perRound(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1e3 / float64(o.rounds)
}

// live takes a server through all weathers once.
func (o *options) live(b *target.Builder, name string, all season) (err error) {
	s, err := b.Start(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	c, err := o.startSteady(b, s, o.steady)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	wild, err := newCrowd(b, s, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, wild.Stop()) }()
	files, err := s.Files()
	if err != nil {
		return err
	}
	come := func() (sp crowd.Span, err error) {
		err = wild.Ask("open", crowd.Open{Count: o.storm, Parallel: o.parallel}, &sp)
		return sp, err
	}
	leave := func(how crowd.How) func() (crowd.Span, error) {
		return func() (sp crowd.Span, err error) {
			if err = wild.Ask("close", how, &sp); err == nil {
				err = s.Settle(files, o.patience)
			}
			sp.To = crowd.Now()
			return sp, err
		}
	}
	for i, what := range []func() (crowd.Span, error){calm(o.quiet), come, leave(crowd.FIN), come, leave(crowd.RST)} {
		before, err := proc.Used(s.Pid())
		if err == nil {
			err = o.during(c, what, &all[i])
		}
		after, e := proc.Used(s.Pid())
		if err = errors.Join(err, e); err != nil {
			return fmt.Errorf("%s: %w", weather[i], err)
		}
		all[i].cpu += after.Sub(before).All
	}
	return nil
}

// startSteady starts those whose echoes are timed.
func (o *options) startSteady(b *target.Builder, s *target.Server, conns int) (*proc.Child, error) {
	c, err := newCrowd(b, s, o.nice)
	if err != nil {
		return nil, err
	}
	err = c.Ask("open", crowd.Open{Count: conns, Echo: true}, nil)
	if err == nil { // what happens only once
		err = c.Ask("pace", crowd.Pace{PerSecond: o.rate, Size: 64, For: 200 * time.Millisecond}, nil)
	}
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// newCrowd starts a crowd on the core that is not the server's. GOMAXPROCS is more
// than one, for its signals.
func newCrowd(b *target.Builder, s *target.Server, nice int) (*proc.Child, error) {
	return proc.StartOn(b.LoadCore, "crowd", crowd.Config{Addr: s.Addr, Nice: nice}, 2)
}

// during times echoes while something else happens. The schedule of the steady ones
// begins before and ends after it; only what was due in the meantime counts.
func (o *options) during(c *proc.Child, what func() (crowd.Span, error), t *times) error {
	var p crowd.Paced
	over := make(chan error, 1)
	start := crowd.Now() + int64(leadIn)
	go func() { over <- c.Ask("pace", crowd.Pace{PerSecond: o.rate, Size: 64, Start: start, For: longest}, &p) }()
	time.Sleep(2 * leadIn)
	sp, err := what()
	time.Sleep(time.Second / time.Duration(o.rate)) // one more is due
	err = errors.Join(err, unix.Kill(c.Pid(), crowd.Enough), <-over)
	if err != nil {
		return err
	}
	if len(p.At) == 0 || p.At[0] > sp.From || p.At[len(p.At)-1] < sp.To {
		return errors.New("the echoes do not span what was to be measured")
	}
	t.add(&p, sp)
	return nil
}

const (
	longest = 2 * time.Minute // what is measured: a bound on a hang
	leadIn  = 50 * time.Millisecond
)
