package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"anyloop/core"
	"anyloop/examples/internal/app"
)

// server is the group and who is in it.
type server struct {
	o    options
	eng  *core.Engine
	g    *core.Group
	room chan struct{}
	slow chan *core.Outbox // the slow ones, as they come
	kids []*kid
	sent int // messages, of both rounds
}

// member is the handler of one receiver.
type member struct {
	s   *server
	out *core.Outbox
}

func (m *member) Opened(_ *core.Conn, r *core.Request) error {
	if string(r.Path()) == "/slow" {
		m.s.slow <- m.out // for the second round
		return nil
	}
	return m.s.g.Add(m.out)
}

func (m *member) Receive(*core.Conn, core.Fragment) error       { return nil }
func (m *member) Writable(_ *core.Conn, w *core.WSWriter) error { return m.out.Writable(w) }

// kid is a child process.
type kid struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string // closed at its end
}

// measure runs both rounds.
func measure(ctx context.Context, o options, self func() *exec.Cmd) (rep *report, err error) {
	o.size, o.children = max(o.size, 8), max(1, min(o.children, o.receivers))
	s, stop, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, k := range s.kids {
			k.stdin.Close()
			for range k.lines { // what it still says
			}
			err = errors.Join(err, k.cmd.Wait())
		}
		err = errors.Join(err, stop())
	}()
	if err := s.start(self); err != nil {
		return nil, err
	}
	rep = &report{options: o}
	if rep.alone, err = s.round(); err != nil {
		return nil, err
	}
	slow, err := s.addSlow()
	if err != nil {
		return nil, err
	}
	if rep.beside, err = s.round(); err != nil {
		return nil, err
	}
	rep.slow = s.lookAt(slow)
	return rep, nil
}

// open starts the server; stop ends it.
func open(ctx context.Context, o options) (s *server, stop func() error, err error) {
	host, err := app.NewHost(o.loop, o.threads)
	if err != nil {
		return nil, nil, err
	}
	s = &server{o: o, room: make(chan struct{}, 1), slow: make(chan *core.Outbox, o.slow)}
	s.g = core.NewGroup(core.GroupLimits{Messages: 64, Room: func() {
		select {
		case s.room <- struct{}{}:
		default:
		}
	}})
	s.eng, err = core.New(core.Config{Backend: host.Backend, Threads: o.threads, VHosts: []core.VHost{{
		Name: "b", Addr: "127.0.0.1:0",
		Limits:    core.Limits{PingInterval: -1, PongTimeout: -1, OutboxCount: -1},
		Protocols: []core.Protocol{{Name: "b", WS: func(c *core.Conn) core.WSHandler { return &member{s, core.NewOutbox(c, core.DropOldest)} }}},
	}}})
	if err != nil {
		return nil, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx, s.eng) }()
	return s, func() error {
		s.eng.Stop(0)
		return <-ended
	}, nil
}

// start starts the children and waits until all receivers are connected.
func (s *server) start(self func() *exec.Cmd) error {
	o, addr := s.o, s.eng.VHost("b").Addr()
	for i := range o.children {
		n := o.receivers*(i+1)/o.children - o.receivers*i/o.children
		slow := 0
		if i == 0 {
			slow = o.slow
		}
		k := &kid{cmd: self(), lines: make(chan string, 8)}
		k.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d %d %d", childEnv, addr, n, slow, o.size, o.messages))
		k.cmd.Stderr = os.Stderr
		in, err := k.cmd.StdinPipe()
		if err != nil {
			return err
		}
		out, err := k.cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := k.cmd.Start(); err != nil {
			return err
		}
		k.stdin = in
		s.kids = append(s.kids, k)
		go func() {
			defer close(k.lines)
			for sc := bufio.NewScanner(out); sc.Scan(); {
				k.lines <- sc.Text()
			}
		}()
	}
	for _, k := range s.kids {
		if line := <-k.lines; line != "ready" {
			return fmt.Errorf("a child says %q", line)
		}
	}
	return nil
}

// fill is what the kernel gets for a slow one before the round: one shared message
// of more than a kernel takes for a peer that does not read. Taking some of it
// later than expected, the kernel changes no figure.
var fill = core.NewShared(core.Message{Data: make([]byte, 8<<20), Binary: true})

