package gnetengine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/loop/looptest/e2e"
	gnetengine "anyloop/loops/gnet/engine"
)

// streamLimits is what gnet's connections cannot do, and what holds instead.
var streamLimits = map[string]e2e.Result{
	"http-half-close": e2e.Does("gnet takes a half-close for the end: the answer may not arrive"),
	"raw-half-close":  e2e.Does("gnet takes a half-close for the end: the answer may not arrive"),
	"capacity":        e2e.Does("gnet accepts at once: above MaxConns connections are closed"),
	"add-vhost":       e2e.Refuses("takes no further address"),
}

// TestStreamsEndToEnd: everything that users build on top works through gnet's
// connections, but for what is listed.
func TestStreamsEndToEnd(t *testing.T) {
	for _, threads := range []int{1, 2} {
		t.Run(fmt.Sprint("threads=", threads), func(t *testing.T) {
			e2e.Run(t, threads, streamed)
		})
	}
}

func streamed(testing.TB, int) e2e.Host {
	return e2e.Host{Backend: gnetengine.Streams(), Limits: streamLimits}
}

// TestStreamsEndToEndTLS: over TLS too, but for the same.
func TestStreamsEndToEndTLS(t *testing.T) { e2e.RunTLS(t, []int{1, 2}, streamed) }

// descriptorLines are what looptest asks about the descriptors of connections and
// listeners, which are gnet's: they are not announced to a loop, so there is no
// interest in them, no readiness, and no listener that pauses. The rest holds.
var descriptorLines = []string{
	"Line1_AddChangeDelAreExact",
	"Line2_NothingIsHidden",
	"Line4_EventsIsNotNeeded",
	"Line11_WorkIsBounded",             // gnet feeds what one read gave, 64 KiB, or what it had to keep
	"Line12_AcceptingPausesAtTheLimit", // the case "capacity" of TestStreamsEndToEnd
}

// TestStreamsPassLooptest: the contract holds as far as it can be asked.
func TestStreamsPassLooptest(t *testing.T) {
	for _, line := range looptest.Lines() {
		t.Run(line, func(t *testing.T) {
			if slices.Contains(descriptorLines, line) {
				t.Skip("asks about descriptors that are gnet's")
			}
			b := gnetengine.Streams()
			looptest.RunLine(t, line, looptest.Host{Backend: b, Dial: dialGnet(t, b)}, nil)
		})
	}
}

// TestStreamsPassStreamSuite: and so does what streams promise.
func TestStreamsPassStreamSuite(t *testing.T) {
	looptest.RunStreams(t, func(testing.TB) looptest.StreamHost {
		b := gnetengine.Streams()
		return looptest.StreamHost{Host: looptest.Host{Backend: b, Dial: dialGnet(t, b)}, NoEOF: true, Steals: true}
	})
}

// dialGnet connects when gnet listens: before, core would have the descriptor.
func dialGnet(t *testing.T, b *gnetengine.StreamLoops) func(addr string) (net.Conn, error) {
	return func(addr string) (net.Conn, error) {
		wait(t, b.Listening(), "gnet does not listen")
		return net.Dial("tcp", addr)
	}
}

// TestAddresses: unix sockets with their mode, stale files, what is refused.
func TestAddresses(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for addr, want := range map[string]error{
		"unix:" + file:          syscall.EADDRINUSE,
		"unix:@abstract":        gnetengine.ErrAddress,
		busy.Addr().String():    syscall.EADDRINUSE,
		"127.0.0.1:notaservice": nil,
	} {
		_, err := core.New(core.Config{Backend: gnetengine.Streams(), VHosts: []core.VHost{echoing(addr)}})
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Error("a file was removed")
	}
	b := gnetengine.Streams()
	var hosts []core.VHost
	for i, addr := range []string{"unix:" + stale, "127.0.0.1:0", "127.0.0.1:0", "localhost:0"} {
		vh := echoing(addr)
		vh.Name = fmt.Sprint("v", i)
		hosts = append(hosts, vh)
	}
	eng, err := core.New(core.Config{Backend: b, Threads: 2, VHosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- eng.Run(context.Background()) }()
	wait(t, b.Listening(), "gnet does not listen")
	st, err := os.Stat(stale)
	if err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("the socket's mode is %v, %v", st, err)
	}
	seen := map[string]bool{}
	for i := range hosts {
		addr := eng.VHost(fmt.Sprint("v", i)).Addr()
		webSocket(t, addr).Close()
		seen[addr] = true
	}
	if len(seen) != len(hosts) {
		t.Errorf("%d addresses for %d vhosts", len(seen), len(hosts))
	}
	if _, _, err := b.Listen("tcp", "127.0.0.1:0", nil); !errors.Is(err, gnetengine.ErrLate) {
		t.Errorf("after Run: %v", err)
	}
	shutdown(t, eng)
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// TestPortIsKept: between New and Run nobody else gets the port, and New that
// fails gives it back.
func TestPortIsKept(t *testing.T) {
	b := gnetengine.Streams()
	before := openFiles(t)
	eng, vh := newEngine(t, core.Config{Backend: b}, echoing("127.0.0.1:0"))
	if l, err := net.Listen("tcp", vh.Addr()); err == nil {
		l.Close()
		t.Error("somebody else got the port")
	}
	shutdownIdle(t, eng)
	bad := echoing("127.0.0.1:0")
	bad.Name = "bad"
	bad.Protocols = append(bad.Protocols, core.Protocol{Name: "none"})
	if _, err := core.New(core.Config{Backend: gnetengine.Streams(), VHosts: []core.VHost{echoing("127.0.0.1:0"), bad}}); err == nil {
		t.Error("a protocol without a handler was taken")
	}
	until(t, "no descriptor is left", func() bool { return openFiles(t) <= before })
}

func shutdownIdle(t *testing.T, eng *core.Engine) {
	t.Helper()
	if err := eng.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(d)
}

// TestEarlyConnections: who comes before gnet listens is served as well, and with one
// thread nobody is refused while gnet takes over.
func TestEarlyConnections(t *testing.T) {
	for _, threads := range []int{1, 2} {
		for _, addr := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
			t.Run(fmt.Sprintf("threads=%d,%s", threads, addr[:4]), func(t *testing.T) {
				b := gnetengine.Streams()
				eng, vh := newEngine(t, core.Config{Backend: b, Threads: threads}, echoing(addr))
				var came []*client.Conn
				for range 5 {
					c := dial(t, vh.Addr())
					if err := c.AskUpgrade(""); err != nil {
						t.Fatal(err)
					}
					came = append(came, c)
				}
				ran := make(chan error, 1)
				go func() { ran <- eng.Run(context.Background()) }()
				for _, c := range came {
					if err := c.ReadUpgrade(); err != nil {
						t.Fatal(err)
					}
					echo(t, c, "early")
				}
				wait(t, b.Listening(), "gnet does not listen")
				webSocket(t, vh.Addr())
				shutdown(t, eng)
				if err := <-ran; err != nil {
					t.Error(err)
				}
			})
		}
	}
	t.Run("meanwhile", func(t *testing.T) {
		s := gnetengine.Streams()
		eng, vh := newEngine(t, core.Config{Backend: s}, echoing("127.0.0.1:0"))
		ran := goes(func() error { return eng.Run(context.Background()) })
		for range 100 {
			webSocket(t, vh.Addr())
		}
		shutdown(t, eng)
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}
