package poll_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/loops/poll"
)

// guarded notes overlapping callbacks of one conn, and callbacks on another
// thread or goroutine than the first, which must not happen.
type guarded struct {
	t    *testing.T
	mu   sync.Mutex
	home *core.Thread
	goid string
	out  *core.Outbox
}

func (g *guarded) enter(c *core.Conn) func() {
	if !g.mu.TryLock() {
		g.t.Error("two callbacks of one conn at a time")
		return func() {}
	}
	id := goroutine()
	if g.home == nil {
		g.home, g.goid = c.Thread(), id
	}
	if g.home != c.Thread() || g.goid != id {
		g.t.Error("a conn has moved to another thread or goroutine")
	}
	return g.mu.Unlock
}

// goroutine names the running goroutine.
func goroutine() string {
	var buf [64]byte
	name, _, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte(" ["))
	return string(name)
}

func (g *guarded) Receive(c *core.Conn, f core.Fragment) error {
	defer g.enter(c)()
	return g.out.Send(core.Message{Data: f.Data, Binary: f.Binary})
}

func (g *guarded) Writable(c *core.Conn, w *core.WSWriter) error {
	defer g.enter(c)()
	return g.out.Writable(w)
}

// TestThreads_23: connections are spread evenly over service threads, stay where
// they are, and their callbacks never overlap; a wake-up reaches every thread.
func TestThreads_23(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		const threads, conns = 4, 400
		var mu sync.Mutex
		woken := map[int]int{}
		eng, err := core.New(core.Config{Backend: poll.Backend(), Threads: threads, ReusePort: reuse, Limits: longLimits, VHosts: []core.VHost{{
			Addr: "127.0.0.1:0", Protocols: []core.Protocol{{
				Name: "g",
				WS: func(c *core.Conn) core.WSHandler {
					return &guarded{t: t, out: core.NewOutbox(c, core.PauseSource)}
				},
				WaitCancelled: func(th *core.Thread, _ *core.VirtualHost) {
					mu.Lock()
					woken[th.Index()]++
					mu.Unlock()
				},
			}}}}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- eng.Run(context.Background()) }()
		addr := eng.VHost("default").Addr()
		var all sync.WaitGroup
		hold := make(chan struct{})
		var up sync.WaitGroup
		for range conns {
			up.Add(1)
			all.Add(1)
			go func() {
				defer all.Done()
				c := dialWS(t, addr)
				if c == nil {
					up.Done()
					return
				}
				defer c.Close()
				for range 20 {
					c.Write(message)
					got := make([]byte, len(echoed))
					if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, echoed) {
						t.Errorf("echo: %v", err)
					}
				}
				up.Done()
				<-hold
			}()
		}
		up.Wait()
		for i := range threads {
			if n := eng.Thread(i).Stats().Conns; n != conns/threads && !t.Failed() {
				t.Errorf("reuse %v: thread %d has %d of %d connections", reuse, i, n, conns)
			}
		}
		eng.Wake()
		close(hold)
		all.Wait()
		if err := eng.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for i := range threads {
			if woken[i] == 0 {
				t.Errorf("thread %d was not woken", i)
			}
		}
	}
}

