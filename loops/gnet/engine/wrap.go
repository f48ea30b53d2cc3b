//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// Wrap returns the handler to run gnet with. It passes everything on to h, and
// brings the bridge up on the event loops of each gnet engine that boots with it,
// one at a time. h may be nil: then gnet has no connections of its own, and those
// that come are closed.
//
// h does not see: the connections, some per event loop, by which the loops are
// found, which are closed again at once (gnet's CountConnections counts them until
// then); and the further life of a connection that Adopt or Stream has taken, its
// OnClose included, so what h keeps of a connection it drops when it hands it over.
//
// OnShutdown of h runs while the event loops still turn, so it may stop the
// core engine and wait for it, with a time limit. In OnBoot, OnOpen, OnTraffic and
// OnClose use Engine.Stop, not Engine.Shutdown: that would wait for an event loop
// which waits for it, until its context ends, and core cannot see that. An OnTick
// of h that asks for a delay of 0 or less, as gnet's own empty one does, is not
// called again: it would spin. Any goroutine.
func (b *Bridge) Wrap(h gnet.EventHandler) gnet.EventHandler {
	return &handler{b: b, h: h}
}

type handler struct {
	b    *Bridge
	h    gnet.EventHandler // nil: none
	host *host
	eng  gnet.Engine
	find atomic.Bool // the event loops are being looked for, or have been

	// An engine that listens for us alone is found by connecting to it.
	dial   func() (net.Conn, error)
	visits chan gnet.EventLoop
}

// taken is the context of a connection that core has a duplicate of.
type taken struct{}

// OnBoot implements gnet.EventHandler.
func (w *handler) OnBoot(e gnet.Engine) gnet.Action {
	b := w.b
	w.host, w.eng = newHost(b, true), e
	w.find.Store(false)
	b.mu.Lock()
	if b.home == nil || b.home.down {
		b.home = w.host
		b.allReady()
	}
	b.mu.Unlock()
	if w.h == nil {
		return gnet.None
	}
	return w.h.OnBoot(e)
}

// OnShutdown implements gnet.EventHandler.
func (w *handler) OnShutdown(e gnet.Engine) {
	if w.h != nil {
		w.h.OnShutdown(e)
	}
	w.host.end(ErrHostGone)
}

// OnOpen implements gnet.EventHandler.
func (w *handler) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	if a, ok := c.Context().(*anchor); ok {
		a.opened <- c.EventLoop()
		return nil, gnet.None
	}
	w.search()
	w.host.meet(c.EventLoop())
	switch {
	case w.dial != nil:
		c.SetContext(&anchor{})
		w.visits <- c.EventLoop()
		return nil, gnet.None
	case w.h == nil:
		return nil, gnet.Close
	}
	out, act := w.h.OnOpen(c)
	switch s := c.Context().(type) {
	case *stream:
		return nil, firstOf(act, s.opened(out))
	case taken:
		act = firstOf(act, gnet.Close)
	}
	return out, act
}

// meet notes the event loop of a connection while not all are known.
func (h *host) meet(el gnet.EventLoop) {
	if h.known.Load() {
		return
	}
	h.b.mu.Lock()
	h.loop(el)
	h.b.mu.Unlock()
}

// OnTraffic implements gnet.EventHandler.
func (w *handler) OnTraffic(c gnet.Conn) gnet.Action {
	switch s := c.Context().(type) {
	case *stream:
		return s.traffic()
	case *anchor:
		c.Discard(-1)
		return gnet.None
	case taken:
		return gnet.Close
	}
	if w.h == nil {
		return gnet.Close
	}
	act := w.h.OnTraffic(c)
	switch s := c.Context().(type) {
	case *stream:
		if act == gnet.None {
			act = s.traffic() // what has come already
		}
	case taken:
		act = firstOf(act, gnet.Close)
	}
	return act
}

// OnClose implements gnet.EventHandler.
func (w *handler) OnClose(c gnet.Conn, err error) gnet.Action {
	switch s := c.Context().(type) {
	case *stream:
		s.gone(err)
		return gnet.None
	case *anchor, taken:
		return gnet.None
	}
	if w.h == nil {
		return gnet.None
	}
	return w.h.OnClose(c, err)
}

// OnTick implements gnet.EventHandler.
func (w *handler) OnTick() (time.Duration, gnet.Action) {
	w.search()
	if w.h == nil {
		return never, gnet.None
	}
	delay, act := w.h.OnTick()
	if delay <= 0 {
		delay = never
	}
	return delay, act
}

// never is longer than a program runs.
const never = time.Duration(1<<62 - 1)

// firstOf returns the application's action if it has one.
func firstOf(app, ours gnet.Action) gnet.Action {
	if app != gnet.None {
		return app
	}
	return ours
}
