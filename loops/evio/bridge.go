//go:build linux || darwin || freebsd

package evioloop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"anyloop/core/loop"
	"anyloop/loops/poll"
)

// Bridge is a backend for core.Config: the loops of one engine, turned by an evio
// server. It serves one engine and is in one server at a time: a second engine gets
// ErrTaken until the first has ended or was detached, a second server ErrServing.
type Bridge struct {
	opts options
	path string // of the socket, in a folder of its own
	sets *poll.Loops
	lane *lane // whose bridge it is; nil: the application's

	mu     sync.Mutex
	seats  []*seat       // by service thread
	open   int           // of them, those with a loop
	left   chan struct{} // closed while open is 0
	spans  map[nonce]*span
	server *server // that serves now
	lost   chan struct{}
	err    error
	closed bool
	next   atomic.Uint32 // spreads what is adopted
}

// New returns a Bridge. It makes a folder with mode 0700 for the bridge's
// socket, which Close removes.
func New(opts ...Option) (*Bridge, error) {
	b := &Bridge{opts: settle(opts), sets: poll.Backend(poll.Nested()), spans: map[nonce]*span{},
		lost: make(chan struct{}), left: make(chan struct{})}
	close(b.left)
	dir, err := os.MkdirTemp(b.opts.dir, "anyloop-")
	if err != nil {
		return nil, fmt.Errorf("evioloop: %w", err)
	}
	b.path = filepath.Join(dir, "s")
	if len(b.path) > maxPath || strings.ContainsRune(b.path, '?') || strings.Contains(b.path, "://") {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("evioloop: %s cannot be the address of a socket; see WithDir", b.path)
	}
	return b, nil
}

// maxPath is the longest name of a unix socket that every system takes.
const maxPath = 100

// Addr is the address that evio.Serve must get as the last one, so that
// Conn.AddrIndex of the application's own connections stays what it was. Any
// goroutine.
func (b *Bridge) Addr() string { return "unix://" + b.path }

// Close removes the private folder. Call it when the server has ended; a Bridge
// that is closed is in no server again. While Bridge.Serve serves, the folder stays,
// and Serve removes it at its end. The end of a server that was started by evio.Serve
// is not seen: its folder is removed at once, and Shutdown cannot reach it any more.
// Any goroutine.
func (b *Bridge) Close() error {
	b.mu.Lock()
	b.closed = true
	serves := b.server != nil && b.server.told
	b.mu.Unlock()
	if serves {
		return nil
	}
	return b.sweep()
}

// sweep removes the private folder.
func (b *Bridge) sweep() error { return os.RemoveAll(filepath.Dir(b.path)) }

// Info implements loop.Backend.
func (b *Bridge) Info() loop.Info {
	return loop.Info{Name: "evio/bridge", Tier: loop.Nested, Foreign: true}
}

// Open implements loop.Backend: ErrClosed, ErrTaken, or what the system says.
func (b *Bridge) Open(thread int, s loop.Service) (loop.Loop, error) {
	st, err := b.sit(thread, s)
	if err != nil {
		return nil, err
	}
	return st, nil
}

// sit makes the loop of a service thread.
func (b *Bridge) sit(thread int, s loop.Service) (*seat, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, ErrClosed
	case thread < len(b.seats) && b.seats[thread] != nil && !b.seats[thread].closed:
		return nil, ErrTaken // that engine would never be turned again
	}
	lp, err := b.sets.Open(thread, s)
	if err != nil {
		return nil, fmt.Errorf("evioloop: thread %d: %w", thread, err)
	}
	st := &seat{Loop: lp, b: b, s: s, set: b.sets.Thread(thread)}
	for len(b.seats) <= thread {
		b.seats = append(b.seats, nil)
	}
	b.seats[thread] = st
	if b.open++; b.open == 1 {
		b.left = make(chan struct{})
	}
	return st, nil
}

// seat is the loop of one service thread: a set of loops/poll, and, while an evio
// server turns it, the connection through which that happens.
type seat struct {
	loop.Loop // the set, as core uses it
	b         *Bridge
	s         loop.Service
	set       *poll.Loop
	span      *span // guarded by Bridge.mu
	closed    bool
}

// Rearm implements loop.Rearmer.
func (st *seat) Rearm() { st.Loop.(loop.Rearmer).Rearm() }

// Close implements loop.Closer: core has left this loop.
func (st *seat) Close() error {
	b := st.b
	b.mu.Lock()
	sp := st.span
	if st.closed {
		b.mu.Unlock()
		return nil
	}
	st.closed = true
	b.mu.Unlock()
	if sp != nil {
		sp.end(nil)
	}
	err := st.set.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, s := range b.seats {
		if s == st {
			b.seats[i] = nil
		}
	}
	if sp != nil && sp.inside {
		sp.leaves = true // when this turn is over
		return err
	}
	b.leave()
	return err
}

// leave counts a loop out; Bridge.mu is held.
func (b *Bridge) leave() {
	if b.open--; b.open == 0 {
		close(b.left)
	}
}

// Left returns a channel that is closed while no engine is in the bridge: before
// one has come, and after it has ended or was detached. Any goroutine.
func (b *Bridge) Left() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left
}

// Lost returns a channel that is closed when core is not turned any more because
// the evio server has ended, or would not have the bridge; Err tells why. It is not
// closed if Serve fails before evio serves, on a port that is in use for example, nor
// if evio.Serve ends while it turns nothing, after Stop for example: look at what
// they return. (Bridge.Serve tells the latter, if an engine is in the bridge.) The
// engine is then as if its loop slept for ever: nobody is inside, so that
// Engine.Detach and Attach may be called from anywhere, to go on in another
// backend. Or the bridge is given to another server, which turns the engine
// again; then Lost returns a new channel. Any goroutine.
func (b *Bridge) Lost() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// Err returns why Lost's channel is closed, nil while it is not. Any goroutine.
func (b *Bridge) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// lose notes that core is not turned any more; the first cause wins.
func (b *Bridge) lose(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loses(err)
}

// loses is lose with Bridge.mu held.
func (b *Bridge) loses(err error) {
	if b.err == nil {
		b.err = err
		close(b.lost)
	}
}

// Start has the evio server turn the loops that it does not turn yet: those of an
// engine that core.New or Engine.Attach has put into the bridge while the server
// served already. Call it when that has returned. Loops that are there when the
// server starts serving need no Start. ErrNotServing before that, and if nobody
// listens on the bridge's socket any more. Any goroutine.
func (b *Bridge) Start() error {
	b.mu.Lock()
	if b.server == nil {
		b.mu.Unlock()
		return ErrNotServing
	}
	var idle []*seat
	for _, st := range b.seats {
		if st != nil && st.span == nil && !st.closed {
			idle = append(idle, st)
		}
	}
	b.mu.Unlock()
	for _, st := range idle {
		if _, err := b.connect(st); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the turning, and evio serves on without core: when it returns, no
// goroutine of evio's is inside the engine, and Engine.Detach may be called from
// here. Start begins it again. Any goroutine, but not inside a callback of the
// engine, where Detach needs no Stop.
func (b *Bridge) Stop() {
	b.mu.Lock()
	var all []*span
	for _, sp := range b.spans {
		all = append(all, sp)
	}
	b.mu.Unlock()
	for _, sp := range all {
		sp.end(nil)
		sp.enter(func() {}) // waits for a turn that runs already
	}
}
