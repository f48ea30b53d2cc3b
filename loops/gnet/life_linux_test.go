//go:build !poll_opt

package gnetloop_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/logging"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"
	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
	"anyloop/loops/gnet"
	"anyloop/loops/poll"
)

func tcpVHost() core.VHost {
	vh := echoVHost()
	vh.Addr = "127.0.0.1:0"
	return vh
}

// start runs an engine that turns its own loops.
func start(t *testing.T, cfg core.Config) (eng *core.Engine, ended chan error) {
	t.Helper()
	eng, err := core.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- eng.Run(context.Background()) }()
	return eng, ended
}

func finish(t *testing.T, eng *core.Engine, ended chan error) {
	t.Helper()
	eng.Stop(-1)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-eng.Done()
}

func dial(t *testing.T, eng *core.Engine) *client.Conn {
	t.Helper()
	c, err := client.Dial(eng.VHost("default").Addr(), bound)
	if err == nil {
		err = c.Upgrade("")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func echo(t *testing.T, c *client.Conn) {
	t.Helper()
	if err := c.Echo(ws.Text, []byte("around and back")); err != nil {
		t.Error(err)
	}
}

var ways = map[string][]gnetloop.Option{"direct": nil, "nested": {gnetloop.Nested()}}

// TestStopAndRunAgain: engines come and go in one process, and leave nothing.
func TestStopAndRunAgain(t *testing.T) {
	for name, opts := range ways {
		t.Run(name, func(t *testing.T) {
			leaks(t)
			for range 5 {
				eng, ended := start(t, core.Config{Backend: gnetloop.Backend(opts...), VHosts: []core.VHost{tcpVHost()}})
				c := dial(t, eng)
				echo(t, c)
				finish(t, eng, ended)
				c.Close()
			}
		})
	}
}

// TestAnotherLoopAndBack: a connection lives on in a loop of another kind, and in
// a poller of gnet again; nothing of either is left.
func TestAnotherLoopAndBack(t *testing.T) {
	for name, opts := range ways {
		t.Run(name, func(t *testing.T) {
			leaks(t)
			eng, ended := start(t, core.Config{Backend: gnetloop.Backend(opts...), VHosts: []core.VHost{tcpVHost()}})
			c := dial(t, eng)
			for i := range 6 {
				echo(t, c)
				if err := eng.Post(eng.Detach); err != nil {
					t.Fatal(err)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
				var b loop.Backend = poll.Backend()
				if i%2 == 1 {
					b = gnetloop.Backend(opts...)
				}
				if err := eng.Attach(b); err != nil {
					t.Fatal(err)
				}
				go func() { ended <- eng.Thread(0).Run() }()
			}
			echo(t, c)
			finish(t, eng, ended)
			c.Close()
		})
	}
}

// TestRoundsInASharedPoller: a hundred times core enters the application's
// poller, serves the same connection, and leaves. The hundredth time is like the
// tenth: descriptors, goroutines, registrations.
func TestRoundsInASharedPoller(t *testing.T) {
	for name, opts := range ways {
		t.Run(name, func(t *testing.T) {
			leaks(t)
			h := newHost(t, core.Config{VHosts: []core.VHost{echoVHost()}})
			fd := h.dial()
			defer unix.Close(fd)
			type state struct {
				open
				registered int
			}
			var tenth state
			for round := 1; round <= 100; round++ {
				h.echo(fd)
				h.eng.Detach()
				if n := watched(t, h.fence); n != 2 { // the poller's own eventfd
					t.Fatalf("round %d: %d descriptors are registered after core has left", round, n)
				}
				b := gnetloop.Backend(append(opts, gnetloop.Shared(h.p))...)
				if err := h.eng.Attach(b); err != nil {
					t.Fatal(err)
				}
				h.back = b
				h.echo(fd)
				is := state{holds(t), watched(t, h.fence)}
				if round == 10 {
					tenth = is
				}
				for end := time.Now().Add(bound); round == 100 && is.goroutines > tenth.goroutines && time.Now().Before(end); runtime.Gosched() {
					is.open = holds(t)
				}
				// At the tenth one of an earlier test may have been on its way out.
				is.goroutines = max(is.goroutines, tenth.goroutines)
				if round == 100 && is != tenth {
					t.Errorf("round 100: %+v, round 10: %+v", is, tenth)
				}
			}
		})
	}
}

// TestPollingCanBeEnteredAgain: core's end ends Polling from the callback of an
// event. From a task of Trigger it would leave the poller deaf for tasks; here it
// is turned again, and hears them, and can host again.
func TestPollingCanBeEnteredAgain(t *testing.T) {
	leaks(t)
	p := openPoller(t)
	for range 3 {
		b := gnetloop.Backend(gnetloop.Shared(p))
		eng, err := core.New(core.Config{Backend: b, VHosts: []core.VHost{tcpVHost()}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- drive(p, b.Thread(0), eng.Thread(0).Hosted) }()
		c := dial(t, eng)
		echo(t, c)
		eng.Stop(-1)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		<-eng.Done()
		c.Close()
		ran := make(chan struct{})
		go func() {
			ended <- p.Polling(func(int, netpoll.IOEvent, netpoll.IOFlags) error { return gneterrors.ErrEngineShutdown })
		}()
		if err := p.Trigger(queue.HighPriority, func(any) error { close(ran); return nil }, nil); err != nil {
			t.Fatal(err)
		}
		<-ran
		fd := eventfd(t)
		if err := p.AddRead(&netpoll.PollAttachment{FD: fd}, false); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, gneterrors.ErrEngineShutdown) {
			t.Error(err)
		}
		p.Delete(fd)
	}
}

// TestClosedPoller: one that the application has closed refuses core with an
// error and nothing left behind; a private one that has been closed is not
// polled, which gnet would log as an error.
func TestClosedPoller(t *testing.T) {
	for name, opts := range ways {
		t.Run(name, func(t *testing.T) {
			leaks(t)
			p, err := netpoll.OpenPoller()
			if err != nil {
				t.Fatal(err)
			}
			p.Close()
			b := gnetloop.Backend(append(opts, gnetloop.Shared(p))...)
			// The error depends on who has the closed poller's number by now.
			if _, err := core.New(core.Config{Backend: b}); err == nil || !strings.Contains(err.Error(), "gnetloop: ") {
				t.Errorf("a closed poller: %v", err)
			}
			own := gnetloop.Backend(opts...)
			s := &loopless{}
			l, err := own.Open(0, s)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := l.(loop.Closer).Close(); err != nil {
					t.Error(err)
				}
			}
			log := &errorLog{Logger: logging.GetDefaultLogger()}
			logging.SetDefaultLoggerAndFlusher(log, logging.GetDefaultFlusher())
			if err := l.(loop.Runner).Run(); err != nil || log.errors != 0 {
				t.Errorf("Run after Close: %v, and %d errors in gnet's log", err, log.errors)
			}
			logging.SetDefaultLoggerAndFlusher(log.Logger, logging.GetDefaultFlusher())
			if own.Thread(0).Dispatch(0, 0, 0) {
				t.Error("a loop that is closed takes events")
			}
		})
	}
}

// errorLog counts what gnet logs as an error.
type errorLog struct {
	logging.Logger
	errors int
}

func (l *errorLog) Errorf(string, ...any) { l.errors++ }

// loopless is a core that is never asked.
type loopless struct{ loop.Service }

func (*loopless) Hosted() bool { return true }

// TestPollersOfThreads: an engine gets as many pollers as it has threads, or an
// error that says so, and leaves nothing.
func TestPollersOfThreads(t *testing.T) {
	leaks(t)
	p := openPoller(t)
	for _, b := range []*gnetloop.Loops{gnetloop.Backend(gnetloop.Shared(p)), gnetloop.Backend(gnetloop.Shared(p, nil))} {
		if _, err := core.New(core.Config{Backend: b, Threads: 2}); !errors.Is(err, gnetloop.ErrNoPoller) {
			t.Errorf("one poller for two threads: %v", err)
		}
	}
	b := gnetloop.Backend()
	if b.Thread(0) != nil || b.Thread(-1) != nil {
		t.Error("a loop before the engine has opened it")
	}
}

// TestThreads: connections on every service thread, private and shared.
func TestThreads(t *testing.T) {
	const threads = 3
	for name, opts := range ways {
		for _, sharing := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				leaks(t)
				var ps []*netpoll.Poller
				if sharing {
					for range threads {
						ps = append(ps, openPoller(t))
					}
					opts = append(opts, gnetloop.Shared(ps...))
				}
				b := gnetloop.Backend(opts...)
				if b.Info().Foreign != sharing {
					t.Errorf("%+v", b.Info())
				}
				eng, err := core.New(core.Config{Backend: b, Threads: threads, VHosts: []core.VHost{tcpVHost()}})
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, threads)
				for i := range threads {
					go func() {
						if sharing {
							ended <- drive(ps[i], b.Thread(i), eng.Thread(i).Hosted)
						} else {
							ended <- eng.Thread(i).Run()
						}
					}()
				}
				var conns []*client.Conn
				for range 4 * threads {
					conns = append(conns, dial(t, eng))
				}
				for range 20 {
					for _, c := range conns {
						echo(t, c)
					}
				}
				for i := range threads {
					if n := eng.Thread(i).Stats().Conns; n != 4 {
						t.Errorf("thread %d has %d connections", i, n)
					}
				}
				eng.Stop(-1)
				for range threads {
					if err := <-ended; err != nil {
						t.Error(err)
					}
				}
				<-eng.Done()
				for _, c := range conns {
					c.Close()
				}
			})
		}
	}
}

