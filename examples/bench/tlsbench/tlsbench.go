//go:build linux

// Package tlsbench measures what TLS costs a server: memory, handshakes, echoes,
// and what a storm of handshakes does to those who are connected already.
package tlsbench

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"anyloop/core"
	"anyloop/examples/bench/internal/load"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/internal/serve"
)

// options are the flags.
type options struct {
	rounds  int           // of each comparison
	slice   time.Duration // of one side in one round
	conns   int           // of which memory is measured
	storm   time.Duration
	profile string
	procs   int    // GOMAXPROCS of the servers
	row     string // part of the names of the rows to measure
	n       int    // servers so far, for the names of profiles
}

// parts are what can be measured, in the order of the output.
var parts = []struct {
	name string
	f    func(w io.Writer, o *options) error
}{{"memory", printMemory}, {"shake", printShakes}, {"echo", printEchoes}, {"storm", printStorm}}

// Main is the command.
func Main(args []string) error {
	var o options
	f := flag.NewFlagSet("tls", flag.ExitOnError)
	only := f.String("only", "memory,shake,echo,storm", "what to measure")
	f.IntVar(&o.procs, "procs", 1, "GOMAXPROCS of the servers, where nothing else is said")
	f.StringVar(&o.row, "row", "", "only rows whose name has this in it")
	f.IntVar(&o.rounds, "rounds", 21, "rounds of each comparison")
	f.DurationVar(&o.slice, "slice", 100*time.Millisecond, "length of a slice")
	f.IntVar(&o.conns, "conns", 3000, "connections whose memory is measured")
	f.DurationVar(&o.storm, "storm", 8*time.Second, "length of a storm")
	f.StringVar(&o.profile, "cpuprofile", "", "write CPU profiles of our servers to files that begin with this")
	f.Parse(args)
	for i, p := range parts {
		if !slices.Contains(strings.Split(*only, ","), p.name) {
			continue
		}
		if i > 0 {
			fmt.Println()
		}
		if err := p.f(os.Stdout, &o); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// side is a server with its load.
type side struct {
	server, load *proc.Child
}

// newSide starts both. procs is the server's GOMAXPROCS.
func newSide(o *options, c serve.Config, procs int) (s *side, err error) {
	if o.profile != "" && c.Kind == serve.Ours {
		o.n++
		c.Profile = fmt.Sprintf("%s.%d", o.profile, o.n)
	}
	s = &side{}
	if s.server, err = proc.Start("serve", c, procs); err != nil {
		return nil, err
	}
	if s.load, err = s.newLoad(); err != nil {
		s.server.Stop()
		return nil, err
	}
	return s, nil
}

// newLoad starts one more process that loads the server.
func (s *side) newLoad() (*proc.Child, error) {
	var addr string
	if err := s.server.Ask("addr", nil, &addr); err != nil {
		return nil, err
	}
	return proc.Start("load", load.Config{Addr: addr}, 0)
}

func (s *side) stop() error {
	err := s.load.Stop()
	if err == nil {
		err = s.settle(0)
	}
	if e := s.server.Stop(); err == nil {
		err = e
	}
	return err
}

func (s *side) usage() (u serve.Usage, err error) {
	err = s.server.Ask("usage", nil, &u)
	return u, err
}

func (s *side) memory() (u serve.Usage, err error) {
	err = s.server.Ask("memory", nil, &u)
	return u, err
}

// settle waits until the server has so many connections.
func (s *side) settle(conns int) error {
	for until := time.Now().Add(time.Minute); ; {
		u, err := s.usage()
		if err != nil || u.Conns == conns {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("the server has %d connections, not %d", u.Conns, conns)
		}
		time.Sleep(time.Millisecond)
	}
}

// stopAll stops the sides, and returns the first error that there is.
func stopAll(sides []*side, err error) error {
	for _, s := range sides {
		if e := s.stop(); err == nil {
			err = e
		}
	}
	return err
}

// server is one that takes part in comparisons.
type server struct {
	name string
	c    serve.Config
}

var (
	plainOurs = server{"anyloop", serve.Config{Kind: serve.Ours}}
	lendOurs  = server{"anyloop, LendBuffers", serve.Config{Kind: serve.Ours, Lend: true}}
	gobwas    = server{"goroutines, crypto/tls + gobwas/ws", serve.Config{Kind: serve.Gobwas}}
	batching  = server{"the same, one write per read", serve.Config{Kind: serve.Gobwas, Batch: true}}
	gorilla   = server{"net/http + gorilla/websocket", serve.Config{Kind: serve.Gorilla}}
)

func (s server) with(key string, o core.OffLoop) serve.Config {
	c := s.c
	c.Key, c.OffLoop = key, o
	return c
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
