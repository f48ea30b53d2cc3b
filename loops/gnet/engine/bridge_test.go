package gnetengine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/loop/looptest/e2e"
	gnetengine "anyloop/loops/gnet/engine"
	"anyloop/loops/poll"
)

// TestBridgePassesLooptest: the contract holds inside a gnet engine.
func TestBridgePassesLooptest(t *testing.T) {
	looptest.Run(t, func(testing.TB) looptest.Host {
		b := gnetengine.New()
		return looptest.Host{Backend: b, Run: func(e *core.Engine) error {
			return b.Serve(context.Background(), e)
		}}
	})
}

// TestBridgeEndToEnd: what users build on top works there as well.
func TestBridgeEndToEnd(t *testing.T) {
	for _, threads := range []int{1, 2} {
		t.Run(fmt.Sprint("threads=", threads), func(t *testing.T) {
			e2e.Run(t, threads, bridged)
		})
	}
}

// bridged is a gnet engine for the end-to-end suite.
func bridged(testing.TB, int) e2e.Host {
	b := gnetengine.New()
	return e2e.Host{Backend: b, Run: func(ctx context.Context, e *core.Engine) error { return b.Serve(ctx, e) }}
}

// TestBridgeEndToEndTLS: over TLS too.
func TestBridgeEndToEndTLS(t *testing.T) { e2e.RunTLS(t, []int{1, 2}, bridged) }

// TestOrders: core.New before gnet runs, or after; with Start, or by Attach.
func TestOrders(t *testing.T) {
	t.Run("new, run", func(t *testing.T) {
		b := gnetengine.New()
		eng, vh := newEngine(t, core.Config{Backend: b, Threads: 2}, echoing("127.0.0.1:0"))
		run(t, b.Wrap(&program{}))
		webSocket(t, vh.Addr())
		shutdown(t, eng)
	})
	t.Run("run, new, start", func(t *testing.T) {
		b := gnetengine.New()
		run(t, b.Wrap(nil), gnet.WithNumEventLoop(2))
		eng, vh := newEngine(t, core.Config{Backend: b, Threads: 3}, echoing("127.0.0.1:0"))
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			webSocket(t, vh.Addr())
		}
		shutdown(t, eng)
	})
	t.Run("run, new, attach", func(t *testing.T) {
		b := gnetengine.New()
		loops := make(chan gnet.EventLoop, 1)
		p := run(t, &program{onOpen: func(c gnet.Conn) ([]byte, gnet.Action) {
			loops <- c.EventLoop()
			return nil, gnet.None
		}})
		c := p.dial()
		el := <-loops
		if err := b.Attach(0, el); !errors.Is(err, gnetengine.ErrNoThread) {
			t.Errorf("without an engine: %v", err)
		}
		eng, vh := newEngine(t, core.Config{Backend: b}, echoing("127.0.0.1:0"))
		if err := b.Attach(0, el); err != nil {
			t.Fatal(err)
		}
		if err := b.Attach(0, el); !errors.Is(err, gnetengine.ErrTurned) {
			t.Errorf("a second time: %v", err)
		}
		webSocket(t, vh.Addr())
		pong(t, c, "the program as well")
		shutdown(t, eng)
		pong(t, c, "and without us")
	})
	t.Run("no ticker", func(t *testing.T) {
		b := gnetengine.New()
		eng, vh := newEngine(t, core.Config{Backend: b}, echoing("127.0.0.1:0"))
		p := run(t, b.Wrap(&program{}), gnet.WithTicker(false))
		pong(t, p.dial(), "up with the first connection")
		webSocket(t, vh.Addr())
		shutdown(t, eng)
	})
}

// TestTheProgramSeesItsOwn: what looks for the event loops is hidden, and ticks go on as
// the program wants them.
func TestTheProgramSeesItsOwn(t *testing.T) {
	b := gnetengine.New()
	eng, vh := newEngine(t, core.Config{Backend: b, Threads: 2}, echoing("127.0.0.1:0"))
	ticked := make(chan struct{})
	prog := &program{}
	prog.onTick = func() (time.Duration, gnet.Action) {
		if prog.ticks.Load() == 3 {
			close(ticked)
			return 0, gnet.None // gnet would spin
		}
		return time.Millisecond, gnet.None
	}
	p := run(t, b.Wrap(prog), gnet.WithNumEventLoop(2))
	webSocket(t, vh.Addr())
	pong(t, p.dial(), "one connection")
	wait(t, ticked, "the program's ticks have stopped")
	until(t, "gnet counts the program's connections only", func() bool { return p.eng.CountConnections() == 1 })
	shutdown(t, eng)
	if n := prog.opened.Load(); n != 1 {
		t.Errorf("the program saw %d connections open", n)
	}
	if n := prog.closed.Load(); n != 0 {
		t.Errorf("the program saw %d connections close", n)
	}
	p.stop()
	if n := prog.ticks.Load(); n != 3 {
		t.Errorf("%d ticks, the third of which was the last", n)
	}
}

