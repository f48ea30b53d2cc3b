package poll_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/loops/poll"
)

// guarded notes overlapping callbacks of one conn, which must not happen.
type guarded struct {
	t    *testing.T
	mu   sync.Mutex
	home *core.Thread
	out  *core.Outbox
}

func (g *guarded) enter(c *core.Conn) func() {
	if !g.mu.TryLock() {
		g.t.Error("two callbacks of one conn at a time")
		return func() {}
	}
	if g.home == nil {
		g.home = c.Thread()
	} else if g.home != c.Thread() {
		g.t.Error("a conn has moved to another thread")
	}
	return g.mu.Unlock
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
		const threads, conns = 4, 100
		var mu sync.Mutex
		woken := map[int]int{}
		eng, err := core.New(core.Config{Backend: poll.Backend(), Threads: threads, ReusePort: reuse, VHosts: []core.VHost{{
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
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					up.Done()
					return
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(time.Minute))
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
					"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
				head := make([]byte, 129)
				if _, err := io.ReadFull(c, head); err != nil || !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
					t.Errorf("upgrade: %q %v", head, err)
				}
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
