//go:build linux || darwin || freebsd

package evioloop_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
	"anyloop/loops/evio"
	"anyloop/loops/poll"
)

// TestBridgeIsHidden: the application sees its own connections and addresses, and
// nothing of the bridge's.
func TestBridgeIsHidden(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("127.0.0.1:0")}})
	var detached atomic.Int32
	a := serve(t, b, func(_ *app, ev *evio.Events) {
		serving := ev.Serving
		ev.Serving = func(s evio.Server) evio.Action {
			if len(s.Addrs) != 1 {
				t.Errorf("the application sees the addresses %v", s.Addrs)
			}
			return serving(s)
		}
		ev.Detached = func(evio.Conn, io.ReadWriteCloser) evio.Action {
			detached.Add(1)
			return evio.None
		}
	})
	l := a.dial()
	l.echo("one")
	if err := wsDial(t, eng.VHost("default").Addr()).Echo(ws.Text, []byte("two")); err != nil {
		t.Error(err)
	}
	l.c.Close()
	until(t, "the application hears the end", func() bool { return strings.Contains(a.noted(), "closed") })
	end(t, eng)
	a.stop()
	if got := a.noted(); got != "opened 0, closed 0" {
		t.Errorf("the application saw: %s", got)
	}
	if a.wakes != 0 || detached.Load() != 0 {
		t.Errorf("%d wakes, %d detached", a.wakes, detached.Load())
	}
}

// TestAddressMustBeLast: a server without the bridge's address, or with it before
// its own, is refused by name.
func TestAddressMustBeLast(t *testing.T) {
	for _, c := range []struct {
		name  string
		addrs func(b *evioloop.Bridge) []string
		want  error
	}{
		{"missing", func(*evioloop.Bridge) []string { return []string{"tcp://127.0.0.1:0"} }, evioloop.ErrNoAddress},
		{"another's", func(b *evioloop.Bridge) []string { return []string{"tcp://127.0.0.1:0", b.Addr() + "2"} }, evioloop.ErrNoAddress},
		{"first", func(b *evioloop.Bridge) []string { return []string{b.Addr(), "tcp://127.0.0.1:0"} }, evioloop.ErrNoAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaks(t)
			b := newBridge(t)
			eng := engine(t, core.Config{Backend: b})
			called := false
			ev := b.Wrap(evio.Events{Serving: func(evio.Server) evio.Action { called = true; return evio.None }})
			if err := evio.Serve(ev, c.addrs(b)...); err != nil {
				t.Errorf("evio says %v", err)
			}
			take(t, b.Lost(), "Lost")
			if err := b.Err(); !errors.Is(err, c.want) {
				t.Errorf("Err is %v", err)
			}
			if called {
				t.Error("the application's Serving was called")
			}
			finish(t, eng)
		})
	}
}

// TestServeRefuses: a bridge is in one server at a time, and Serve says so.
func TestServeRefuses(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	if err := b.Start(); !errors.Is(err, evioloop.ErrNotServing) {
		t.Errorf("Start before Serve: %v", err)
	}
	if err := b.Shutdown(); !errors.Is(err, evioloop.ErrNotServing) {
		t.Errorf("Shutdown before Serve: %v", err)
	}
	eng := engine(t, core.Config{Backend: b})
	served := make(chan error, 1)
	go func() { served <- b.Serve(evio.Events{}, "tcp://127.0.0.1:0") }()
	on(t, eng.Thread(0), func() {})
	// evio has removed the first server's socket from the file system by now;
	// its connections go on.
	if err := b.Serve(evio.Events{}); !errors.Is(err, evioloop.ErrServing) {
		t.Errorf("a second server: %v", err)
	}
	select {
	case <-b.Lost():
		t.Errorf("lost to the first server: %v", b.Err())
	default:
	}
	on(t, eng.Thread(0), func() {})
	if err := b.Shutdown(); err != nil {
		t.Error(err)
	}
	if err := take(t, served, "Serve returns"); err != nil {
		t.Error(err)
	}
	finish(t, eng)
	b.Close()
	if _, err := core.New(core.Config{Backend: b}); !errors.Is(err, evioloop.ErrClosed) {
		t.Errorf("an engine in a closed bridge: %v", err)
	}
}

// TestStrangersAreClosed: what connects to the bridge's socket without its nonce
// is closed, and turns nothing.
func TestStrangersAreClosed(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	path := strings.TrimPrefix(b.Addr(), "unix://")
	if st, err := os.Stat(filepath.Dir(path)); err != nil || st.Mode().Perm() != 0700 {
		t.Errorf("the private folder: %v %v", st, err)
	}
	eng := engine(t, core.Config{Backend: b})
	a := serve(t, b, nil)
	for _, first := range []string{strings.Repeat("x", 16), strings.Repeat("y", 100), "GET / HTTP/1.1\r\n\r\n"} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(looptest.Bound))
		io.WriteString(c, first[:7])
		io.WriteString(c, first[7:])
		if n, err := c.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a stranger gets %d bytes, %v", n, err)
		}
		c.Close()
	}
	on(t, eng.Thread(0), func() {})
	end(t, eng)
	a.stop()
	if got := a.noted(); got != "" {
		t.Errorf("the application saw: %s", got)
	}
	b.Close()
	if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
		t.Errorf("the private folder is left: %v", err)
	}
}

