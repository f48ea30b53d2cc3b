//go:build linux || darwin || freebsd

package evioloop_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/client"
	"anyloop/loops/evio"
	"anyloop/loops/poll"
)

// app is an evio application with a protocol of its own: it answers each line with
// the line. Its addresses are 127.0.0.1:0 and the bridge's.
type app struct {
	t      testing.TB
	bridge *evioloop.Bridge
	addr   string // of the line protocol
	served chan error
	outer  func(*evio.Events) // changes what evio gets

	mu     sync.Mutex
	events []string // Opened, Closed, with their AddrIndex
	wakes  int      // Data(nil)
}

// callbacks are the events of the application; a test may replace some.
func (a *app) callbacks() evio.Events {
	return evio.Events{
		Opened: func(c evio.Conn) ([]byte, evio.Options, evio.Action) {
			a.note("opened %d", c.AddrIndex())
			return nil, evio.Options{}, evio.None
		},
		Closed: func(c evio.Conn, err error) evio.Action {
			a.note("closed %d", c.AddrIndex())
			return evio.None
		},
		Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) {
			if in == nil {
				a.mu.Lock()
				a.wakes++
				a.mu.Unlock()
			}
			return in, evio.None
		},
	}
}

func (a *app) note(format string, args ...any) {
	a.mu.Lock()
	a.events = append(a.events, fmt.Sprintf(format, args...))
	a.mu.Unlock()
}

func (a *app) noted() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.events, ", ")
}

// newBridge returns a bridge that is closed at the test's end.
func newBridge(t testing.TB, opts ...evioloop.Option) *evioloop.Bridge {
	t.Helper()
	b, err := evioloop.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// serve starts the application; change, if not nil, may alter its callbacks.
func serve(t testing.TB, b *evioloop.Bridge, change func(*app, *evio.Events)) *app {
	t.Helper()
	a := &app{t: t, bridge: b, served: make(chan error, 1)}
	up := make(chan string, 1)
	ev := a.callbacks()
	ev.Serving = func(s evio.Server) evio.Action {
		up <- s.Addrs[0].String()
		return evio.None
	}
	if change != nil {
		change(a, &ev)
	}
	ev = b.Wrap(ev)
	if a.outer != nil {
		a.outer(&ev)
	}
	go func() { a.served <- evio.Serve(ev, "tcp://127.0.0.1:0", b.Addr()) }()
	a.addr = take(t, up, "the server serves")
	return a
}

// stop ends the server and waits for it.
func (a *app) stop() {
	a.t.Helper()
	if err := a.bridge.Shutdown(); err != nil {
		a.t.Errorf("Shutdown: %v", err)
		return
	}
	if err := take(a.t, a.served, "Serve returns"); err != nil {
		a.t.Errorf("Serve: %v", err)
	}
}

// line is a client of the application's own protocol.
type line struct {
	t testing.TB
	c net.Conn
	r *bufio.Reader
}

func (a *app) dial() *line {
	a.t.Helper()
	c, err := net.DialTimeout("tcp", a.addr, looptest.Bound)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(looptest.Bound))
	a.t.Cleanup(func() { c.Close() })
	return &line{a.t, c, bufio.NewReader(c)}
}

func (l *line) echo(s string) {
	l.t.Helper()
	if _, err := fmt.Fprintln(l.c, s); err != nil {
		l.t.Fatal(err)
	}
	if got, err := l.r.ReadString('\n'); err != nil || got != s+"\n" {
		l.t.Fatalf("the application answers %q, %v", got, err)
	}
}

// echoes is a vhost that echoes WebSocket messages.
func echoes(addr string) core.VHost {
	return core.VHost{Addr: addr, Protocols: []core.Protocol{{Name: "echo", WS: core.OnMessage(
		func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}
}

func engine(t testing.TB, cfg core.Config) *core.Engine {
	t.Helper()
	eng, err := core.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return eng
}

// running has the engines that run over Streams, and what is closed when their
// evio servers are gone: until then evio may close descriptors of the next test.
var running sync.Map

// end stops an engine that somebody turns.
func end(t testing.TB, eng *core.Engine) {
	t.Helper()
	eng.Stop(-1)
	take(t, eng.Done(), "the engine ends")
	if ran, ok := running.Load(eng); ok {
		take(t, ran.(chan struct{}), "Run returns")
	}
}

// finish takes an engine that nobody turns to its end.
func finish(t testing.TB, eng *core.Engine) {
	t.Helper()
	eng.Detach()
	if err := eng.Attach(poll.Backend()); err != nil {
		t.Fatal(err)
	}
	eng.Stop(-1)
	if err := eng.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wsDial(t testing.TB, addr string) *client.Conn {
	t.Helper()
	c, err := client.Dial(addr, looptest.Bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Upgrade(""); err != nil {
		t.Fatal(err)
	}
	return c
}

func take[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(looptest.Bound):
		b := make([]byte, 1<<18)
		t.Fatalf("never: %s\n%s", what, b[:runtime.Stack(b, true)])
	}
	return v
}

// until waits for what other goroutines bring about.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(looptest.Bound); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// on runs f on a service thread and waits for it.
func on(t testing.TB, th *core.Thread, f func()) {
	t.Helper()
	done := make(chan struct{})
	if err := th.Post(func() { f(); close(done) }); err != nil {
		t.Fatal(err)
	}
	take(t, done, "a post runs")
}

// stock is what the process has open, and its goroutines.
func stock(t testing.TB) (fds, gos int) {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(d), runtime.NumGoroutine()
}

var warm = sync.OnceFunc(func() {
	// What the standard library keeps for good: its poller.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
})

// leaks checks at the test's end that descriptors and goroutines are what they
// are now.
func leaks(t testing.TB) {
	t.Helper()
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return
	}
	warm()
	fds, gos := stock(t)
	t.Cleanup(func() {
		f, g := 0, 0
		for end := time.Now().Add(looptest.Bound); time.Now().Before(end); runtime.Gosched() {
			if f, g = stock(t); f <= fds && g <= gos {
				return
			}
		}
		b := make([]byte, 1<<18)
		t.Errorf("%d descriptors and %d goroutines more than before\n%s", f-fds, g-gos, b[:runtime.Stack(b, true)])
	})
}