// addSlow puts the slow ones into the group, when the kernel takes no more for
// them: it would hold megabytes before anything waited here.
func (s *server) addSlow() (list []*core.Outbox, err error) {
	full := make(chan bool)
	added := make(chan error)
	for range s.o.slow {
		out := <-s.slow
		for done := false; !done; done = <-full {
			if err := out.SendSharedFrom(fill); err != nil {
				return nil, err
			}
			if err := out.Conn().Post(func(c *core.Conn) { full <- c.Pending() > 0 }); err != nil {
				return nil, err
			}
		}
		if err := out.Conn().Post(func(*core.Conn) { added <- s.g.Add(out) }); err != nil {
			return nil, err
		}
		if err := <-added; err != nil {
			return nil, err
		}
		list = append(list, out)
	}
	return list, nil
}

// lookAt reads what the slow ones hold.
func (s *server) lookAt(slow []*core.Outbox) (sum held) {
	seen := make(chan held)
	for _, out := range slow {
		out.Conn().Post(func(c *core.Conn) {
			seen <- held{out.Pending() - c.Pending(), c.Pending(), out.Len(), int(out.Dropped())}
		})
		h := <-seen
		sum.pending += h.pending
		sum.below += h.below
		sum.messages += h.messages
		sum.dropped += h.dropped
	}
	return sum
}

// counted is what the figures of a round are differences of.
type counted struct {
	stats     core.Stats
	delivered uint64
	heap      uint64
	cpu       cpuTime
	at        time.Time
}

// count reads them when all that was done before is in them.
func (s *server) count() (c counted, err error) {
	c.at, c.cpu = time.Now(), used()
	if err := s.settle(); err != nil {
		return c, err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.stats, c.heap, c.delivered = s.eng.Stats(), m.TotalAlloc, s.g.Stats().Delivered
	return c, nil
}

// settle waits until the group has handed out everything, and every thread has
// ended the turn in which it did: a thread's counters are those of its last turn.
func (s *server) settle() error {
	for again := true; again; {
		again = s.g.Stats().Flight > 0
		done := make(chan struct{}, s.o.threads)
		for i := range s.o.threads {
			th := s.eng.Thread(i)
			next := func() { done <- struct{}{} }
			if err := th.Post(func() { th.AfterFunc(0, next) }); err != nil {
				return err
			}
		}
		for range s.o.threads {
			select {
			case <-done:
			case <-s.eng.Done():
				return core.ErrStopped
			}
		}
	}
	return nil
}

// round sends the messages and waits until every reading receiver has the last.
func (s *server) round() (f figures, err error) {
	before, err := s.count()
	if err != nil {
		return f, err
	}
	for range s.o.messages {
		msg := core.NewShared(core.Message{Data: payload(s.sent, s.o.size), Binary: true})
		s.sent++
		for err := s.g.SendShared(msg); err != nil; err = s.g.SendShared(msg) {
			if !errors.Is(err, core.ErrFull) {
				return f, err
			}
			<-s.room
		}
		defer func() { f.encodes += msg.Encodings() }()
	}
	for _, k := range s.kids {
		line, ok := <-k.lines
		lost := 0
		if _, err := fmt.Sscanf(line, "done %d", &lost); err != nil || !ok {
			return f, fmt.Errorf("a child says %q", line)
		}
		f.lost += lost
	}
	after, err := s.count()
	f.since(before, after)
	return f, err
}

// since makes the figures of what was counted at the beginning and at the end.
func (f *figures) since(before, after counted) {
	f.took = after.at.Sub(before.at)
	f.user, f.system = after.cpu.user-before.cpu.user, after.cpu.system-before.cpu.system
	f.heap = after.heap - before.heap
	f.delivered = int(after.delivered - before.delivered)
	f.writes = after.stats.Writes - before.stats.Writes
	f.copied = (after.stats.BytesOut - before.stats.BytesOut) - (after.stats.SharedOut - before.stats.SharedOut)
}

// cpuTime is what this process has used.
type cpuTime struct{ user, system time.Duration }

func used() cpuTime {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return cpuTime{}
	}
	return cpuTime{time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano())}
}