// TestBringYourOwnThreads: Thread(i).Run on goroutines of the application.
func TestBringYourOwnThreads(t *testing.T) {
	eng, err := core.New(core.Config{Backend: poll.Backend(), Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	if eng.Threads() != 3 {
		t.Fatalf("%d threads granted", eng.Threads())
	}
	done := make(chan error, 3)
	for i := range 3 {
		go func() { done <- eng.Thread(i).Run() }()
	}
	ran := make(chan int, 3)
	for i := range 3 {
		eng.Thread(i).Post(func() { ran <- i })
	}
	for range 3 {
		<-ran
	}
	eng.Stop(0)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	<-eng.Done()
}

// TestGrantedThreads: more threads than there can be are cut, none is one, and
// what was granted can be read.
func TestGrantedThreads(t *testing.T) {
	for asked, granted := range map[int]int{-1: 1, 0: 1, 2: 2, 64: 32} {
		eng, err := core.New(core.Config{Backend: poll.Backend(), Threads: asked})
		if err != nil {
			t.Fatal(err)
		}
		if n := eng.Threads(); n != granted {
			t.Errorf("%d asked, %d granted, want %d", asked, n, granted)
		}
		if err := eng.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestLimitsArePerThread: every thread has its own MaxConns. When all are full,
// further connections wait in the listener's queue, and come in one for one.
func TestLimitsArePerThread(t *testing.T) {
	const threads, each = 3, 4
	lim := longLimits
	lim.MaxConns = each
	eng, err := core.New(core.Config{Backend: poll.Backend(), Threads: threads, Limits: lim, VHosts: []core.VHost{{
		Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "g", WS: func(c *core.Conn) core.WSHandler {
			return &guarded{t: t, out: core.NewOutbox(c, core.PauseSource)}
		}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(context.Background()) }()
	up := make(chan net.Conn, threads*each+1)
	for range threads*each + 1 {
		go func() {
			c := dialWS(t, eng.VHost("default").Addr())
			up <- c
		}()
	}
	var first net.Conn
	for range threads * each {
		first = <-up
	}
	for i := range threads {
		until(t, "all threads are full", func() bool { return eng.Thread(i).Stats().Conns == each })
	}
	if n := eng.Stats().Accepted; n != threads*each {
		t.Errorf("%d accepted, there is room for %d", n, threads*each)
	}
	select {
	case <-up:
		t.Error("one more than there is room for was served")
	default:
	}
	first.Close()
	<-up         // the one that waited
	eng.Stop(-1) // the clients do not answer
	<-eng.Done()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestEchoWaitsForNoMutex: with two threads busy, the mutex profile has no entry
// of ours.
func TestEchoWaitsForNoMutex(t *testing.T) {
	const conns, rounds = 16, 500
	eng, err := core.New(core.Config{Backend: poll.Backend(), Threads: 2, VHosts: []core.VHost{{
		Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "e", WS: core.OnMessage(
			func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(context.Background()) }()
	var all []net.Conn
	for range conns {
		all = append(all, dialWS(t, eng.VHost("default").Addr()))
	}
	old := runtime.SetMutexProfileFraction(1)
	defer runtime.SetMutexProfileFraction(old)
	before := oursInMutexProfile(t)
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Add(1)
		go func() {
			defer wg.Done()
			got := make([]byte, len(echoed))
			for range rounds {
				c.Write(message)
				if _, err := io.ReadFull(c, got); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	if n := oursInMutexProfile(t); n != before {
		t.Errorf("%d waits for a mutex of ours in %d messages", n-before, conns*rounds)
	}
	eng.Stop(-1) // the clients do not answer
	<-eng.Done()
	<-ended
}

// oursInMutexProfile counts the waits for a lock of package sync that a function
// of this library gave up. (The profile also has the runtime's own locks.)
func oursInMutexProfile(t *testing.T) (waits int64) {
	records := make([]runtime.BlockProfileRecord, 1000)
	n, ok := runtime.MutexProfile(records)
	if !ok {
		t.Fatalf("%d records in the mutex profile", n)
	}
	for _, r := range records[:n] {
		frames := runtime.CallersFrames(r.Stack())
		lock, ours := false, ""
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			lock = lock || strings.HasPrefix(f.Function, "sync.")
			if ours == "" && strings.HasPrefix(f.Function, "anyloop/") && !strings.Contains(f.Function, "poll_test.") {
				ours = f.Function
			}
		}
		if lock && ours != "" {
			t.Logf("%d waits end in %s", r.Count, ours)
			waits += r.Count
		}
	}
	return waits
}

func dialWS(t *testing.T, addr string) net.Conn {
	t.Helper()
	return dialOn(t, "tcp", addr)
}

func dialOn(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	head := make([]byte, 129)
	if _, err := io.ReadFull(c, head); err != nil || !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		t.Errorf("upgrade: %q %v", head, err)
	}
	return c
}

// until waits for a condition that must come.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
