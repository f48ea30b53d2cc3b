package e2e

import (
	"sync"
	"sync/atomic"
	"testing"

	"anyloop/core"
)

// guard stands around every handler and watches what core promises about
// callbacks: those of one conn never overlap, its thread never changes, none
// comes after the handler's Closed, and Closed comes exactly once.
type guard struct {
	t     testing.TB
	mu    sync.Mutex
	conns map[*core.Conn]*watched
	lives []*life
}

// watched is one conn, whatever its handlers.
type watched struct {
	busy atomic.Bool
	home *core.Thread
}

// life is one handler value.
type life struct {
	kind   string
	conn   *core.Conn
	closed atomic.Int32
}

// vhost puts the guard around the handlers of a vhost.
func (g *guard) vhost(vh *core.VHost) {
	for i := range vh.Protocols {
		g.protocol(&vh.Protocols[i])
	}
	for i := range vh.Mounts {
		if mk := vh.Mounts[i].HTTP; mk != nil {
			vh.Mounts[i].HTTP = g.http(mk)
		}
	}
}

func (g *guard) protocol(p *core.Protocol) {
	if mk := p.WS; mk != nil {
		p.WS = g.ws(mk)
	}
	if mk := p.HTTP; mk != nil {
		p.HTTP = g.http(mk)
	}
	if mk := p.Raw; mk != nil {
		p.Raw = g.raw(mk)
	}
	if mk := p.File; mk != nil {
		p.File = func(c *core.Conn) core.FileHandler {
			defer g.enter(c, "File")()
			return &guardedFile{g, g.born("file", c), mk(c)}
		}
	}
}

// ws is also for what Dial is given.
func (g *guard) ws(mk func(*core.Conn) core.WSHandler) func(*core.Conn) core.WSHandler {
	return func(c *core.Conn) core.WSHandler {
		defer g.enter(c, "WS")()
		return &guardedWS{g, g.born("ws", c), mk(c)}
	}
}

func (g *guard) http(mk func(*core.Conn) core.HTTPHandler) func(*core.Conn) core.HTTPHandler {
	return func(c *core.Conn) core.HTTPHandler {
		defer g.enter(c, "HTTP")()
		return &guardedHTTP{g, g.born("http", c), mk(c)}
	}
}

func (g *guard) born(kind string, c *core.Conn) *life {
	l := &life{kind: kind, conn: c}
	g.mu.Lock()
	g.lives = append(g.lives, l)
	g.mu.Unlock()
	return l
}

// enter begins a callback of c; what it returns ends it.
func (g *guard) enter(c *core.Conn, what string) func() {
	g.mu.Lock()
	w := g.conns[c]
	if w == nil {
		w = &watched{home: c.Thread()}
		g.conns[c] = w
	}
	g.mu.Unlock()
	if w.home != c.Thread() {
		g.t.Errorf("%s: conn %d has moved from thread %d to %d", what, c.ID(), w.home.Index(), c.Thread().Index())
	}
	if !w.busy.CompareAndSwap(false, true) {
		g.t.Errorf("%s: two callbacks of conn %d at a time", what, c.ID())
		return func() {}
	}
	return func() { w.busy.Store(false) }
}

// in is enter for a callback of a handler.
func (g *guard) in(l *life, c *core.Conn, what string) func() {
	if c != l.conn {
		g.t.Errorf("%s: for conn %d, but the handler is that of %d", what, c.ID(), l.conn.ID())
	}
	if l.closed.Load() != 0 {
		g.t.Errorf("%s of a %s handler after its Closed", what, l.kind)
	}
	return g.enter(c, what)
}

// settled checks, after the engine's end, that every handler has had its Closed,
// or ConnectFailed instead.
func (g *guard) settled() {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.lives {
		if n := l.closed.Load(); n != 1 {
			g.t.Errorf("a %s handler of conn %d had %d Closed", l.kind, l.conn.ID(), n)
		}
	}
}

// threads returns how many conns each thread has had.
func (g *guard) threads() map[int]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := map[int]int{}
	for _, w := range g.conns {
		n[w.home.Index()]++
	}
	return n
}

func (g *guard) closed(l *life, h any, c *core.Conn, err error) {
	defer g.in(l, c, "Closed")()
	l.closed.Add(1)
	if h, ok := h.(core.ClosedHandler); ok {
		h.Closed(c, err)
	}
}

