package gnetengine_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
	gnetengine "anyloop/loops/gnet/engine"
	"anyloop/loops/poll"
)

// TestASecondEngineIsRefused: a backend serves one engine at a time. A second one
// is told, and the first does not suffer; when that has left or ended, another may
// come.
func TestASecondEngineIsRefused(t *testing.T) {
	refused := func(t *testing.T, b loop.Backend, threads int) {
		t.Helper()
		if _, err := core.New(core.Config{Backend: b, Threads: threads}); !errors.Is(err, gnetengine.ErrInUse) {
			t.Errorf("a second engine: %v", err)
		}
	}
	t.Run("bridge", func(t *testing.T) {
		b := gnetengine.New()
		first, one := newEngine(t, core.Config{Backend: b}, echoing("127.0.0.1:0"))
		refused(t, b, 1)
		refused(t, b, 2)
		run(t, b.Wrap(&program{}))
		c := webSocket(t, one.Addr())
		refused(t, b, 1)
		echo(t, c, "still served")

		detached := make(chan struct{})
		first.Post(func() { first.Detach(); close(detached) })
		wait(t, detached, "the thread does not turn")
		second, two := newEngine(t, core.Config{Backend: b}, echoing("127.0.0.1:0"))
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
		d := webSocket(t, two.Addr())
		if err := first.Attach(b); !errors.Is(err, gnetengine.ErrInUse) {
			t.Errorf("Attach beside a second engine: %v", err)
		}
		echo(t, d, "not disturbed")
		shutdown(t, second)

		if err := first.Attach(b); err != nil {
			t.Fatal(err)
		}
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
		echo(t, c, "back")
		shutdown(t, first)
	})
	t.Run("streams", func(t *testing.T) {
		b := gnetengine.Streams()
		for range 2 { // also after the end of the first
			eng, vh := newEngine(t, core.Config{Backend: b}, echoing("127.0.0.1:0"))
			refused(t, b, 1)
			ran := goes(func() error { return eng.Run(context.Background()) })
			c := webSocket(t, vh.Addr())
			refused(t, b, 2)
			echo(t, c, "still served")
			shutdown(t, eng)
			if err := <-ran; err != nil {
				t.Error(err)
			}
		}
	})
}

// hosting is a service that is hosted or not.
type hosting struct {
	loop.Service
	now atomic.Bool
}

func (h *hosting) Hosted() bool { return h.now.Load() }

// TestAnEndedEngineIsNotInTheWay: an engine on Streams has ended before its Run
// returns and closes the loop; the next need not wait for that.
func TestAnEndedEngineIsNotInTheWay(t *testing.T) {
	b := gnetengine.Streams()
	s := &hosting{}
	s.now.Store(true)
	first, err := b.Open(0, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(0, &hosting{}); !errors.Is(err, gnetengine.ErrInUse) {
		t.Errorf("beside one that is hosted: %v", err)
	}
	s.now.Store(false)
	second, err := b.Open(0, &hosting{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []loop.Loop{first, second} {
		if err := l.(loop.Closer).Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestServeOfAnEngineThatIsElsewhere: Serve does not wait for the end of an engine
// that the bridge does not turn.
func TestServeOfAnEngineThatIsElsewhere(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	serves := func(what string, b *gnetengine.Bridge, eng *core.Engine, want error) {
		t.Helper()
		select {
		case err := <-goes(func() error { return b.Serve(ctx, eng) }):
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		case <-time.After(looptest.Bound):
			t.Fatalf("%s: Serve does not return", what)
		}
	}
	home, away := gnetengine.New(), gnetengine.New()
	eng, _ := newEngine(t, core.Config{Backend: home, Threads: 2}, echoing(""))
	serves("an engine of another bridge", away, eng, gnetengine.ErrNoThread)
	other, _ := newEngine(t, core.Config{Backend: away}, echoing(""))
	serves("in a bridge that has one", away, eng, gnetengine.ErrOtherEngine)
	other.Detach()
	serves("a detached engine", away, other, gnetengine.ErrNoThread)
	eng.Detach()
	serves("a detached engine in its bridge", home, eng, gnetengine.ErrNoThread)

	for e, b := range map[*core.Engine]*gnetengine.Bridge{eng: home, other: away} {
		if err := e.Attach(b); err != nil {
			t.Fatal(err)
		}
		serves("its own engine, to be stopped", b, e, nil)
		wait(t, e.Done(), "the engine does not end")
		serves("an engine that has ended", b, e, nil)
	}
}

// TestAttachToAnEventLoopThatHasEnded is refused, and changes nothing: Lost stays
// closed.
func TestAttachToAnEventLoopThatHasEnded(t *testing.T) {
	for _, wrapped := range []bool{true, false} {
		t.Run(fmt.Sprint("wrapped=", wrapped), func(t *testing.T) {
			b := gnetengine.New()
			loops := make(chan gnet.EventLoop, 1)
			var h gnet.EventHandler = &program{onOpen: func(c gnet.Conn) ([]byte, gnet.Action) {
				loops <- c.EventLoop()
				return nil, gnet.None
			}}
			if wrapped {
				h = b.Wrap(h)
			}
			eng, vh := newEngine(t, core.Config{Backend: b}, echoing("127.0.0.1:0"))
			p := run(t, h)
			p.dial()
			el := <-loops
			if wrapped {
				webSocket(t, vh.Addr())
			}
			p.stop()
			if wrapped {
				wait(t, b.Lost(), "the end of gnet is not noticed")
			}
			was := b.Lost()
			if err := b.Attach(0, el); !errors.Is(err, gnetengine.ErrHostGone) {
				t.Errorf("Attach: %v", err)
			}
			if b.Lost() != was {
				t.Error("Lost is another channel")
			}
			if gone := b.Err() != nil; gone != wrapped {
				t.Errorf("Err: %v", b.Err())
			}
			eng.Detach()
			if err := eng.Attach(poll.Backend()); err != nil {
				t.Fatal(err)
			}
			ran := goes(func() error { return eng.Run(context.Background()) })
			webSocket(t, vh.Addr())
			shutdown(t, eng)
			if err := <-ran; err != nil {
				t.Error(err)
			}
		})
	}
}
