//go:build foreignloops && cgo && linux

package cloop_test

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/examples/internal/cloop"
)

// sink receives.
type sink struct{}

func (sink) Receive(*core.Conn, core.Fragment) error   { return nil }
func (sink) Writable(*core.Conn, *core.WSWriter) error { return nil }

// floods is how many connections the test makes: 1000, or what the file limit
// allows, with a client's and a server's descriptor each; 200 in short tests and
// under the race detector.
func floods() int {
	if testing.Short() || racing {
		return 200
	}
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return 200
	}
	return int(max(200, min(1000, (r.Cur-100)/2)))
}

// TestFlood: while every connection floods, the host's pipe, which is always
// ready, is heard before core has served any descriptor a third time, and no
// service reads more than its bound.
func TestFlood(t *testing.T) {
	conns := floods()
	const messages, size = 8, 48 << 10
	msg := frame(make([]byte, size))
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		h := newHost(t, lib)
		alone := h.watchers()
		cfg := echoes(h.spy.on(backend(h.l)), anyPort)
		cfg.VHosts[0].Protocols[0].WS = func(*core.Conn) core.WSHandler { return sink{} }
		eng := h.engine(cfg)
		h.spy.bytes = func() uint64 { return eng.Thread(0).Stats().BytesIn }
		h.keepBusy(true)
		var all []*client
		h.in(func() (err error) { all, err = dialAll(addrOf(eng), conns); return err })
		reads, services := h.reads, h.spy.total
		h.in(func() error { return floodAll(all, msg, messages) })
		h.until("all is received", func() bool { return eng.Thread(0).Stats().Messages == uint64(conns*messages) })
		reads, services = h.reads-reads, h.spy.total-services
		t.Logf("%d connections: %d services, %d callbacks of the host; at most %d services between two, %d of one descriptor; %d bytes in one",
			conns, services, reads, h.spy.most, h.spy.mostEach, h.spy.mostBytes)
		if h.spy.mostEach > 2 {
			t.Errorf("a descriptor was served %d times between two callbacks of the host", h.spy.mostEach)
		}
		most := 2 * (conns + 2)
		if eng.Backend().Tier == loop.Nested {
			most = 2 * cloop.PassMax
		}
		if h.spy.most > most {
			t.Errorf("%d services between two callbacks of the host, more than %d", h.spy.most, most)
		}
		if h.spy.mostBytes > 160<<10 || h.spy.mostBytes == 0 {
			t.Errorf("%d bytes were read in one service", h.spy.mostBytes)
		}
		if services < 2*conns {
			t.Errorf("%d services of %d connections are no flood", services, conns)
		}
		h.keepBusy(false)
		h.end(eng)
		h.same(alone)
		for _, c := range all {
			c.Close()
		}
	})
}

