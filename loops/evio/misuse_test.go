//go:build linux || darwin || freebsd

package evioloop_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/loops/evio"
)

// host is an application in Bridge.Serve.
func host(t testing.TB, b *evioloop.Bridge, ev evio.Events) (served chan error, addr string) {
	t.Helper()
	up := make(chan string, 1)
	ev.Serving = func(s evio.Server) evio.Action {
		up <- s.Addrs[0].String()
		return evio.None
	}
	served = make(chan error, 1)
	go func() { served <- b.Serve(ev, "tcp://127.0.0.1:0") }()
	return served, take(t, up, "the server serves")
}

// over takes what Serve has returned, which is to be nil.
func over(t testing.TB, served chan error) {
	t.Helper()
	if err := take(t, served, "Serve returns"); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// poke has evio call the application once.
func poke(t testing.TB, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) {
		return // evio has ended over it, or over an event of the bridge's before
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, "x")
}

// TestSecondEngineIsRefused: a second engine took the place of the first, which was
// never turned again, and whose leaving Left did not tell.
func TestSecondEngineIsRefused(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b, Threads: 2})
	refused := func() {
		t.Helper()
		if _, err := core.New(core.Config{Backend: b}); !errors.Is(err, evioloop.ErrTaken) {
			t.Fatalf("a second engine: %v", err)
		}
	}
	refused()
	served, _ := host(t, b, evio.Events{})
	on(t, eng.Thread(0), func() {})
	refused()
	// One that has left makes room, in its callback already, and for itself too.
	for i := range 2 {
		on(t, eng.Thread(i), eng.Thread(i).Detach)
	}
	take(t, b.Left(), "the engine has left")
	if err := eng.Attach(b); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		on(t, eng.Thread(i), func() {})
	}
	// And so does one that has ended.
	for range 3 {
		end(t, eng)
		eng = engine(t, core.Config{Backend: b})
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
		on(t, eng.Thread(0), func() {})
	}
	end(t, eng)
	take(t, b.Left(), "the engine has left")
	if err := b.Shutdown(); err != nil {
		t.Error(err)
	}
	over(t, served)
}

// TestSecondServeLeavesTheFirstAlone: a second Serve removed the first server's
// socket before it was refused: Shutdown then returned nil, and nothing ended.
func TestSecondServeLeavesTheFirstAlone(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b})
	served, _ := host(t, b, evio.Events{})
	on(t, eng.Thread(0), func() {})
	for range 2 { // turned by the first one, and not turned
		if err := b.Serve(evio.Events{}); !errors.Is(err, evioloop.ErrServing) {
			t.Fatalf("a second server: %v", err)
		}
		b.Stop()
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	on(t, eng.Thread(0), func() {})
	b.Stop()
	if err := b.Shutdown(); err != nil {
		t.Error(err)
	}
	over(t, served)
	finish(t, eng)
}

// TestShutdownTellsThatItReachesNobody: the server's socket is gone. Shutdown
// returned nil as if the server had ended. It tells now, Start too, and whatever
// evio calls next ends the server.
func TestShutdownTellsThatItReachesNobody(t *testing.T) {
	// nobody takes the socket away and asks for the end. The server may have heard of
	// that by an event of the bridge's that was on its way, and then it is nil.
	nobody := func(t *testing.T, b *evioloop.Bridge) error {
		t.Helper()
		// evio removes the socket for a server that is refused then.
		if err := evio.Serve(b.Wrap(evio.Events{}), b.Addr()); err != nil {
			t.Error(err)
		}
		err := b.Shutdown()
		if err != nil && (!errors.Is(err, evioloop.ErrNotServing) || !errors.Is(err, os.ErrNotExist)) {
			t.Errorf("Shutdown: %v", err)
		}
		return err
	}
	t.Run("Data", func(t *testing.T) {
		b := newBridge(t)
		eng := engine(t, core.Config{Backend: b})
		served, addr := host(t, b, evio.Events{})
		on(t, eng.Thread(0), func() {})
		b.Stop()
		if nobody(t, b) != nil {
			if err := b.Start(); !errors.Is(err, evioloop.ErrNotServing) {
				t.Errorf("Start: %v", err)
			}
			poke(t, addr)
		}
		over(t, served)
		if err := b.Shutdown(); !errors.Is(err, evioloop.ErrNotServing) {
			t.Errorf("Shutdown at the end: %v", err)
		}
		finish(t, eng)
	})
	t.Run("Tick", func(t *testing.T) {
		b := newBridge(t)
		tick := make(chan struct{})
		served, _ := host(t, b, evio.Events{Tick: func() (time.Duration, evio.Action) {
			<-tick
			return time.Hour, evio.None // evio's ticker outlives the server
		}})
		if nobody(t, b) == nil {
			t.Error("Shutdown: nil, while the only loop waits")
		}
		close(tick)
		over(t, served)
	})
}

