// Package wstest is a conformance suite for RFC 6455 and RFC 7692. It plays the
// peer of a testee that echoes every message, text as text and binary as binary,
// and holds what comes back against the exact answer: the messages, the Pongs,
// the close code, the form of every frame on the wire, and who closes TCP first.
// Where the RFCs leave a choice, the strict one is demanded: a connection is
// failed at the first byte that cannot be right any more, and every Ping is
// answered.
//
//	wstest.Server(t, wstest.Dial(addr), wstest.Options{})
//	wstest.Client(t, wstest.Listen(t, connect), wstest.Options{})
//
// The cases are made from tables, class by class, in the order of the well-known
// fuzzing suite, whose numbers they borrow where they mean the same. Each case
// runs with its bytes delivered whole, cut at the seams of the frames, and one
// by one. The suite does not depend on how the testee is reached: a [Wire] is
// enough, and [Simulated] and [SimulatedClient] reach an engine in the simulator,
// where silence can be checked as well.
package wstest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/ws"
)

// Options say what is known about the testee and how much is to be run.
type Options struct {
	// MaxMessage is the testee's limit on a message, in bytes, enforced with
	// 1009; 0 leaves out the cases about it, and those of more than 1 MiB.
	MaxMessage int64
	// Deflate is how the testee compresses; nil is not at all, and then its
	// refusal of every offer is checked.
	Deflate *core.Deflate
	// Full runs the cases about size at their whole size, which takes minutes.
	Full bool
	// Brief leaves out the exhaustive parts of the tables.
	Brief bool
	// Sample runs one case of so many of each class; 0 is all of them.
	Sample int
	// MayReset admits a server that closes its socket right after the closing
	// handshake instead of reading on until the peer has ended its direction
	// (RFC 6455 7.1.1: half-close, and read until there is nothing): what a
	// peer sends behind its Close then resets the connection, and what is on
	// its way may be lost.
	MayReset bool
	// Only are prefixes of the identifiers of the cases to run, "6.4" say;
	// none is all.
	Only []string
	// Host, Path and Header (whole lines, each with its "\r\n") go into our
	// requests to a server; the defaults are "host", "/" and none.
	Host, Path, Header string
}

// Server runs the suite against a server. dial opens a connection to it.
func Server(t *testing.T, dial func() (Wire, error), opt Options) *Report {
	return run(t, ws.Server, dial, opt)
}

// Client runs the suite against a client. accept makes it connect, and returns
// the server's end of the connection, on which nothing was read or written yet.
func Client(t *testing.T, accept func() (Wire, error), opt Options) *Report {
	return run(t, ws.Client, accept, opt)
}

// run runs all that fits, a subtest per class.
func run(t *testing.T, side ws.Side, connect func() (Wire, error), opt Options) *Report {
	if opt.Host == "" {
		opt.Host = "host"
	}
	if opt.Path == "" {
		opt.Path = "/"
	}
	rep := &Report{}
	for i, cl := range classes {
		t.Run(strings.ReplaceAll(cl.name, " ", "-"), func(t *testing.T) {
			s := set{side: side, opt: &opt, class: i}
			cl.add(&s)
			for i, c := range s.cases {
				if opt.Sample > 1 && i%opt.Sample != 0 {
					continue
				}
				rep.runCase(t, c, &s, connect)
			}
		})
	}
	t.Logf("the testee is a %s\n%s", sideName(side), rep)
	return rep
}

func sideName(s ws.Side) string {
	if s == ws.Client {
		return "client"
	}
	return "server"
}

// Report counts what was run.
type Report struct {
	classes [numClasses]counts
	// Failed has a line for each failure.
	Failed []string
}

type counts struct{ cases, deliveries, failures int }

// Cases returns how many cases were run; the ways to deliver them do not count.
func (r *Report) Cases() int { return r.sum().cases }

// Deliveries returns how many runs that made.
func (r *Report) Deliveries() int { return r.sum().deliveries }

// Failures returns how many runs failed.
func (r *Report) Failures() int { return r.sum().failures }

func (r *Report) sum() (all counts) {
	for _, c := range r.classes {
		all.cases += c.cases
		all.deliveries += c.deliveries
		all.failures += c.failures
	}
	return all
}

// String is the table of the classes.
func (r *Report) String() string {
	var b strings.Builder
	line := func(name string, c counts) {
		fmt.Fprintf(&b, "%-34s %6d cases %7d deliveries %5d failures\n", name, c.cases, c.deliveries, c.failures)
	}
	for i, c := range r.classes {
		if c.cases > 0 {
			line(classes[i].name, c)
		}
	}
	line("all", r.sum())
	return b.String()
}

// runCase runs one case in every way to deliver it.
func (r *Report) runCase(t *testing.T, c *testCase, s *set, connect func() (Wire, error)) {
	t.Helper()
	n := &r.classes[s.class]
	n.cases++
	for d := range numDeliveries {
		if c.skip[d] {
			continue
		}
		n.deliveries++
		if err := runOnce(c, s, d, connect); err != nil {
			n.failures++
			line := fmt.Sprintf("%s (%s, %s): %v", c.id, c.text, d, err)
			r.Failed = append(r.Failed, line)
			t.Error(line)
		}
	}
}

// runOnce is one connection.
func runOnce(c *testCase, s *set, d delivery, connect func() (Wire, error)) (err error) {
	w, err := connect()
	if err != nil {
		return fmt.Errorf("no connection: %w", err)
	}
	p := &peer{w: w, side: s.side, opt: s.opt, c: c, mode: d, rnd: rand.New(rand.NewPCG(uint64(len(c.id)), uint64(d)))}
	defer func() {
		if e := w.Close(); e != nil && err == nil {
			err = fmt.Errorf("after the end: %w", e)
		}
	}()
	if !c.bare {
		if err := p.open(); err != nil {
			return fmt.Errorf("opening: %w", err)
		}
	}
	for i, st := range c.steps {
		if err := st(p); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	if !p.ended {
		return fmt.Errorf("the script has no end")
	}
	return nil
}
