//go:build linux || darwin || freebsd

package evioloop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/ws"
	"anyloop/loops/evio"
	"anyloop/loops/poll"
)

// What is wrong with evio 1.0.8, one test each that shows what of it reaches
// users of core.

// TestDefectWakeStalls: a Conn.Wake can be late by 100 ms on Linux. The doorbell is
// a byte: evio never hears a wake of ours, on any connection.
func TestDefectWakeStalls(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b})
	wakes, bytes := 0, 0
	a := serve(t, b, func(a *app, _ *evio.Events) {
		a.outer = func(ev *evio.Events) {
			data := ev.Data
			ev.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
				if in == nil {
					wakes++
				}
				bytes += len(in)
				return data(c, in)
			}
		}
	})
	for range 1000 {
		on(t, eng.Thread(0), func() {})
	}
	end(t, eng)
	a.stop()
	if wakes != 0 {
		t.Errorf("%d wakes", wakes)
	}
	if bytes == 0 {
		t.Errorf("%d doorbell bytes for 1000 wake-ups", bytes)
	}
}

// TestDefectLostOutput: what a wake-induced Data returns replaces pending output.
// The bridge never returns any, so there is nothing to lose: evio writes nothing
// on core's behalf, while 32 MiB arrive whole.
func TestDefectLostOutput(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	var writes atomic.Int32
	var conn atomic.Pointer[core.Conn]
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{pusher(&conn)}})
	a := serve(t, b, func(_ *app, ev *evio.Events) { ev.PreWrite = func() { writes.Add(1) } })
	pull(t, eng, &conn)
	end(t, eng)
	a.stop()
	if n := writes.Load(); n != 0 {
		t.Errorf("evio wrote %d times", n)
	}
}

const (
	pushes   = 512
	pushSize = 64 << 10
)

// pusher sends 32 MiB in pieces.
func pusher(conn *atomic.Pointer[core.Conn]) core.VHost {
	return core.VHost{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "push", WS: func(c *core.Conn) core.WSHandler {
		conn.Store(c)
		return &push{}
	}}}}
}

type push struct{ n int }

func (*push) Receive(*core.Conn, core.Fragment) error { return nil }
func (p *push) Writable(c *core.Conn, w *core.WSWriter) error {
	if p.n == pushes {
		return nil
	}
	p.n++
	if p.n < pushes {
		if err := c.RequestWritable(); err != nil {
			return err
		}
	}
	return w.Binary(bytes.Repeat([]byte{byte(p.n)}, pushSize))
}

// pull receives what a pusher sends, with wake-ups in between.
func pull(t *testing.T, eng *core.Engine, conn *atomic.Pointer[core.Conn]) {
	t.Helper()
	c := wsDial(t, eng.VHost("default").Addr())
	until(t, "output is pending", func() bool {
		pending := false
		on(t, eng.Thread(0), func() {
			c := conn.Load()
			c.RequestWritable()
			pending = c.Pending() > 0
		})
		return pending
	})
	for i := range pushes {
		_, p, err := c.Message()
		if err != nil || len(p) != pushSize || bytes.Count(p, []byte{byte(i + 1)}) != pushSize {
			t.Fatalf("message %d: %d bytes, %v", i, len(p), err)
		}
		conn.Load().Post(func(c *core.Conn) { c.RequestWritable() })
		eng.Wake()
	}
}

// TestDefectBusyLoop: while output of a connection is pending and its peer has
// sent something, evio spins. Core's connections are not evio's: a peer that
// sends and does not read costs no turns.
func TestDefectBusyLoop(t *testing.T) {
	leaks(t)
	b := &counting{Bridge: newBridge(t)}
	var conn atomic.Pointer[core.Conn]
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{pusher(&conn)}})
	a := serve(t, b.Bridge, nil)
	stalled(t, eng, &conn)
	l := a.dial()
	turns := 0
	for range 10 { // of what the kernels take late, some lengths of time may have turns
		on(t, eng.Thread(0), func() { turns = b.turns })
		for range 200 {
			l.echo("evio turns")
		}
		on(t, eng.Thread(0), func() { turns = b.turns - turns })
		if turns <= 3 {
			break
		}
	}
	if turns > 3 {
		t.Errorf("%d turns for a peer that does nothing", turns)
	}
	end(t, eng)
	a.stop()
}

// stalled opens a WebSocket whose peer has sent bytes that are not read and reads
// nothing, and waits until its output is stuck.
func stalled(t *testing.T, eng *core.Engine, conn *atomic.Pointer[core.Conn]) {
	t.Helper()
	c := wsDial(t, eng.VHost("default").Addr())
	th := eng.Thread(0)
	until(t, "the output is stuck", func() bool {
		stuck := false
		on(t, th, func() {
			c := conn.Load()
			c.RequestWritable()
			stuck = c.Pending() > 0
		})
		return stuck
	})
	on(t, th, func() { conn.Load().Pause() })
	io.WriteString(c.Conn, "\x81\x84\x00\x00") // part of a frame
}