// TestStopFromOutside: evio is stopped by somebody who is in none of its
// callbacks, with and without an engine in the bridge.
func TestStopFromOutside(t *testing.T) {
	leaks(t)
	for range 20 {
		b := newBridge(t)
		a := serve(t, b, nil)
		a.dial().echo("on the loop")
		a.stop()
		eng := engine(t, core.Config{Backend: b})
		a = serve(t, b, nil)
		on(t, eng.Thread(0), func() {})
		a.stop()
		take(t, b.Lost(), "Lost")
		finish(t, eng)
	}
}

// TestHostEndsAndEngineGoesOn: the application ends its server. The engine's
// connections live on, first in another backend, then in another server.
func TestHostEndsAndEngineGoesOn(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("127.0.0.1:0")}})
	quit := func(_ *app, ev *evio.Events) {
		ev.Data = func(_ evio.Conn, in []byte) ([]byte, evio.Action) {
			if string(in) == "quit\n" {
				return nil, evio.Shutdown
			}
			return in, evio.None
		}
	}
	a := serve(t, b, quit)
	c := wsDial(t, eng.VHost("default").Addr())
	echo := func() {
		t.Helper()
		if err := c.Echo(ws.Text, []byte("still here")); err != nil {
			t.Fatal(err)
		}
	}
	echo()
	lost := b.Lost()
	io.WriteString(a.dial().c, "quit\n")
	take(t, lost, "Lost")
	if err := b.Err(); !errors.Is(err, evioloop.ErrServerEnded) {
		t.Errorf("Err is %v", err)
	}
	take(t, a.served, "Serve returns")

	// The same bridge in another server: nothing has to be attached.
	a = serve(t, b, quit)
	echo()
	if err := b.Err(); err != nil {
		t.Errorf("Err in the second server is %v", err)
	}
	io.WriteString(a.dial().c, "quit\n")
	take(t, b.Lost(), "Lost")
	take(t, a.served, "Serve returns")

	// Another backend.
	eng.Detach()
	if err := eng.Attach(poll.Backend()); err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- eng.Run(t.Context()) }()
	echo()
	end(t, eng)
	if err := take(t, ran, "Run returns"); err != nil {
		t.Error(err)
	}
}

// TestHostEndsWithOurByteInFlight: the server ends between the byte and the turn
// that it asks for. The turn never happens, nobody waits for it, and the engine
// goes on elsewhere.
func TestHostEndsWithOurByteInFlight(t *testing.T) {
	leaks(t)
	for range 30 {
		b := newBridge(t)
		eng := engine(t, core.Config{Backend: b})
		inside, leave := make(chan struct{}), make(chan struct{})
		a := serve(t, b, func(_ *app, ev *evio.Events) {
			ev.Data = func(evio.Conn, []byte) ([]byte, evio.Action) {
				close(inside)
				<-leave
				return nil, evio.Shutdown
			}
		})
		on(t, eng.Thread(0), func() {})
		io.WriteString(a.dial().c, "x")
		take(t, inside, "evio is inside the application")
		eng.Wake() // evio is busy: the byte waits in the bridge
		close(leave)
		take(t, a.served, "Serve returns")
		take(t, b.Lost(), "Lost")
		finish(t, eng)
	}
}

// TestStopAndStart: the turning is interrupted from outside; Detach is then legal
// there, and an engine that comes back is turned by the same server.
func TestStopAndStart(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	a := serve(t, b, nil)
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("127.0.0.1:0")}})
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	c := wsDial(t, eng.VHost("default").Addr())
	for round := range 5 {
		if err := c.Echo(ws.Text, []byte("turned")); err != nil {
			t.Fatal(err)
		}
		b.Stop()
		turns := eng.Thread(0).Stats().Wakes
		if err := c.Text("waits"); err != nil {
			t.Fatal(err)
		}
		eng.Wake()
		a.dial().echo("evio serves on")
		if n := eng.Thread(0).Stats().Wakes; n != turns {
			t.Fatalf("%d turns after Stop", n-turns)
		}
		if round%2 == 0 {
			eng.Detach()
			take(t, b.Left(), "the engine has left")
			if err := eng.Attach(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
		if err := c.Want(ws.Text, []byte("waits")); err != nil {
			t.Fatal(err)
		}
	}
	end(t, eng)
	a.stop()
}

// TestThreads: each service thread is turned by an evio loop of its own choice,
// and by no other.
func TestThreads(t *testing.T) {
	leaks(t)
	for _, loops := range []int{1, 3} {
		b := newBridge(t)
		eng := engine(t, core.Config{Backend: b, Threads: 3, VHosts: []core.VHost{echoes("127.0.0.1:0")}})
		a := serve(t, b, func(_ *app, ev *evio.Events) { ev.NumLoops = loops })
		var all []*client.Conn
		for range 9 {
			all = append(all, wsDial(t, eng.VHost("default").Addr()))
		}
		for _, c := range all {
			if err := c.Echo(ws.Text, []byte("hello")); err != nil {
				t.Error(err)
			}
		}
		for i := range 3 {
			on(t, eng.Thread(i), func() {})
			if n := eng.Thread(i).Stats().Conns; n != 3 {
				t.Errorf("%d loops: thread %d has %d connections", loops, i, n)
			}
		}
		end(t, eng)
		a.stop()
	}
}
