//go:build foreignloops && cgo && linux

package cloop_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
	"anyloop/core/ws"
	"anyloop/examples/internal/cloop"
)

// far is how long the tests wait for what must happen: only a hang needs it.
const far = 2 * looptest.Bound

var warm sync.Once

// warmUp makes what the process keeps for good: descriptors of Go's net poller,
// and those that a C library opens with its first loop (libuv: a pipe).
func warmUp() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		l.Close()
	}
	for _, lib := range libraries {
		if l, err := lib.make(); err == nil {
			l.Turn(false)
			l.Close()
		}
	}
}

// leakCheck compares descriptors and goroutines before and after a test.
func leakCheck(t testing.TB) {
	t.Helper()
	warm.Do(warmUp)
	fds, gos := descriptors(t), runtime.NumGoroutine()
	t.Cleanup(func() {
		settle(t, "goroutines", gos, runtime.NumGoroutine)
		settle(t, "descriptors", fds, func() int { return descriptors(t) })
	})
}

// settle waits until a count has come back to what it was: what ends, ends in its
// own time.
func settle(t testing.TB, what string, want int, count func() int) {
	t.Helper()
	for end := time.Now().Add(far); ; runtime.Gosched() {
		n := count()
		if n <= want {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%d %s, %d before", n, what, want)
			return
		}
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// host is a program that owns a C loop, and has a timer and a pipe in it. All of it
// belongs to the test's goroutine.
type host struct {
	t       testing.TB
	l       cloop.Loop
	timer   cloop.Timer
	watcher cloop.Watcher
	pipe    [2]int
	ticks   int
	reads   int
	busy    bool // the pipe is kept readable
	late    time.Time
	spy     spy
}

func newHost(t testing.TB, lib library) *host {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	h := &host{t: t, l: lib.newLoop(t), late: time.Now().Add(far)}
	if err := unix.Pipe2(h.pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	h.timer = cloop.Every(h.l, time.Millisecond, h.tick)
	var err error
	if h.watcher, err = h.l.Watch(h.pipe[0], loop.In, h.read); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.timer.Close()
		h.watcher.Close()
		unix.Close(h.pipe[0])
		unix.Close(h.pipe[1])
	})
	return h
}

func (h *host) tick() {
	h.ticks++
	h.spy.hostRan()
	unix.Write(h.pipe[1], []byte{1})
	if time.Now().After(h.late) {
		h.l.Stop()
	}
}

func (h *host) read(ev loop.Events) {
	h.reads++
	h.spy.hostRan()
	if ev != loop.In {
		h.t.Errorf("the host's pipe is ready for %v", ev)
	}
	var p [64]byte
	if n, err := unix.Read(h.pipe[0], p[:]); n <= 0 {
		h.t.Errorf("the host's pipe is called readable: %d %v", n, err)
	}
	if h.busy {
		unix.Write(h.pipe[1], p[:1])
	}
}

// keepBusy makes the pipe ready in every turn, until it is called with false.
func (h *host) keepBusy(on bool) {
	h.busy = on
	if on {
		unix.Write(h.pipe[1], []byte{1})
	}
}

// at runs f in the host's timer, inside the library's loop, and returns when it
// has: the loop runs and is stopped by its owner.
func (h *host) at(f func()) {
	h.t.Helper()
	h.until("the host's timer", func() bool { f(); return true })
}

// until runs the loop until a condition that the host's timer asks.
func (h *host) until(what string, cond func() bool) {
	h.t.Helper()
	ok := false
	ask := cloop.Every(h.l, time.Millisecond, func() {
		if !ok && cond() {
			ok = true
			h.l.Stop()
		}
	})
	h.late = time.Now().Add(far)
	h.l.Run()
	ask.Close()
	if !ok {
		h.t.Fatalf("never: %s", what)
	}
}

// ticked runs the loop for n ticks of its timer, in which its pipe must be heard
// too.
func (h *host) ticked(n int) {
	h.t.Helper()
	ticks, reads := h.ticks+n, h.reads
	h.until("ticks", func() bool { return h.ticks >= ticks && h.reads > reads })
}

// watchers is what is in the loop, after the handles that are closing (libuv) had
// their turn.
func (h *host) watchers() int {
	h.l.Turn(false)
	return h.l.Watchers()
}

// same reports watchers that an engine has left behind. The host's own timer is not
// in the loop between its end and its being set again, so one look may find fewer.
func (h *host) same(before int) {
	h.t.Helper()
	n := h.watchers()
	for end := time.Now().Add(far); n < before && time.Now().Before(end); runtime.Gosched() {
		n = h.watchers()
	}
	if n != before {
		h.t.Errorf("%d watchers in the loop, %d before", n, before)
	}
}

// end ends an engine: it is stopped, and the loop turned by plain Go until Done.
func (h *host) end(eng *core.Engine) {
	h.t.Helper()
	eng.Stop(-1)
	h.turnUntil(eng.Done())
}

func (h *host) turnUntil(done <-chan struct{}) {
	h.t.Helper()
	for end := time.Now().Add(far); ; {
		select {
		case <-done:
			return
		default:
			h.l.Turn(true)
		}
		if time.Now().After(end) {
			h.t.Fatal("it did not end")
		}
	}
}

// in runs a client on a goroutine of its own while the loop runs.
func (h *host) in(client func() error) {
	h.t.Helper()
	done := make(chan error, 1)
	go func() { done <- client() }()
	h.until("the client has what it wants", func() bool {
		select {
		case err := <-done:
			if err != nil {
				h.t.Errorf("client: %v", err)
			}
			return true
		default:
			return false
		}
	})
}

// echoes are engines that send back what they get.
func echoes(b loop.Backend, addr string) core.Config {
	return core.Config{Backend: b, VHosts: []core.VHost{{Addr: addr, Protocols: []core.Protocol{{
		Name: "echo",
		WS:   core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }),
	}}}}}
}

