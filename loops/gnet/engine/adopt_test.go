package gnetengine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/panjf2000/gnet/v2"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	gnetengine "anyloop/loops/gnet/engine"
)

// hand is a way to give core a connection, and the action that ends the callback.
type hand struct {
	give func(b *gnetengine.Bridge, c gnet.Conn, vh *core.VirtualHost) error
	act  gnet.Action
}

var hands = map[string]hand{
	"adopt":  {(*gnetengine.Bridge).Adopt, gnet.Close},
	"stream": {(*gnetengine.Bridge).Stream, gnet.None},
}

// mixed is a program whose connections become core's if they begin with GET.
func mixed(t *testing.T, b *gnetengine.Bridge, vh *core.VirtualHost, h hand) *program {
	p := &program{}
	p.onTraffic = func(c gnet.Conn) gnet.Action {
		first, err := c.Peek(-1)
		if err != nil {
			t.Error(err)
		}
		if strings.HasPrefix(string(first), "GET ") {
			if err := h.give(b, c, vh); err != nil {
				t.Error(err)
			}
			return h.act
		}
		c.Write(first)
		c.Discard(-1)
		return gnet.None
	}
	return p
}

// TestOnePort: the program's connections and WebSockets on gnet's one port, over one
// and several event loops and service threads.
func TestOnePort(t *testing.T) {
	for name, h := range hands {
		for _, n := range []struct{ threads, loops int }{{1, 1}, {2, 2}, {3, 2}, {1, 3}} {
			if name == "stream" && n.threads < n.loops {
				continue // refused: see TestStreamNeedsAThreadThere
			}
			t.Run(fmt.Sprintf("%s/threads=%d,loops=%d", name, n.threads, n.loops), func(t *testing.T) {
				b := gnetengine.New()
				eng, vh := newEngine(t, core.Config{Backend: b, Threads: n.threads}, echoing(""))
				prog := mixed(t, b, vh, h)
				p := run(t, b.Wrap(prog), gnet.WithNumEventLoop(n.loops))
				up := p.dial()
				pong(t, up, "the program first")
				for range 2 * n.loops {
					ws := webSocket(t, "unix:"+p.path)
					pong(t, p.dial(), "and the program")
					echo(t, ws, "still")
					ws.Close()
				}
				until(t, "core's connections are gone", func() bool { eng.Wake(); return eng.Stats().Conns == 0 })
				shutdown(t, eng)
				pong(t, up, "the program last")
				if n := prog.closed.Load(); n != 0 {
					t.Errorf("the program heard of %d ends", n)
				}
			})
		}
	}
}

// TestHandOverInOnOpen: before anything has been received, with bytes to be sent
// first.
func TestHandOverInOnOpen(t *testing.T) {
	for name, h := range hands {
		t.Run(name, func(t *testing.T) {
			b := gnetengine.New()
			eng, vh := newEngine(t, core.Config{Backend: b}, echoing(""))
			prog := &program{}
			prog.onOpen = func(c gnet.Conn) ([]byte, gnet.Action) {
				if err := h.give(b, c, vh); err != nil {
					t.Error(err)
				}
				if err := h.give(b, c, vh); !errors.Is(err, gnetengine.ErrTaken) {
					t.Errorf("a second time: %v", err)
				}
				return []byte("hello"), h.act
			}
			p := run(t, b.Wrap(prog))
			c := p.dial()
			hello := make([]byte, 5)
			if n, err := c.Read(hello); err != nil || string(hello[:n]) != "hello" {
				t.Errorf("%q %v", hello[:n], err)
			}
			if err := c.Upgrade(""); err != nil {
				t.Fatal(err)
			}
			echo(t, c, "core's")
			shutdown(t, eng)
		})
	}
}

// TestRefusals: a connection that core does not take stays the program's.
func TestRefusals(t *testing.T) {
	for name, h := range hands {
		t.Run(name, func(t *testing.T) {
			b, other := gnetengine.New(), gnetengine.New()
			eng, vh := newEngine(t, core.Config{Backend: b, Limits: core.Limits{MaxConns: 1}}, echoing(""))
			stranger, theirs := newEngine(t, core.Config{Backend: other}, echoing(""))
			prog := &program{}
			errs := make(chan error, 4)
			prog.onTraffic = func(c gnet.Conn) gnet.Action {
				p, _ := c.Next(-1)
				switch string(p) {
				case "other":
					errs <- h.give(b, c, theirs)
				case "unsent":
					for c.OutboundBuffered() == 0 {
						c.Write(make([]byte, 1<<20))
					}
					errs <- h.give(b, c, vh)
					return gnet.Close
				case "take":
					err := h.give(b, c, vh)
					errs <- err
					if err == nil {
						return h.act
					}
				}
				c.Write([]byte("mine"))
				return gnet.None
			}
			p := run(t, b.Wrap(prog))
			ask := func(c interface {
				Read([]byte) (int, error)
				Write([]byte) (int, error)
			}, what string, want error) {
				t.Helper()
				c.Write([]byte(what))
				if err := <-errs; !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			}
			mine := func(c interface{ Read([]byte) (int, error) }) {
				t.Helper()
				got := make([]byte, 4)
				if n, err := c.Read(got); err != nil || string(got[:n]) != "mine" {
					t.Errorf("the program says %q %v", got[:n], err)
				}
			}
			c := p.dial()
			ask(c, "other", gnetengine.ErrOtherEngine)
			mine(c)
			ask(p.dial(), "unsent", gnetengine.ErrUnsent)
			ask(p.dial(), "take", nil)
			full := p.dial()
			full.Write([]byte("take"))
			var limit *core.LimitError
			if err := <-errs; !errors.As(err, &limit) || limit.Limit != "MaxConns" {
				t.Errorf("beyond MaxConns: %v", err)
			}
			mine(full)
			shutdown(t, eng)
			ask(full, "take", core.ErrStopped)
			mine(full)
			stranger.Detach() // nobody turns it
		})
	}
}

