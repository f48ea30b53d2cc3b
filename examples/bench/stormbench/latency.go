//go:build linux

package stormbench

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"anyloop/examples/bench/stormbench/crowd"
	"anyloop/examples/bench/stormbench/target"
)

// Latency is the command "latency".
func Latency(args []string) error {
	var o options
	f := flag.NewFlagSet("latency", flag.ExitOnError)
	o.common(f)
	f.IntVar(&o.rounds, "rounds", 3, "rounds")
	f.IntVar(&o.conns, "conns", 64, "connections that echo")
	f.IntVar(&o.rate, "rate", 20000, "echoes per second on a schedule, all together")
	f.DurationVar(&o.full, "full", 2*time.Second, "how long at full load")
	f.DurationVar(&o.open, "open", 2*time.Second, "how long on a schedule")
	f.DurationVar(&o.greed, "greed", 2*time.Second, "how long beside each greedy peer")
	f.Parse(args)
	return o.printLatency(os.Stdout)
}

// greeds are the greedy peers: size of the messages that they send without pause.
var greeds = []struct {
	name string
	size int
}{{"64 B", 64}, {"1 MiB", 1 << 20}}

// loaded is what is measured of a server.
type loaded struct {
	full     crowd.Hist // closed loop
	messages int
	length   time.Duration
	open     times   // on a schedule
	beside   []times // beside each of greeds
	greedy   []int   // bytes that it got back
	greedFor []time.Duration
}

func newLoaded() loaded {
	n := len(greeds)
	return loaded{beside: make([]times, n), greedy: make([]int, n), greedFor: make([]time.Duration, n)}
}

func (o *options) printLatency(w io.Writer) error {
	b, err := target.NewBuilder()
	if err != nil {
		return err
	}
	defer b.Close()
	names := strings.Split(o.servers, ",")
	all := make([]loaded, len(names))
	for i := range all {
		all[i] = newLoaded()
	}
	for round := range o.rounds {
		for i := range names {
			if round%2 == 1 {
				i = len(names) - 1 - i
			}
			if err := o.load(b, names[i], &all[i]); err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
		}
	}
	fmt.Fprintf(w, "%d connections, 64 B, one in flight on each all the time. %d rounds of %v; one core for the server.\n", o.conns, o.rounds, o.full)
	fmt.Fprintln(w, "| server | echoes per second | p50 us | p99 us | p99.9 us | longest us |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for i, name := range names {
		l := &all[i]
		fmt.Fprintf(w, "| %s | %.0f | %.0f | %.0f | %.0f | %.0f |\n", name, float64(l.messages)/l.length.Seconds(), micro(l.full.Quantile(0.5)),
			micro(l.full.Quantile(0.99)), micro(l.full.Quantile(0.999)), micro(l.full.Quantile(1)))
	}
	fmt.Fprintf(w, "\n%d connections, 64 B, %d per second together, on a schedule, alone and with one more that sends without pause. %d rounds.\n", o.conns, o.rate, o.rounds)
	fmt.Fprintln(w, "| server | beside | MB/s of it | "+rowHead)
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for i, name := range names {
		l := &all[i]
		fmt.Fprintf(w, "| %s | nobody | - | %s |\n", name, l.open.row())
		for k, g := range greeds {
			fmt.Fprintf(w, "| %s | %s | %.1f | %s |\n", name, g.name, float64(l.greedy[k])/1e6/l.greedFor[k].Seconds(), l.beside[k].row())
		}
	}
	return nil
}

// load measures a server once.
func (o *options) load(b *target.Builder, name string, l *loaded) (err error) {
	s, err := b.Start(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	c, err := o.startSteady(b, s, o.conns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	var f crowd.Filled
	if err := c.Ask("full", crowd.Full{Size: 64, Depth: 1, For: o.full}, &f); err != nil {
		return fmt.Errorf("full load: %w", err)
	}
	l.full.Merge(&f.Took)
	l.messages += f.Messages
	l.length += f.Span.Length()
	if err := o.during(c, calm(o.open), &l.open); err != nil {
		return fmt.Errorf("on a schedule: %w", err)
	}
	greedy, err := newCrowd(b, s, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, greedy.Stop()) }()
	for k, g := range greeds {
		err := o.during(c, func() (crowd.Span, error) {
			var r crowd.Greeded
			err := greedy.Ask("greed", crowd.Greed{Size: g.size, For: o.greed}, &r)
			l.greedy[k] += r.Messages * g.size
			l.greedFor[k] += r.Span.Length()
			return r.Span, err
		}, &l.beside[k])
		if err != nil {
			return fmt.Errorf("beside %s: %w", g.name, err)
		}
	}
	return nil
}

// calm is weather in which nothing happens.
func calm(d time.Duration) func() (crowd.Span, error) {
	return func() (crowd.Span, error) {
		sp := crowd.Span{From: crowd.Now()}
		time.Sleep(d)
		sp.To = crowd.Now()
		return sp, nil
	}
}