// The wrappers have every optional method; where the handler lacks one, they do
// what core does without it.

type guardedWS struct {
	g *guard
	l *life
	h core.WSHandler
}

func (w *guardedWS) Receive(c *core.Conn, f core.Fragment) error {
	defer w.g.in(w.l, c, "Receive")()
	return w.h.Receive(c, f)
}

func (w *guardedWS) Writable(c *core.Conn, out *core.WSWriter) error {
	defer w.g.in(w.l, c, "Writable")()
	return w.h.Writable(c, out)
}

func (w *guardedWS) Opened(c *core.Conn, r *core.Request) error {
	defer w.g.in(w.l, c, "Opened")()
	if h, ok := w.h.(core.WSOpener); ok {
		return h.Opened(c, r)
	}
	return nil
}

func (w *guardedWS) Connected(c *core.Conn, r *core.Response) error {
	defer w.g.in(w.l, c, "Connected")()
	if h, ok := w.h.(core.Connector); ok {
		return h.Connected(c, r)
	}
	return nil
}

// ConnectFailed is the end of a handler that has not been Connected.
func (w *guardedWS) ConnectFailed(c *core.Conn, err error) {
	defer w.g.in(w.l, c, "ConnectFailed")()
	w.l.closed.Add(1)
	if h, ok := w.h.(core.ConnectFailer); ok {
		h.ConnectFailed(c, err)
	}
}

func (w *guardedWS) Pong(c *core.Conn, p []byte) error {
	defer w.g.in(w.l, c, "Pong")()
	if h, ok := w.h.(core.WSPonger); ok {
		return h.Pong(c, p)
	}
	return nil
}

func (w *guardedWS) PeerClose(c *core.Conn, code int, text string) error {
	defer w.g.in(w.l, c, "PeerClose")()
	if h, ok := w.h.(core.PeerCloser); ok {
		return h.PeerClose(c, code, text)
	}
	return nil
}

func (w *guardedWS) Timer(c *core.Conn) error {
	defer w.g.in(w.l, c, "Timer")()
	if h, ok := w.h.(core.TimerHandler); ok {
		return h.Timer(c)
	}
	return nil
}

func (w *guardedWS) Closed(c *core.Conn, err error) { w.g.closed(w.l, w.h, c, err) }

type guardedHTTP struct {
	g *guard
	l *life
	h core.HTTPHandler
}

func (w *guardedHTTP) Request(c *core.Conn, r *core.Request) error {
	defer w.g.in(w.l, c, "Request")()
	return w.h.Request(c, r)
}

func (w *guardedHTTP) Writable(c *core.Conn, out *core.HTTPWriter) error {
	defer w.g.in(w.l, c, "Writable")()
	return w.h.Writable(c, out)
}

func (w *guardedHTTP) Body(c *core.Conn, p []byte) error {
	defer w.g.in(w.l, c, "Body")()
	if h, ok := w.h.(core.BodyHandler); ok {
		return h.Body(c, p)
	}
	return nil
}

func (w *guardedHTTP) BodyDone(c *core.Conn) error {
	defer w.g.in(w.l, c, "BodyDone")()
	if h, ok := w.h.(core.BodyHandler); ok {
		return h.BodyDone(c)
	}
	return nil
}

func (w *guardedHTTP) Timer(c *core.Conn) error {
	defer w.g.in(w.l, c, "Timer")()
	if h, ok := w.h.(core.TimerHandler); ok {
		return h.Timer(c)
	}
	return nil
}

func (w *guardedHTTP) Closed(c *core.Conn, err error) { w.g.closed(w.l, w.h, c, err) }

type guardedFile struct {
	g *guard
	l *life
	h core.FileHandler
}

func (w *guardedFile) Readable(c *core.Conn, f *core.File) error {
	defer w.g.in(w.l, c, "Readable")()
	return w.h.Readable(c, f)
}

func (w *guardedFile) Writable(c *core.Conn, f *core.File) error {
	defer w.g.in(w.l, c, "Writable")()
	return w.h.Writable(c, f)
}

func (w *guardedFile) Closed(c *core.Conn, err error) { w.g.closed(w.l, w.h, c, err) }