// TestOneProcessor: gnet's poller sleeps in the kernel where it must not keep the
// only processor.
func TestOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	leaks(t)
	eng, ended := start(t, core.Config{Backend: gnetloop.Backend(), VHosts: []core.VHost{tcpVHost()}})
	a, b := dial(t, eng), dial(t, eng)
	for range 200 {
		echo(t, a)
		echo(t, b)
	}
	finish(t, eng, ended)
	a.Close()
	b.Close()
}

// TestWorkBetweenTurns: what the application asks of core in a handler of its own
// descriptor, outside core's turns, is done without another event.
func TestWorkBetweenTurns(t *testing.T) {
	for name, opts := range ways {
		t.Run(name, func(t *testing.T) {
			leaks(t)
			var conn *core.Conn
			wrote := false
			vh := core.VHost{Protocols: []core.Protocol{{Name: "w", WS: func(c *core.Conn) core.WSHandler {
				conn = c
				return writer{&wrote}
			}}}}
			h := newHost(t, core.Config{VHosts: []core.VHost{vh}}, opts...)
			fd := h.dial()
			defer unix.Close(fd)
			before := h.back.Thread(0).Counts()
			asked := false
			h.run(func() bool {
				if asked {
					return true
				}
				asked = true
				conn.RequestWritable()
				conn.RequestWritable()
				return false
			})
			after := h.back.Thread(0).Counts()
			if !wrote || after.Events != before.Events+1 {
				t.Errorf("written: %v; before %+v, after %+v", wrote, before, after)
			}
		})
	}
}

type writer struct{ wrote *bool }

func (writer) Receive(*core.Conn, core.Fragment) error { return nil }
func (w writer) Writable(_ *core.Conn, out *core.WSWriter) error {
	*w.wrote = true
	return out.Text([]byte("asked for"))
}
