package gnetengine_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
	gnetengine "anyloop/loops/gnet/engine"
)

// What gnet does to its own users, and must not do to ours. Each test is named
// after the defect.

// served is an engine over gnet's connections.
type served struct {
	eng  *core.Engine
	b    *gnetengine.StreamLoops
	addr string
	ran  chan error
}

func serve(t *testing.T, lim core.Limits, vh core.VHost, opts ...gnetengine.Option) *served {
	t.Helper()
	s := &served{b: gnetengine.Streams(opts...), ran: make(chan error, 1)}
	vh.Addr = "127.0.0.1:0"
	eng, v := newEngine(t, core.Config{Backend: s.b, Limits: lim}, vh)
	s.eng, s.addr = eng, v.Addr()
	go func() { s.ran <- eng.Run(context.Background()) }()
	wait(t, s.b.Listening(), "gnet does not listen")
	t.Cleanup(func() {
		shutdown(t, eng)
		if err := <-s.ran; err != nil {
			t.Error(err)
		}
		if n := eng.Stats().Misuses; n != 0 {
			t.Errorf("%d misuses", n)
		}
	})
	return s
}

// stats are the counters after a turn.
func (s *served) stats(t *testing.T) core.Stats {
	t.Helper()
	done := make(chan struct{})
	if err := s.eng.Post(func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	wait(t, done, "the loop does not turn")
	return s.eng.Stats()
}

// calls is a WebSocket handler of functions.
type calls struct {
	receive  func(*core.Conn, core.Fragment) error
	writable func(*core.Conn, *core.WSWriter) error
	closed   func(error)
}

func (h *calls) Receive(c *core.Conn, f core.Fragment) error { return h.receive(c, f) }

func (h *calls) Writable(c *core.Conn, w *core.WSWriter) error {
	if h.writable == nil {
		return nil
	}
	return h.writable(c, w)
}

func (h *calls) Closed(_ *core.Conn, err error) {
	if h.closed != nil {
		h.closed(err)
	}
}

func handler(h *calls) core.VHost {
	return core.VHost{Protocols: []core.Protocol{{Name: "x", WS: func(*core.Conn) core.WSHandler { return h }}}}
}

// sender answers every message with n messages of size bytes, the last of which is
// followed by a close if end is set.
func sender(n, size int, end bool) *calls {
	left := 0
	buf := make([]byte, size)
	return &calls{
		receive: func(c *core.Conn, f core.Fragment) error {
			left = n
			c.RequestWritable()
			return nil
		},
		writable: func(c *core.Conn, w *core.WSWriter) error {
			if left == 0 {
				return nil
			}
			if err := w.Binary(buf); err != nil {
				return err
			}
			if left--; left == 0 {
				if end {
					c.Close(1000, "")
				}
				return nil
			}
			c.RequestWritable()
			return nil
		},
	}
}

// TestDefectCloseTruncates: what is written before a close arrives, however much.
func TestDefectCloseTruncates(t *testing.T) {
	s := serve(t, core.Limits{FlushTimeout: looptest.Bound, CloseTimeout: looptest.Bound, WriteLimit: 64 << 20}, handler(sender(1, 64<<20, true)))
	c := dial(t, s.addr)
	if err := c.Upgrade(""); err != nil {
		t.Fatal(err)
	}
	if err := c.Text("go"); err != nil {
		t.Fatal(err)
	}
	until(t, "the peer's window is full", func() bool { return s.stats(t).Chokes > 0 })
	f, err := c.Next()
	if err != nil || len(f.Payload) != 64<<20 {
		t.Fatalf("%d bytes, %v", len(f.Payload), err)
	}
	if f, err = c.Next(); err != nil || f.Op != ws.Close || f.Code() != 1000 {
		t.Errorf("behind it: %+v %v", f, err)
	}
}

// TestDefectNoDrainedEvent: a peer that has not read goes on when it reads, with no
// timer of ours in between; and a pause costs no turns.
func TestDefectNoDrainedEvent(t *testing.T) {
	const n, size = 64, 1 << 20
	s := serve(t, core.Limits{}, handler(sender(n, size, false)))
	c := dial(t, s.addr)
	if err := c.Upgrade(""); err != nil {
		t.Fatal(err)
	}
	if err := c.Text("go"); err != nil {
		t.Fatal(err)
	}
	var was core.Stats
	until(t, "the peer's window is full", func() bool { was = s.stats(t); return was.Chokes > 0 })
	is := s.stats(t)
	for range 5 {
		is = s.stats(t)
	}
	if out := is.BytesOut; out > n*size/2 {
		t.Errorf("%d bytes are out for a peer that reads nothing", out)
	}
	for i := range n {
		f, err := c.Next()
		if err != nil || len(f.Payload) != size {
			t.Fatalf("message %d: %d bytes, %v", i, len(f.Payload), err)
		}
	}
}

// TestDefectNoReadPause: a paused connection that is sent to takes a bounded part and
// leaves gnet, so that the sender has to wait; then all arrives in order.
func TestDefectNoReadPause(t *testing.T) {
	var conn atomic.Pointer[core.Conn]
	got := make(chan []byte, 1)
	var all []byte
	h := &calls{receive: func(c *core.Conn, f core.Fragment) error {
		if !f.Binary {
			conn.Store(c)
			return c.Pause()
		}
		all = append(all, f.Data...)
		if f.Final {
			got <- all
		}
		return nil
	}}
	s := serve(t, core.Limits{MaxMessage: -1}, handler(h))
	c := dial(t, s.addr)
	if err := c.Upgrade(""); err != nil {
		t.Fatal(err)
	}
	if err := c.Text("pause"); err != nil {
		t.Fatal(err)
	}
	until(t, "it is paused", func() bool { return conn.Load() != nil })
	was := s.stats(t)
	want := make([]byte, 12<<20)
	for i := range want {
		want[i] = byte(i >> 8)
	}
	sent := make(chan error, 1)
	go func() { sent <- c.Send(ws.Binary, want) }()
	until(t, "core has the descriptor", func() bool { return s.stats(t).Adds == was.Adds+1 })
	for range 20 {
		s.stats(t)
	}
	select {
	case err := <-sent:
		t.Fatalf("12 MiB were taken for a paused connection: %v", err)
	default:
	}
	if in := s.stats(t).BytesIn - was.BytesIn; in > 320<<10 {
		t.Errorf("%d bytes are in", in)
	}
	resumed := make(chan error, 1)
	s.eng.Post(func() { resumed <- conn.Load().Resume() })
	if err := <-resumed; err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if p := <-got; !bytes.Equal(p, want) {
		t.Errorf("%d bytes of %d, or not in order", len(p), len(want))
	}
}

// TestDefectLeftoverInput: what gnet kept during a pause comes when it ends, though
// the peer sends nothing more.
func TestDefectLeftoverInput(t *testing.T) {
	var conn atomic.Pointer[core.Conn]
	got := make(chan string, 8)
	h := &calls{receive: func(c *core.Conn, f core.Fragment) error {
		if string(f.Data) == "pause" {
			conn.Store(c)
			return c.Pause()
		}
		got <- string(f.Data)
		return nil
	}}
	s := serve(t, core.Limits{}, handler(h))
	c := dial(t, s.addr)
	if err := c.Upgrade(""); err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"pause", "a", "b"} {
		if err := c.Text(m); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "it is paused", func() bool { return conn.Load() != nil })
	if err := c.Text("c"); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		s.stats(t) // turns, in which gnet reads it
	}
	select {
	case m := <-got:
		t.Errorf("%q came during the pause", m)
	default:
	}
	s.eng.Post(func() { conn.Load().Resume() })
	for _, want := range []string{"a", "b", "c"} {
		select {
		case m := <-got:
			if m != want {
				t.Errorf("%q, want %q", m, want)
			}
		case <-time.After(looptest.Bound):
			t.Fatalf("%q does not come", want)
		}
	}
}

