//go:build linux || darwin || freebsd

package evioloop

import (
	"io"
	"time"

	"github.com/tidwall/evio"
)

// Wrap returns the application's events with the bridge among them, for
// evio.Serve with Addr as its last address. The application's callbacks are
// called as ever, for its own connections only; Serving sees its own addresses
// only. Connections that evio closes before it has announced them, without
// Opened, are left out of Closed too. A nil Events.Tick stays nil: no ticker is
// started.
//
// Bridge.Serve is to be preferred, since it knows when evio.Serve has returned. Here
// the bridge is not told: the end of the server is seen by Lost and Err only, when
// core was turned by it, and until another server takes the bridge, Start and
// Shutdown look for it on the bridge's socket.
//
// In a callback of these events use Engine.Stop, and not Engine.Shutdown: that waits
// for turns of core, which come after the callback on the same goroutine, so that
// nothing moves until its context ends. Any goroutine.
func (b *Bridge) Wrap(events evio.Events) evio.Events {
	return b.wrap(events).events()
}

func (b *Bridge) wrap(events evio.Events) *wrapped { return &wrapped{b: b, user: events} }

func (w *wrapped) events() evio.Events {
	events := w.user
	events.Serving = func(s evio.Server) evio.Action {
		w.settled.begin()
		return w.serving(s)
	}
	events.Opened = func(c evio.Conn) ([]byte, evio.Options, evio.Action) {
		out, opts, action := w.opened(c)
		return out, opts, w.end(action)
	}
	events.Closed = func(c evio.Conn, err error) evio.Action { return w.end(w.closed(c, err)) }
	events.Detached = func(c evio.Conn, rwc io.ReadWriteCloser) evio.Action {
		return w.end(w.detached(c, rwc))
	}
	events.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
		out, action := w.data(c, in)
		return out, w.end(action)
	}
	if tick := w.user.Tick; tick != nil {
		events.Tick = func() (time.Duration, evio.Action) {
			delay, action := tick()
			return delay, w.end(action)
		}
	}
	return events
}

// end returns what evio is told instead of action: Shutdown if that was asked for
// from outside. A connection that is to be closed or detached is not hindered.
func (w *wrapped) end(action evio.Action) evio.Action {
	if action == evio.None && w.server.ending.Load() {
		action = evio.Shutdown
	}
	if action == evio.Shutdown {
		w.server.heard.Store(true)
	}
	return w.settled.end(action)
}

// wrapped is the application's events with the bridge's.
type wrapped struct {
	b       *Bridge
	user    evio.Events
	server  *server
	told    bool // somebody tells when evio.Serve has returned
	settled settled

	refused error // by the bridge, before anything was served
}

// pier is evio's end of a connection of the bridge, as its context.
type pier struct {
	got  []byte // of the nonce
	span *span  // once it was recognised
}

func (w *wrapped) serving(s evio.Server) evio.Action {
	server, err := w.b.begin(w, s.Addrs)
	if err != nil {
		w.refused = err
		if err != ErrServing && err != ErrWrapped { // else it is lost only to this server
			w.b.lose(err)
		}
		return evio.Shutdown
	}
	w.server = server
	if err := w.ask(s); err != nil {
		w.b.lose(err)
		return evio.Shutdown
	}
	if err := w.b.Start(); err != nil {
		w.refused = err
		w.b.lose(err)
		return evio.Shutdown
	}
	return evio.None
}

// ask calls the application's Serving. Its error is why nothing is to be served.
func (w *wrapped) ask(s evio.Server) error {
	if w.user.Serving == nil {
		return nil
	}
	b, server := w.b, w.server
	s.Addrs = s.Addrs[:server.index:server.index]
	b.mu.Lock()
	server.asking = w.settled.goroutine
	b.mu.Unlock()
	action := w.user.Serving(s)
	b.mu.Lock()
	server.asking = nil
	twice := server.twice
	b.mu.Unlock()
	switch {
	case twice:
		w.refused = ErrWrapped
		return ErrWrapped
	case action == evio.Shutdown:
		return ErrServerEnded
	}
	return nil
}

// mine reports whether a connection is one of the bridge's.
func (w *wrapped) mine(c evio.Conn) bool { return c.AddrIndex() == w.server.index }

func (w *wrapped) opened(c evio.Conn) ([]byte, evio.Options, evio.Action) {
	if w.mine(c) {
		c.SetContext(&pier{})
		return nil, evio.Options{ReuseInputBuffer: true}, evio.None
	}
	if w.user.Opened == nil {
		return nil, evio.Options{}, evio.None
	}
	return w.user.Opened(c)
}

func (w *wrapped) closed(c evio.Conn, err error) evio.Action {
	switch {
	case c.LocalAddr() == nil: // never opened
		return evio.None
	case w.mine(c):
		if p, _ := c.Context().(*pier); p != nil && p.span != nil {
			p.span.end(ErrServerEnded)
		}
		return evio.None
	case given(c) != nil || w.user.Closed == nil:
		return evio.None
	}
	return w.user.Closed(c, err)
}

func (w *wrapped) data(c evio.Conn, in []byte) ([]byte, evio.Action) {
	switch {
	case w.mine(c):
		return nil, w.bridge(c, in)
	case w.user.Data == nil:
		return nil, evio.None
	}
	return w.user.Data(c, in)
}

// bridge handles what came over a connection of the bridge. It never sends, so
// that nothing of evio's output is involved.
func (w *wrapped) bridge(c evio.Conn, in []byte) evio.Action {
	p, _ := c.Context().(*pier)
	if p == nil {
		return evio.Close
	}
	if p.span == nil {
		if n := len(nonce{}) - len(p.got); len(in) > n {
			p.got, in = append(p.got, in[:n]...), in[n:]
		} else {
			p.got, in = append(p.got, in...), nil
		}
		if len(p.got) < len(nonce{}) {
			return evio.None
		}
		if !w.recognise(c, p) {
			if w.server.ending.Load() {
				return evio.Shutdown // and not Close, which end would leave
			}
			return evio.Close
		}
	}
	if len(in) > 0 {
		p.span.turn()
	}
	if w.b.lane != nil {
		w.b.lane.inbox.empty()
	}
	if w.b.lane != nil && w.b.lane.ended() {
		return evio.Shutdown
	}
	return evio.None // or Shutdown: see end
}

// recognise looks for the span that a connection is the other end of.
func (w *wrapped) recognise(c evio.Conn, p *pier) bool {
	b := w.b
	b.mu.Lock()
	sp := b.spans[nonce(p.got)]
	b.mu.Unlock()
	if sp == nil {
		return false
	}
	p.span, p.got = sp, nil
	if err := sp.open(c); err != nil {
		sp.end(err)
		if b.lane != nil {
			w.refused = err
			w.server.ending.Store(true) // core is not turned: there is nothing to serve
		}
		return false
	}
	return true
}

func (w *wrapped) detached(c evio.Conn, rwc io.ReadWriteCloser) evio.Action {
	if g := given(c); g != nil {
		w.b.receive(c, rwc, g)
		return evio.None
	}
	if w.user.Detached != nil {
		return w.user.Detached(c, rwc)
	}
	// Without a Detached evio closes.
	rwc.Close()
	if w.user.Closed != nil {
		return w.user.Closed(c, nil)
	}
	return evio.None
}