// TestDefectAcceptErrorEndsServer: evio ends the server when accept(2) fails, here
// for want of descriptors. The engine hears of it, and its connections live on
// in another loop.
func TestDefectAcceptErrorEndsServer(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("127.0.0.1:0")}})
	inside, leave := make(chan struct{}), make(chan struct{})
	a := serve(t, b, func(_ *app, ev *evio.Events) {
		ev.Data = func(evio.Conn, []byte) ([]byte, evio.Action) {
			close(inside)
			<-leave
			return nil, evio.None
		}
	})
	c := wsDial(t, eng.VHost("default").Addr())
	io.WriteString(a.dial().c, "x")
	take(t, inside, "evio is inside the application")
	a.dial() // waits to be accepted
	restore := noDescriptors(t)
	close(leave)
	err := take(t, a.served, "Serve returns")
	restore()
	if err != nil {
		t.Logf("Serve: %v", err)
	}
	take(t, b.Lost(), "Lost")
	if err := b.Err(); !errors.Is(err, evioloop.ErrServerEnded) {
		t.Errorf("Err is %v", err)
	}
	eng.Detach()
	if err := eng.Attach(poll.Backend()); err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- eng.Run(context.Background()) }()
	if err := c.Echo(ws.Text, []byte("alive")); err != nil {
		t.Error(err)
	}
	end(t, eng)
	take(t, ran, "Run returns")
}

// noDescriptors makes the next descriptor one too many, until restore.
func noDescriptors(t testing.TB) (restore func()) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	next, err := unix.Dup(0) // the lowest that is free
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(next)
	now := was
	now.Cur = as(now.Cur, next)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
	}
}

// as converts: limits have different types on different systems.
func as[T int64 | uint64](_ T, n int) T { return T(n) }

// TestDefectStrayTick: evio's ticker outlives the server and writes into whatever
// has got its descriptor's number. It is not started on core's account.
func TestDefectStrayTick(t *testing.T) {
	b := newBridge(t)
	if b.Wrap(evio.Events{}).Tick != nil {
		t.Error("the bridge has a Tick")
	}
	leaks(t)
	tickers := func() int { // those of applications that have one stay
		stacks := make([]byte, 1<<20)
		return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("loopTicker"))
	}
	before := tickers()
	eng := engine(t, core.Config{Backend: b})
	a := serve(t, b, nil)
	on(t, eng.Thread(0), func() {})
	if tickers() > before {
		t.Error("evio's ticker runs")
	}
	end(t, eng)
	a.stop()
}

// TestDefectDoubleClose: evio closes its listeners' descriptor numbers twice. In 50
// lives of the server none of core's own descriptors is hit: a connection and a
// pipe of the application's, open all the time, and the listening socket.
func TestDefectDoubleClose(t *testing.T) {
	leaks(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("127.0.0.1:0")}})
	a := serve(t, b, nil)
	c := wsDial(t, eng.VHost("default").Addr())
	for i := range 50 {
		if err := c.Echo(ws.Text, []byte("old")); err != nil {
			t.Fatalf("life %d: %v", i, err)
		}
		d := wsDial(t, eng.VHost("default").Addr())
		if err := d.Echo(ws.Text, []byte("new")); err != nil {
			t.Fatalf("life %d: %v", i, err)
		}
		d.Close()
		fmt.Fprintln(w, i)
		var n int
		if _, err := fmt.Fscanln(r, &n); err != nil || n != i {
			t.Fatalf("life %d: the pipe gives %d, %v", i, n, err)
		}
		a.stop()
		a = serve(t, b, nil)
	}
	end(t, eng)
	a.stop()
}

// TestDefectNagle: evio leaves Nagle's algorithm on and close-on-exec off. Sockets
// that core adopts are like its own.
func TestDefectNagle(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("")}})
	a := serve(t, b, shared(func() *core.VirtualHost { return eng.VHost("default") }))
	c := wsDial(t, a.addr)
	checkSocket(t, c.LocalAddr())
	end(t, eng)
	a.stop()
}

// checkSocket looks at the server's socket of a client.
func checkSocket(t testing.TB, client net.Addr) {
	t.Helper()
	fd := peerOf(t, client)
	if v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || v == 0 {
		t.Errorf("TCP_NODELAY is %d, %v", v, err)
	}
	if v, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || v&unix.FD_CLOEXEC == 0 {
		t.Errorf("close-on-exec: flags %#x, %v", v, err)
	}
	if v, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || v&unix.O_NONBLOCK == 0 {
		t.Errorf("non-blocking: flags %#x, %v", v, err)
	}
}

// peerOf returns the descriptor of this process that is connected to a client.
func peerOf(t testing.TB, client net.Addr) int {
	t.Helper()
	want := client.(*net.TCPAddr)
	for fd := range 4096 {
		sa, err := unix.Getpeername(fd)
		if err != nil {
			continue
		}
		if in, ok := sa.(*unix.SockaddrInet4); ok && in.Port == want.Port {
			return fd
		}
	}
	t.Fatalf("no descriptor is connected to %s", client)
	return -1
}
