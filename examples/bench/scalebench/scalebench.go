//go:build linux

// Package scalebench measures what many idle WebSockets cost: memory, and wake-ups.
package scalebench

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/stormbench/crowd"
	"anyloop/examples/bench/stormbench/target"
)

// counted is the server that can be asked for its heap and its turns.
const counted = "ours-poll, counted"

// options are the flags.
type options struct {
	servers  string
	levels   string
	idle     time.Duration // at each level
	pings    time.Duration // at the last level, then
	patience time.Duration
}

// Main is the command "scale".
func Main(args []string) error {
	var o options
	f := flag.NewFlagSet("scale", flag.ExitOnError)
	f.StringVar(&o.servers, "servers", counted+";ours-poll", "what to measure, separated by semicolons: the counted server, examples/echo on a loop, or a peer")
	f.StringVar(&o.levels, "levels", "1000,5000,10000,19000", "connections, ascending; processes are capped at 20,000 descriptors here")
	f.DurationVar(&o.idle, "idle", 5*time.Second, "how long to be idle at each level")
	f.DurationVar(&o.pings, "pings", 45*time.Second, "how long to be idle in the end, so that all are asked whether they live; 0: not at all")
	f.DurationVar(&o.patience, "patience", 20*time.Second, "how long a server may take to notice that its peers are gone")
	f.Parse(args)
	return o.print(os.Stdout)
}

func (o *options) print(w io.Writer) error {
	levels, err := parseLevels(o.levels)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "idle WebSockets, after one echo on each; bytes are growth for each since before the first; idle for %v at each level, and in the end for %v;\n", o.idle, o.pings)
	fmt.Fprintln(w, "sleeps are of all threads; what there is with no connection is the process's own: programs with gnet in them have a clock that ticks twice a second")
	fmt.Fprintln(w, "| server | conns | opened in s | heap B | resident B | the same, packed | turns/s | sleeps/s | CPU ms/s | Pings answered |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	b, err := target.NewBuilder()
	if err != nil {
		return err
	}
	defer b.Close()
	for _, name := range strings.Split(o.servers, ";") {
		if err := o.measure(w, b, name, levels); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func parseLevels(s string) (all []int, err error) {
	for _, l := range strings.Split(s, ",") {
		n, err := strconv.Atoi(l)
		if err != nil || n < 1 || len(all) > 0 && n <= all[len(all)-1] {
			return nil, fmt.Errorf("levels %q: %q is not a larger number than the one before", s, l)
		}
		all = append(all, n)
	}
	return all, nil
}

// side is a server with its crowd.
type side struct {
	*target.Server
	child *proc.Child // of the counted server, nil for others
	crowd *proc.Child
	base  state // before the first
	files int
}

// state is what was looked at.
type state struct {
	Inside
	asIs, packed int // resident, bytes
	sleeps       int
	cpu          time.Duration
}

// warm connections are opened and closed again first: what is made only once is
// nobody's.
const warm = 200

func (o *options) start(b *target.Builder, name string) (s *side, err error) {
	s = &side{}
	if name == counted {
		s.child, s.Server, err = startCounted(b)
	} else {
		s.Server, err = b.Start(name)
	}
	if err != nil {
		return nil, err
	}
	if s.files, err = s.Files(); err == nil {
		s.crowd, err = proc.StartOn(b.LoadCore, "crowd", crowd.Config{Addr: s.Addr}, 2)
	}
	if err != nil {
		return nil, errors.Join(err, s.Server.Stop())
	}
	if _, err = s.open(warm); err == nil {
		err = s.leave(o)
	}
	if err == nil {
		s.base, err = s.look()
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func startCounted(b *target.Builder) (*proc.Child, *target.Server, error) {
	c, err := proc.StartOn(b.ServerCore, "counted", nil, 1)
	if err != nil {
		return nil, nil, err
	}
	s, err := target.Of(counted, c)
	return c, s, err
}

func (s *side) stop() error { return errors.Join(s.crowd.Stop(), s.Server.Stop()) }

// look looks at the memory.
func (s *side) look() (st state, err error) {
	if st.asIs, err = proc.Resident(s.Pid()); err != nil {
		return st, err
	}
	if s.child != nil {
		if err = s.child.Ask("pack", nil, &st.Inside); err != nil {
			return st, err
		}
		st.packed, err = proc.Resident(s.Pid())
	}
	return st, err
}

func (s *side) open(n int) (sp crowd.Span, err error) {
	err = s.crowd.Ask("open", crowd.Open{Count: n, Parallel: 256, Echo: true}, &sp)
	return sp, err
}

// leave ends all connections at once, and waits until the server has.
func (s *side) leave(o *options) error {
	if err := s.crowd.Ask("close", crowd.FIN, nil); err != nil {
		return err
	}
	return s.Settle(s.files+spare, o.patience)
}

// spare are descriptors that a server may open besides those of its connections.
const spare = 8

func (o *options) measure(w io.Writer, b *target.Builder, name string, levels []int) (err error) {
	s, err := o.start(b, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	q, err := s.quiet(o.idle)
	if err != nil {
		return err
	}
	nobody := level{quiet: q}
	nobody.print(w, name)
	var all []level
	have := 0
	for _, n := range levels {
		sp, err := s.open(n - have)
		if err != nil {
			return err
		}
		have = n
		l, err := s.level(n, o.idle)
		if err != nil {
			return fmt.Errorf("%d connections: %w", n, err)
		}
		l.opened = sp.Length()
		l.print(w, name)
		all = append(all, l)
	}
	if o.pings > 0 {
		q, err := s.quiet(o.pings)
		if err != nil {
			return err
		}
		l := level{conns: have, quiet: q}
		l.print(w, name)
	}
	began := time.Now()
	if err := s.leave(o); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := s.look()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "| %s | 0 | closed in %.1f | %s | %d | %s | - | - | - | - |\n", name, took.Seconds(), s.known(int64(after.Heap)-int64(s.base.Heap)),
		after.asIs-s.base.asIs, s.known(int64(after.packed-s.base.packed)))
	return errors.Join(flat(all), s.gone(after))
}

// gone fails unless the server is what it was before the first came.
func (s *side) gone(after state) error {
	if s.child != nil && (after.Conns != 0 || after.Left != s.base.Left) {
		return fmt.Errorf("%d connections are left, and %d descriptors in the loop, of which there were %d", after.Conns, after.Left, s.base.Left)
	}
	return nil
}

func (s *side) known(n int64) string {
	if s.child == nil {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}