// TestStreamNeedsAThreadThere: a connection of gnet's cannot leave its event loop.
func TestStreamNeedsAThreadThere(t *testing.T) {
	b := gnetengine.New()
	eng, vh := newEngine(t, core.Config{Backend: b}, echoing(""))
	errs := make(chan error, 3)
	prog := &program{onTraffic: func(c gnet.Conn) gnet.Action {
		c.Discard(-1)
		errs <- b.Stream(c, vh)
		return gnet.Close
	}}
	p := run(t, b.Wrap(prog), gnet.WithNumEventLoop(3))
	until(t, "the event loops are found, and the anchors gone", func() bool {
		return prog.ticks.Load() > 0 && gnetengine.Settled(b) && p.eng.CountConnections() == 0
	})
	refused := 0
	var conns []*client.Conn
	for i := range 3 {
		conns = append(conns, p.dial())
		until(t, "it is open, and counts", func() bool { return prog.opened.Load() == int32(i+1) && p.eng.CountConnections() == i+1 })
	}
	for _, c := range conns {
		c.Write([]byte("x"))
		if err := <-errs; errors.Is(err, gnetengine.ErrNoThread) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused == 0 {
		t.Error("none of three event loops is without the one thread")
	}
	shutdown(t, eng)
}

// TestLostTellsAfterStreams: gnet ends with a stream open: its handler hears why,
// and Lost is closed when that is done.
func TestLostTellsAfterStreams(t *testing.T) {
	b := gnetengine.New()
	why := make(chan error, 1)
	vhost := core.VHost{Protocols: []core.Protocol{{Name: "x", WS: func(c *core.Conn) core.WSHandler {
		return &closing{core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })(c), why}
	}}}}
	eng, vh := newEngine(t, core.Config{Backend: b}, vhost)
	prog := mixed(t, b, vh, hands["stream"])
	p := run(t, b.Wrap(prog))
	webSocket(t, "unix:"+p.path)
	lost := b.Lost()
	p.stop()
	wait(t, lost, "the end of gnet is not noticed")
	if err := <-why; !errors.Is(err, gnetengine.ErrHostGone) {
		t.Errorf("the handler heard of %v", err)
	}
	if n := eng.Thread(0).Stats().Misuses; n != 0 {
		t.Errorf("%d misuses", n)
	}
	eng.Detach()
}

// closing tells how its conn ended.
type closing struct {
	core.WSHandler
	why chan error
}

func (h *closing) Closed(_ *core.Conn, err error) { h.why <- err }

// TestNoVHost: what Engine.VHost returns for a name that no vhost has is an error, and
// the connection stays the program's.
func TestNoVHost(t *testing.T) {
	for name, h := range hands {
		t.Run(name, func(t *testing.T) {
			b := gnetengine.New()
			eng, _ := newEngine(t, core.Config{Backend: b}, echoing(""))
			errs := make(chan error, 1)
			prog := &program{onTraffic: func(c gnet.Conn) (act gnet.Action) {
				defer func() {
					if v := recover(); v != nil {
						errs <- fmt.Errorf("panic: %v", v)
						act = gnet.Close
					}
				}()
				p, _ := c.Next(-1)
				err := h.give(b, c, eng.VHost("none of this name"))
				c.Write(p)
				errs <- err
				return gnet.None
			}}
			p := run(t, b.Wrap(prog))
			c := p.dial()
			c.Write([]byte("mine"))
			if err := <-errs; !errors.Is(err, core.ErrNoVHost) {
				t.Errorf("%v", err)
			}
			got := make([]byte, 4)
			if n, err := c.Read(got); err != nil || string(got[:n]) != "mine" {
				t.Errorf("the program says %q %v", got[:n], err)
			}
			shutdown(t, eng)
		})
	}
}