const anyPort = "127.0.0.1:0"

func addrOf(eng *core.Engine) string { return eng.VHost("default").Addr() }

func (h *host) engine(cfg core.Config) *core.Engine {
	h.t.Helper()
	eng, err := core.New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return eng
}

// client is a WebSocket of another program.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*client, error) {
	c, err := net.DialTimeout("tcp", addr, far)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(3 * far))
	k := &client{c, bufio.NewReader(c)}
	if err := k.upgrade(addr); err != nil {
		c.Close()
		return nil, err
	}
	return k, nil
}

func (c *client) upgrade(addr string) error {
	_, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", addr)
	if err != nil {
		return err
	}
	for first := ""; ; {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		if first == "" {
			first = line
		}
		if line == "\r\n" {
			if !strings.HasPrefix(first, "HTTP/1.1 101 ") {
				return errors.New(first)
			}
			return nil
		}
	}
}

func frame(p []byte) []byte {
	return ws.AppendFrame(nil, ws.Header{Op: ws.Text, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, 4}}, p)
}

func (c *client) send(msg string) error {
	_, err := c.Write(frame([]byte(msg)))
	return err
}

// want reads a message of fewer than 126 bytes.
func (c *client) want(msg string) error {
	p := make([]byte, 2+len(msg))
	if _, err := io.ReadFull(c.r, p); err != nil {
		return err
	}
	if string(p[2:]) != msg {
		return fmt.Errorf("got %q, want %q", p[2:], msg)
	}
	return nil
}

func (c *client) echo(msg string) error {
	if err := c.send(msg); err != nil {
		return err
	}
	return c.want(msg)
}

// once connects, echoes and leaves.
func once(addr string) func() error {
	return func() error {
		c, err := dial(addr)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.echo("hello")
	}
}

// spy counts what core does between two callbacks of the host.
type spy struct {
	services int         // calls of ServiceFD since the host last ran
	each     map[int]int // of these, by descriptor
	total    int
	most     int // largest value of services
	mostEach int // largest value in each

	bytes     func() uint64 // a gauge, if set
	mostBytes uint64        // its largest growth in one service
}

func (s *spy) hostRan() {
	s.services = 0
	clear(s.each)
}

// on puts the spy between core and a loop.
func (s *spy) on(b loop.Backend) loop.Backend {
	s.each = map[int]int{}
	return spied{b, s}
}

type spied struct {
	loop.Backend
	s *spy
}

func (b spied) Open(thread int, svc loop.Service) (loop.Loop, error) {
	return b.Backend.Open(thread, spiedService{svc, b.s})
}

type spiedService struct {
	loop.Service
	s *spy
}

func (v spiedService) ServiceFD(p *loop.PollFD) bool {
	v.s.total++
	v.s.services++
	v.s.each[int(p.Fd)]++
	v.s.most = max(v.s.most, v.s.services)
	v.s.mostEach = max(v.s.mostEach, v.s.each[int(p.Fd)])
	if v.s.bytes == nil {
		return v.Service.ServiceFD(p)
	}
	before := v.s.bytes()
	ours := v.Service.ServiceFD(p)
	v.s.mostBytes = max(v.s.mostBytes, v.s.bytes()-before)
	return ours
}