// TestCloseBeforeShutdown: Close took the socket from under a server, so that
// Shutdown did not reach it, and did not tell either.
func TestCloseBeforeShutdown(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	dir := filepath.Dir(strings.TrimPrefix(b.Addr(), "unix://"))
	eng := engine(t, core.Config{Backend: b})
	served, _ := host(t, b, evio.Events{})
	on(t, eng.Thread(0), func() {})
	end(t, eng)
	take(t, b.Left(), "the engine has left")
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Shutdown(); err != nil {
		t.Errorf("Shutdown after Close: %v", err)
	}
	over(t, served)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the private folder is left: %v", err)
	}
	if err := b.Serve(evio.Events{}); !errors.Is(err, evioloop.ErrClosed) {
		t.Errorf("Serve of a closed bridge: %v", err)
	}
}

// TestLostTellsWhatWasNotTurned: the server ended while it did not turn the engine,
// after Stop or before Start, and Lost stayed open.
func TestLostTellsWhatWasNotTurned(t *testing.T) {
	leaks(t)
	for _, c := range []struct {
		name string
		idle func(t *testing.T, b *evioloop.Bridge, eng *core.Engine)
	}{
		{"stopped", func(_ *testing.T, b *evioloop.Bridge, _ *core.Engine) { b.Stop() }},
		{"not started", func(t *testing.T, b *evioloop.Bridge, eng *core.Engine) {
			on(t, eng.Thread(0), eng.Detach)
			take(t, b.Left(), "the engine has left")
			if err := eng.Attach(b); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBridge(t)
			eng := engine(t, core.Config{Backend: b})
			served, _ := host(t, b, evio.Events{})
			on(t, eng.Thread(0), func() {})
			c.idle(t, b, eng)
			if err := b.Shutdown(); err != nil {
				t.Error(err)
			}
			over(t, served)
			select {
			case <-b.Lost():
			default:
				t.Error("Lost is open")
			}
			if err := b.Err(); !errors.Is(err, evioloop.ErrServerEnded) {
				t.Errorf("Err is %v", err)
			}
			finish(t, eng)
		})
	}
	t.Run("nobody is in", func(t *testing.T) {
		b := newBridge(t)
		served, _ := host(t, b, evio.Events{})
		if err := b.Shutdown(); err != nil {
			t.Error(err)
		}
		over(t, served)
		if err := b.Err(); err != nil {
			t.Errorf("Err is %v", err)
		}
	})
}

// TestStartWithoutAServer: Start gave what the system says about a socket that is
// not there.
func TestStartWithoutAServer(t *testing.T) {
	leaks(t)
	check := func(b *evioloop.Bridge) {
		t.Helper()
		if err := b.Start(); !errors.Is(err, evioloop.ErrNotServing) {
			t.Errorf("Start: %v", err)
		}
	}
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := b.Serve(evio.Events{}, fmt.Sprintf("tcp://%s", l.Addr())); err == nil {
		t.Error("served on a port that is in use")
	}
	check(b)
	if err := b.Shutdown(); !errors.Is(err, evioloop.ErrNotServing) {
		t.Errorf("Shutdown: %v", err)
	}
	a := serve(t, b, nil) // whose end nobody tells
	on(t, eng.Thread(0), func() {})
	a.stop()
	take(t, b.Lost(), "Lost")
	check(b)
	finish(t, eng)
}

// TestServeWantsUnwrappedEvents: events that were wrapped twice ended the server
// without a word from Serve, and Err spoke of the address.
func TestServeWantsUnwrappedEvents(t *testing.T) {
	leaks(t)
	for _, outer := range []bool{false, true} {
		b := newBridge(t)
		eng := engine(t, core.Config{Backend: b})
		ev := b.Wrap(evio.Events{Serving: func(evio.Server) evio.Action {
			t.Error("the application's Serving was called")
			return evio.None
		}})
		if outer { // an application that does not look at what ours returns
			serving := ev.Serving
			ev.Serving = func(s evio.Server) evio.Action { serving(s); return evio.None }
		}
		if err := b.Serve(ev, "tcp://127.0.0.1:0"); !errors.Is(err, evioloop.ErrWrapped) {
			t.Errorf("Serve: %v", err)
		}
		take(t, b.Lost(), "Lost")
		if err := b.Err(); !errors.Is(err, evioloop.ErrWrapped) {
			t.Errorf("Err is %v", err)
		}
		// The bridge is as good as new.
		served, _ := host(t, b, evio.Events{})
		on(t, eng.Thread(0), func() {})
		if err := b.Shutdown(); err != nil {
			t.Error(err)
		}
		over(t, served)
		finish(t, eng)
	}
}