// TestDefectStaleFd: after its end, a connection's number is somebody else's. A
// choked connection is reset; nothing more is written to its number.
func TestDefectStaleFd(t *testing.T) {
	closed := make(chan error, 1)
	h := sender(1000, 1<<20, false)
	h.closed = func(err error) { closed <- err }
	s := serve(t, core.Limits{}, handler(h))
	before := fdSet(t)
	c := dial(t, s.addr)
	if err := c.Upgrade(""); err != nil {
		t.Fatal(err)
	}
	if err := c.Text("go"); err != nil {
		t.Fatal(err)
	}
	until(t, "the peer's window is full", func() bool { return s.stats(t).Chokes > 0 })
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	if err := <-closed; err == nil {
		t.Error("a reset is no error")
	}
	var pipes [][2]int
	for range 8 { // take the freed numbers
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		pipes = append(pipes, p)
	}
	for range 20 {
		s.eng.Post(func() { s.eng.RequestWritable("x") })
		s.stats(t)
	}
	left := make(chan int, 1)
	s.eng.Post(func() { left <- gnetengine.Choked(s.b, 0) })
	if n := <-left; n != 0 {
		t.Errorf("the poll set waits for %d connections that are gone", n)
	}
	reused := false
	for _, p := range pipes {
		for i, fd := range p {
			reused = reused || !before[fd]
			b := make([]byte, 1)
			if n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT); err != unix.EAGAIN {
				t.Errorf("descriptor %d was written to: %d %v", p[1-i], n, err)
			}
			defer unix.Close(fd)
		}
	}
	if !reused {
		t.Error("no number was taken again")
	}
}