// TestDefectOnTickRunsElsewhere: core's callbacks run on the goroutine of the
// program's own, which OnTick does not.
func TestDefectOnTickRunsElsewhere(t *testing.T) {
	b := gnetengine.New()
	var core0, gnet0, tick0 atomic.Uint64
	eng, vh := newEngine(t, core.Config{Backend: b}, core.VHost{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "id",
		WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error {
			core0.Store(goroutine())
			return out.Send(m)
		})}}})
	p := run(t, b.Wrap(&program{
		onOpen: func(gnet.Conn) ([]byte, gnet.Action) { gnet0.Store(goroutine()); return nil, gnet.None },
		onTick: func() (time.Duration, gnet.Action) { tick0.Store(goroutine()); return time.Hour, gnet.None },
	}))
	webSocket(t, vh.Addr())
	pong(t, p.dial(), "x")
	until(t, "the program's tick", func() bool { return tick0.Load() != 0 })
	if c, g, k := core0.Load(), gnet0.Load(), tick0.Load(); c != g || c == k || k == 0 {
		t.Errorf("core on goroutine %d, the program on %d, its tick on %d", c, g, k)
	}
	shutdown(t, eng)
}

// TestRounds: an engine comes and goes in one gnet engine, or leaves it for another
// loop and comes back; the hundredth time costs what the tenth did.
func TestRounds(t *testing.T) {
	b := gnetengine.New()
	loops := make(chan gnet.EventLoop, 1)
	p := run(t, b.Wrap(&program{onOpen: func(c gnet.Conn) ([]byte, gnet.Action) {
		loops <- c.EventLoop()
		return nil, gnet.None
	}}), gnet.WithNumEventLoop(2))
	own := p.dial()
	el := <-loops
	until(t, "the anchors are gone", func() bool { return p.eng.CountConnections() == 1 })
	round := func(threads int) {
		eng, vh := newEngine(t, core.Config{Backend: b, Threads: threads}, echoing("127.0.0.1:0"))
		if threads == 1 {
			if err := b.Attach(0, el); err != nil {
				t.Fatal(err)
			}
		} else if err := b.Start(); err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial(vh.Addr(), looptest.Bound)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Upgrade(""); err != nil {
			t.Fatal(err)
		}
		echo(t, c, "here")
		if threads == 1 {
			leaveAndReturn(t, eng, b, el)
			echo(t, c, "again")
		}
		pong(t, own, "meanwhile")
		shutdown(t, eng)
	}
	var was stock
	var heap uint64
	for i := range 100 {
		round(1 + i%2)
		if i == 9 {
			was, heap = take(p.eng), live()
		}
	}
	until(t, fmt.Sprint("the process has what it had: ", was), func() bool {
		is := take(p.eng)
		return is.files <= was.files && is.goroutines <= was.goroutines && is.conns <= was.conns
	})
	is := live() // what earlier tests have left in pools goes bit by bit
	for end := time.Now().Add(looptest.Bound / 4); is > heap+64<<10; is = live() {
		if time.Now().After(end) {
			t.Fatalf("%d bytes of live heap after round 10, %d after round 100", heap, is)
		}
	}
	t.Logf("%v; live heap grew by %d bytes in 90 rounds", was, int64(is-heap))
}

