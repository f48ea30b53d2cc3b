//go:build linux

// Package millionbench holds a million WebSockets in one process. There are no
// descriptors: core runs on the simulated kernel of its tests, on virtual time, so
// what is counted is core's own.
package millionbench

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
)

// options are the flags.
type options struct {
	conns    int
	active   int // connections that echo
	messages int
	garbage  int // bytes that the application allocates per message
	origins  int // connections whose allocations are looked at one by one
}

// Main is the command "million".
func Main(args []string) error {
	var o options
	f := flag.NewFlagSet("million", flag.ExitOnError)
	f.IntVar(&o.conns, "conns", 1_000_000, "WebSockets; each takes 700 bytes with both ends, and the collector as much again")
	f.IntVar(&o.active, "active", 10_000, "of these, how many echo")
	f.IntVar(&o.messages, "messages", 2_000_000, "messages that they echo")
	f.IntVar(&o.garbage, "garbage", 1024, "bytes that the application allocates per message, the second time")
	f.IntVar(&o.origins, "origins", 20_000, "how many connections to take apart by what has allocated them; 0: none")
	f.Parse(args)
	return o.print(os.Stdout)
}

func (o *options) print(w io.Writer) error {
	if o.conns < 2 || o.active < 1 || o.active > o.conns {
		return errors.New("at least 2 connections, and at most as many active ones")
	}
	if o.origins > 0 {
		if err := printOrigins(w, o.origins); err != nil {
			return err
		}
	}
	alone := aloneCost(min(o.conns, 200_000))
	base := live()
	c, err := newCrowd(o.conns)
	if err != nil {
		return err
	}
	total := float64(live()-base) / float64(o.conns)
	fmt.Fprintf(w, "\n%d WebSockets, opened by a handshake each, one moment of virtual time\n", o.conns)
	fmt.Fprintf(w, "  heap after a collection   %.0f bytes for each: core with its virtual wire %.0f, the other end and the kernel %.0f\n", total, total-alone, alone)
	fmt.Fprintf(w, "  resident memory           %d MiB, at most %d MiB so far\n", status("VmRSS")>>20, status("VmHWM")>>20)
	printCollection(w, o.conns)
	for _, step := range []func(io.Writer) error{c.pings, c.pongs, func(w io.Writer) error { return o.echo(w, c) }, c.end} {
		if err := step(w); err != nil {
			return err
		}
	}
	runtime.KeepAlive(c)
	return nil
}

// echo has some connections echo, first with an application that allocates nothing
// and then with one that does.
func (o *options) echo(w io.Writer, c *crowd) error {
	fmt.Fprintf(w, "\n%d messages of 64 bytes, echoed by %d of them\n", o.messages, min(o.active, c.alive))
	for _, garbage := range []int{0, o.garbage} {
		c.app.garbage = garbage
		before, cpu := collectorNow(), cpuTime()
		n, err := c.echo(o.active, o.messages)
		if err != nil {
			return err
		}
		used := collectorNow().since(before)
		cpu = cpuTime() - cpu
		fmt.Fprintf(w, "  application allocates %4d bytes per message: %d collections, %.1f %% of the CPU time, longest pause %v; %.2f us of CPU time per message, the peer's part included, %.3f allocations\n",
			garbage, used.cycles, 100*used.share(), used.longest, perPiece(cpu, n), float64(used.objects)/float64(n))
	}
	return nil
}
