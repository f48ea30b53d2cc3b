package poll_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"anyloop/core"
	"anyloop/loops/poll"
)

// TestThreadsDetachOneByOne: two service threads that two goroutines of a host
// turn; each is detached by its own, then both live on in a loop of another kind,
// with their connections.
func TestThreadsDetachOneByOne(t *testing.T) {
	const threads = 2
	b := poll.Backend(poll.Nested())
	eng, err := core.New(core.Config{Backend: b, Threads: threads, VHosts: []core.VHost{{
		Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "e", WS: core.OnMessage(
			func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, threads)
	for i := range threads {
		host := make(jobs, 1)
		w, err := b.Thread(i).Watch(0, host.post)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			host.run(w.Done())
			gone <- w.Err()
		}()
	}
	var conns []net.Conn
	for range 2 * threads {
		conns = append(conns, dialWS(t, eng.VHost("default").Addr()))
	}
	echo := func() {
		t.Helper()
		for _, c := range conns {
			got := make([]byte, len(echoed))
			c.Write(message)
			if _, err := io.ReadFull(c, got); err != nil {
				t.Error(err)
			}
		}
	}
	echo()
	for i := range threads {
		if err := eng.Thread(i).Post(func() { eng.Thread(i).Detach() }); err != nil {
			t.Fatal(err)
		}
	}
	for range threads {
		if err := <-gone; err != nil {
			t.Error(err)
		}
	}
	if err := eng.Attach(poll.Backend()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(context.Background()) }()
	echo()
	for i := range threads {
		if n := eng.Thread(i).Stats().Conns; n != len(conns)/threads {
			t.Errorf("thread %d has %d connections", i, n)
		}
	}
	eng.Stop(-1)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestMovedInsideACallbackTheNewLoopStaysOpen: an engine that leaves a loop of its
// own for another inside a callback is run on there, as often as it likes.
func TestMovedInsideACallbackTheNewLoopStaysOpen(t *testing.T) {
	eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{{
		Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "e", WS: core.OnMessage(
			func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ended := make(chan error, 1)
		go func() { ended <- eng.Run(context.Background()) }()
		c := dialWS(t, eng.VHost("default").Addr())
		got := make([]byte, len(echoed))
		c.Write(message)
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		eng.Post(func() {
			eng.Detach()
			if err := eng.Attach(poll.Backend(poll.WithPoller(poll.Poll2))); err != nil {
				t.Error(err)
			}
		})
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	eng.Stop(-1)
	if err := eng.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestRunAfterShutdown: a Run that comes after Shutdown has begun, or is over, ends
// in good order like one that came before; a second Run is a misuse.
func TestRunAfterShutdown(t *testing.T) {
	for range 50 {
		eng, err := core.New(core.Config{Backend: poll.Backend(), Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		ran, down := make(chan error, 1), make(chan error, 1)
		go func() { ran <- eng.Run(context.Background()) }()
		go func() { down <- eng.Shutdown(context.Background()) }()
		if err := errors.Join(<-ran, <-down); err != nil {
			t.Fatal(err)
		}
	}
	eng, err := core.New(core.Config{Backend: poll.Backend()})
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := eng.Run(context.Background()); err != nil {
		t.Errorf("Run after Shutdown: %v", err)
	}
	if eng, err = core.New(core.Config{Backend: poll.Backend()}); err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	running := make(chan struct{})
	eng.Post(func() { close(running) })
	go func() { ran <- eng.Run(context.Background()) }()
	<-running
	if err := eng.Run(context.Background()); !errors.Is(err, core.ErrRunning) {
		t.Errorf("a second Run: %v", err)
	}
	eng.Stop(-1)
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if err := eng.Run(context.Background()); !errors.Is(err, core.ErrStopped) {
		t.Errorf("Run after the end: %v", err)
	}
}