func live() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// leaveAndReturn takes an engine out of its event loop and brings it back, on that
// loop's goroutine.
func leaveAndReturn(t *testing.T, eng *core.Engine, b *gnetengine.Bridge, el gnet.EventLoop) {
	t.Helper()
	back := make(chan error, 1)
	err := el.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
		eng.Detach()
		err := eng.Attach(b)
		if err == nil {
			err = b.Attach(0, el)
		}
		back <- err
		return nil
	}))
	if err == nil {
		err = <-back
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestHostRunsAgain: gnet ends, its connections are gone, core's live on, and go
// on when the same handler is run again.
func TestHostRunsAgain(t *testing.T) {
	b := gnetengine.New()
	h := b.Wrap(&program{})
	eng, vh := newEngine(t, core.Config{Backend: b}, echoing("127.0.0.1:0"))
	p := run(t, h)
	c := webSocket(t, vh.Addr())
	lost := b.Lost()
	if b.Err() != nil {
		t.Errorf("lost already: %v", b.Err())
	}
	p.stop()
	wait(t, lost, "the end of gnet is not noticed")
	if err := b.Err(); !errors.Is(err, gnetengine.ErrHostGone) {
		t.Errorf("lost for %v", err)
	}
	run(t, h)
	echo(t, c, "in the second engine")
	select {
	case <-b.Lost():
		t.Error("the second engine is lost")
	default:
	}
	shutdown(t, eng)
}

// TestDefectJobsBehindShutdownNeverRun: with a turn of ours queued, an event loop ends
// by itself. Nothing hangs, and the engine lives on in another loop.
func TestDefectJobsBehindShutdownNeverRun(t *testing.T) {
	for _, wrapped := range []bool{true, false} {
		t.Run(fmt.Sprint("wrapped=", wrapped), func(t *testing.T) {
			b := gnetengine.New()
			queued, inside := make(chan struct{}), make(chan struct{})
			prog := &program{}
			loops := make(chan gnet.EventLoop, 1)
			prog.onOpen = func(c gnet.Conn) ([]byte, gnet.Action) { loops <- c.EventLoop(); return nil, gnet.None }
			prog.onTraffic = func(gnet.Conn) gnet.Action {
				close(inside)
				<-queued
				return gnet.Shutdown
			}
			var h gnet.EventHandler = prog
			if wrapped {
				h = b.Wrap(prog)
			}
			p := run(t, h)
			c := p.dial()
			el := <-loops
			eng, vh := newEngine(t, core.Config{Backend: b}, echoing("127.0.0.1:0"))
			if err := b.Attach(0, el); err != nil {
				t.Fatal(err)
			}
			conn := webSocket(t, vh.Addr())
			lost := b.Lost()
			c.Write([]byte("end"))
			<-inside
			n := gnetengine.Queued(b, 0)
			eng.Wake()
			until(t, "a turn is queued", func() bool { return gnetengine.Queued(b, 0) > n })
			close(queued)
			p.ended()
			wait(t, lost, "the end of the event loop is not noticed")
			eng.Detach()
			if err := eng.Attach(poll.Backend()); err != nil {
				t.Fatal(err)
			}
			ran := make(chan error, 1)
			go func() { ran <- eng.Run(context.Background()) }()
			echo(t, conn, "elsewhere")
			shutdown(t, eng)
			if err := <-ran; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestShutdownInOnShutdown: the program may end the engine while gnet ends.
func TestShutdownInOnShutdown(t *testing.T) {
	b := gnetengine.New()
	eng, vh := newEngine(t, core.Config{Backend: b, Threads: 2}, echoing("127.0.0.1:0"))
	p := run(t, b.Wrap(&program{onStop: func() {
		ctx, cancel := context.WithTimeout(context.Background(), looptest.Bound)
		defer cancel()
		if err := eng.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}}), gnet.WithNumEventLoop(2))
	c := webSocket(t, vh.Addr())
	go func() { // answers the goodbye
		if f, err := c.Next(); err != nil || f.Code() != 1001 {
			t.Errorf("%+v %v", f, err)
		}
		c.SendClose(1001, "")
	}()
	p.stop()
	wait(t, eng.Done(), "the engine has not ended with gnet")
}

// TestOneProcessor: nothing waits for a second one.
func TestOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b := gnetengine.New()
	eng, vh := newEngine(t, core.Config{Backend: b, Threads: 2}, echoing("127.0.0.1:0"))
	p := run(t, b.Wrap(&program{}))
	a, c, own := webSocket(t, vh.Addr()), webSocket(t, vh.Addr()), p.dial()
	for range 50 {
		echo(t, a, "a")
		echo(t, c, "c")
		pong(t, own, "own")
	}
	shutdown(t, eng)
}

// counting counts what core does between two callbacks of the program.
type counting struct {
	loop.Backend
	calls *atomic.Int64
}

func (b counting) Open(thread int, s loop.Service) (loop.Loop, error) {
	return b.Backend.Open(thread, countingService{s, b.calls})
}

type countingService struct {
	loop.Service
	calls *atomic.Int64
}

func (s countingService) ServiceFD(p *loop.PollFD) bool {
	s.calls.Add(1)
	return s.Service.ServiceFD(p)
}

// TestTheProgramIsServedInAFlood: WebSockets on two service threads of one event
// loop flood; between two callbacks of a program's connection that is always
// ready core serves a few turns of MaxEvents descriptors each, no more.
func TestTheProgramIsServedInAFlood(t *testing.T) {
	const maxEvents, conns, rounds = 8, 32, 4000
	b := gnetengine.New(gnetengine.MaxEvents(maxEvents))
	var calls atomic.Int64
	eng, vh := newEngine(t, core.Config{Backend: counting{b, &calls}, Threads: 2}, echoing("127.0.0.1:0"))
	prog := &program{}
	var gaps []int64
	last := int64(-1) // when there was more to read
	prog.onTraffic = func(c gnet.Conn) gnet.Action {
		now := calls.Load()
		if last >= 0 {
			gaps = append(gaps, now-last)
		}
		last = -1
		if n, _, err := unix.Recvfrom(c.Fd(), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT); err == nil && n > 0 {
			last = now
		}
		c.Discard(-1)
		if len(gaps) == rounds {
			c.Write([]byte("!"))
		}
		return gnet.None
	}
	p := run(t, b.Wrap(prog), gnet.WithReadBufferCap(1024))
	var flood sync.WaitGroup
	quit := make(chan struct{})
	for range conns {
		c := webSocket(t, vh.Addr())
		flood.Add(1)
		go func() {
			defer flood.Done()
			for {
				select {
				case <-quit:
					return
				default:
					if c.Echo(1, []byte("flood")) != nil {
						return
					}
				}
			}
		}()
	}
	began := calls.Load()
	until(t, "the flood has begun", func() bool { return calls.Load() > began+1000 })
	own := p.dial()
	go func() {
		for b := make([]byte, 64<<10); ; {
			if _, err := own.Write(b); err != nil {
				return
			}
		}
	}()
	if _, err := own.Read(make([]byte, 1)); err != nil {
		t.Errorf("the program's connection: %v", err)
	}
	own.Close()
	close(quit)
	flood.Wait()
	shutdown(t, eng)
	p.stop()
	sum, most := int64(0), int64(0)
	for _, g := range gaps {
		sum, most = sum+g, max(most, g)
	}
	t.Logf("%d callbacks of the program; core was called %.2f times between two, %d at most", len(gaps), float64(sum)/float64(len(gaps)), most)
	// Whether a turn is queued again before gnet has looked at its queue is up to
	// the scheduler; that it always is would be starvation.
	if most > 8*maxEvents {
		t.Errorf("core was called %d times between two callbacks of the program; a turn is %d", most, maxEvents)
	}
	if sum == 0 {
		t.Error("nothing was measured")
	}
}

// TestOneTurnIsQueued: gnet runs what is queued before it looks at its connections,
// also what is queued meanwhile; so two threads of an event loop take turns.
func TestOneTurnIsQueued(t *testing.T) {
	b := gnetengine.New()
	inside, release := make(chan struct{}), make(chan struct{})
	loops := make(chan gnet.EventLoop, 1)
	prog := &program{
		onOpen:    func(c gnet.Conn) ([]byte, gnet.Action) { loops <- c.EventLoop(); return nil, gnet.None },
		onTraffic: func(c gnet.Conn) gnet.Action { c.Discard(-1); close(inside); <-release; return gnet.None },
	}
	p := run(t, b.Wrap(prog))
	c := p.dial()
	el := <-loops
	eng, vh := newEngine(t, core.Config{Backend: b, Threads: 2}, echoing("127.0.0.1:0"))
	for i := range 2 {
		if err := b.Attach(i, el); err != nil {
			t.Fatal(err)
		}
	}
	webSocket(t, vh.Addr())
	c.Write([]byte("x"))
	<-inside
	n := gnetengine.Queued(b, 0)
	eng.Wake()
	until(t, "one thread waits for the other", func() bool { return gnetengine.Waiting(b, 0) == 1 })
	if q := gnetengine.Queued(b, 0) - n; q > 1 {
		t.Errorf("%d turns are queued at a time", q)
	}
	close(release)
	webSocket(t, vh.Addr())
	shutdown(t, eng)
}

// TestDefectEnginesAreKept: gnet keeps every engine that it has run, by address; ours
// are let go.
func TestDefectEnginesAreKept(t *testing.T) {
	for name, make := range map[string]func() (loop.Backend, func(*core.Engine) error){
		"serve": func() (loop.Backend, func(*core.Engine) error) {
			b := gnetengine.New()
			return b, func(e *core.Engine) error { return b.Serve(context.Background(), e) }
		},
		"streams": func() (loop.Backend, func(*core.Engine) error) {
			return gnetengine.Streams(), func(e *core.Engine) error { return e.Run(context.Background()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			old := func() weak.Pointer[core.Engine] {
				b, run := make()
				eng, _ := newEngine(t, core.Config{Backend: b}, echoing("127.0.0.1:0"))
				ran := goes(func() error { return run(eng) })
				done := goes(func() error { return eng.Shutdown(context.Background()) })
				if err := errors.Join(<-ran, <-done); err != nil {
					t.Error(err)
				}
				return weak.Make(eng)
			}()
			until(t, "an engine that is over is let go", func() bool {
				runtime.GC()
				return old.Value() == nil
			})
		})
	}
}

func goes(f func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}