func fdSet(t *testing.T) map[int]bool {
	t.Helper()
	all := map[int]bool{}
	for fd := range 256 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			all[fd] = true
		}
	}
	return all
}

// TestDefectWriteThatFailsCloses: a write to a peer that is gone ends the connection
// once, wherever it is noticed.
func TestDefectWriteThatFailsCloses(t *testing.T) {
	closed := make(chan error, 64)
	s := serve(t, core.Limits{}, core.VHost{Protocols: []core.Protocol{{Name: "x", WS: func(*core.Conn) core.WSHandler {
		h := sender(64, 64<<10, false)
		h.closed = func(err error) { closed <- err }
		return h
	}}}})
	for range 32 {
		c := dial(t, s.addr)
		if err := c.Upgrade(""); err != nil {
			t.Fatal(err)
		}
		if err := c.Text("go"); err != nil {
			t.Fatal(err)
		}
		c.Conn.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	for range 32 {
		select {
		case <-closed:
		case <-time.After(looptest.Bound):
			t.Fatal("an end is not told")
		}
	}
	until(t, "no connection is left", func() bool { return s.stats(t).Conns == 0 })
	select {
	case err := <-closed:
		t.Errorf("an end is told twice: %v", err)
	default:
	}
}

// TestDefectOneProcessor: nothing waits for a second one.
func TestDefectOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := serve(t, core.Limits{}, echoing(""))
	a, b := webSocket(t, s.addr), webSocket(t, s.addr)
	for range 50 {
		echo(t, a, "a")
		echo(t, b, "b")
	}
}

// TestDefectEMFILEEndsTheEngine: when gnet cannot accept for lack of descriptors its
// engine ends. Ours does not: it loses gnet's connections, which are told why, keeps
// what else it does, and listens again when there is room.
func TestDefectEMFILEEndsTheEngine(t *testing.T) {
	closed := make(chan error, 1)
	vh := echoing("")
	mk := vh.Protocols[0].WS
	vh.Protocols[0].WS = func(c *core.Conn) core.WSHandler { return &closing{mk(c), closed} }
	s := serve(t, core.Limits{MaxConns: 100}, vh)
	webSocket(t, s.addr)
	exhausted := exhaust(t)
	exhausted(1) // one for the client, none for gnet
	c, err := net.Dial("tcp", s.addr)
	if errors.Is(err, syscall.EMFILE) {
		t.Fatal(err) // else gnet was faster
	}
	select {
	case err := <-closed:
		if !errors.Is(err, gnetengine.ErrHostGone) {
			t.Errorf("the handler heard of %v", err)
		}
	case <-time.After(looptest.Bound):
		t.Fatal("gnet's end is not noticed")
	}
	s.stats(t) // the loop turns
	exhausted(-1)
	if c != nil {
		c.Close()
	}
	var again *client.Conn
	until(t, "it listens again on the same port", func() bool {
		again, err = client.Dial(s.addr, looptest.Bound)
		return err == nil
	})
	defer again.Close()
	if err := again.Upgrade(""); err != nil {
		t.Fatal(err)
	}
	echo(t, again, "in the second life")
	select {
	case err := <-s.ran:
		t.Fatalf("Run returned %v", err)
	default:
	}
}

// exhaust takes all descriptors but some of a lowered limit. The function that it
// returns gives n back, or all.
func exhaust(t *testing.T) func(n int) {
	t.Helper()
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	low := lim
	low.Cur = 300
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var held []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		held = append(held, f)
	}
	free := func(n int) {
		if n < 0 {
			n = len(held)
			syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim)
		}
		for range n {
			held[0].Close()
			held = held[1:]
		}
	}
	t.Cleanup(func() { free(-1) })
	return free
}