func dialAll(addr string, n int) ([]*client, error) {
	var all []*client
	for range n {
		c, err := dial(addr)
		if err != nil {
			return all, err
		}
		// Small, so that the flood is at the server's door and not in its hall.
		if err := c.Conn.(*net.TCPConn).SetWriteBuffer(32 << 10); err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

func floodAll(all []*client, msg []byte, times int) error {
	var wait sync.WaitGroup
	errs := make(chan error, len(all))
	for _, c := range all {
		wait.Go(func() {
			for range times {
				if _, err := c.Write(msg); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wait.Wait()
	close(errs)
	return <-errs
}

// TestTwoThreads: two service threads of one engine live in one loop, each with its
// own descriptors, timer and wake-up; connections are spread over both.
func TestTwoThreads(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		h := newHost(t, lib)
		alone := h.watchers()
		cfg := echoes(backend(h.l), anyPort)
		cfg.Threads = 2
		eng := h.engine(cfg)
		var all []*client
		for visit := range 2 {
			h.in(func() error {
				for i := range 10 {
					c, err := dial(addrOf(eng))
					if err != nil {
						return err
					}
					all = append(all, c)
					if err := c.echo(fmt.Sprint("number ", i)); err != nil {
						return err
					}
				}
				return nil
			})
			for i := range 2 {
				if n := eng.Thread(i).Stats().Conns; n != 5*(visit+1) {
					t.Errorf("thread %d has %d connections", i, n)
				}
			}
			eng.Detach()
			h.same(alone)
			if err := eng.Attach(backend(h.l)); err != nil {
				t.Fatal(err)
			}
		}
		heard := make(chan int, 2)
		for i := range 2 {
			if err := eng.Thread(i).Post(func() { heard <- i }); err != nil {
				t.Fatal(err)
			}
		}
		h.until("both threads are woken", func() bool { return len(heard) == 2 })
		h.in(func() error {
			for _, c := range all {
				if err := c.echo("again"); err != nil {
					return err
				}
				c.Close()
			}
			return nil
		})
		h.end(eng)
		h.same(alone)
	})
}

// quiet is a handler that says what happens to it.
type quiet struct {
	sink
	conn            chan *core.Conn
	timers, writers int
}

func (q *quiet) Opened(c *core.Conn, _ *core.Request) error { q.conn <- c; return nil }
func (q *quiet) Timer(*core.Conn) error                     { q.timers++; return nil }
func (q *quiet) Writable(_ *core.Conn, w *core.WSWriter) error {
	q.writers++
	return w.Text([]byte("now"))
}

// TestVerbsBetweenTurns: what is asked of a connection while no call of core runs,
// here by plain Go between two turns, reaches a loop that would sleep on: there is
// nothing else in it but the bound of the test.
func TestVerbsBetweenTurns(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		h := &host{t: t, l: lib.newLoop(t)}
		late := false
		bound := h.l.NewTimer(func() { late = true })
		defer bound.Close()
		bound.Set(far)
		sleepUntil := func(cond func() bool) {
			t.Helper()
			for !cond() {
				if h.l.Turn(true); late {
					t.Fatal("the loop sleeps on")
				}
			}
		}
		q := &quiet{conn: make(chan *core.Conn, 1)}
		cfg := echoes(backend(h.l), anyPort)
		cfg.VHosts[0].Protocols[0].WS = func(*core.Conn) core.WSHandler { return q }
		eng := h.engine(cfg)
		dialed := make(chan *client, 1)
		go func() {
			c, err := dial(addrOf(eng))
			if err != nil {
				t.Error(err)
			}
			dialed <- c
		}()
		sleepUntil(func() bool { return len(q.conn) > 0 })
		c := <-q.conn
		peer := <-dialed
		defer peer.Close()
		for round := 1; round <= 3; round++ {
			if err := c.RequestWritable(); err != nil {
				t.Fatal(err)
			}
			sleepUntil(func() bool { return q.writers == round })
			if err := peer.want("now"); err != nil {
				t.Fatal(err)
			}
			if err := c.SetTimer(time.Hour); err != nil {
				t.Fatal(err)
			}
			h.l.Turn(false)
			if err := c.SetTimer(3 * time.Millisecond); err != nil { // earlier than what the loop sleeps for
				t.Fatal(err)
			}
			sleepUntil(func() bool { return q.timers == round })
		}
		h.end(eng)
	})
}

// TestEngineEndsWhileAsleep: a loop that has nothing but core in it, and sleeps, is
// woken from another goroutine for the end; its Run returns by itself, since
// nothing is left (not GLib's).
func TestEngineEndsWhileAsleep(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend makeBackend) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		l := lib.newLoop(t)
		eng, err := core.New(echoes(backend(l), anyPort))
		if err != nil {
			t.Fatal(err)
		}
		turned := make(chan struct{})
		if err := eng.Post(func() { close(turned) }); err != nil {
			t.Fatal(err)
		}
		stopped := make(chan error, 1)
		go func() {
			<-turned
			stopped <- eng.Shutdown(t.Context())
		}()
		if lib.name == "glib" {
			for eng.Thread(0).Hosted() {
				l.Turn(true)
			}
		} else {
			l.Run()
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// TestAddFails: a descriptor that the library refuses (a regular file cannot be
// polled by epoll) is an error of the verb that brought it, and nothing is left.
func TestAddFails(t *testing.T) {
	for _, lib := range libraries {
		if lib.name != "uv" && lib.name != "event" {
			continue // libev calls a regular file ready, GLib polls it
		}
		t.Run(lib.name, func(t *testing.T) {
			leakCheck(t)
			l := lib.newLoop(t)
			fd, err := unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			w, err := l.Watch(fd, loop.In, func(loop.Events) {})
			if err == nil {
				w.Close()
				t.Error("a regular file is watched")
			}
			l.Turn(false)
			if n := l.Watchers(); n != 0 {
				t.Errorf("%d watchers", n)
			}
		})
	}
}
