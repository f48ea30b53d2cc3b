//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"anyloop/core/sys"
)

// host is one running gnet engine.
type host struct {
	b       *Bridge
	wrapped bool // its handler is ours: its end is announced
	loops   map[gnet.EventLoop]*hostLoop
	order   []*hostLoop   // as they were found
	settled bool          // all that could be found are
	known   atomic.Bool   // settled, for who holds no lock
	down    bool          // no turn begins any more
	gone    chan struct{} // closed with down
	over    chan struct{} // closed when nothing of gnet touches core any more
	streams int           // connections that gnet has not closed yet
	land    func() (gnet.EventLoop, net.Conn, error)
	err     error
}

func newHost(b *Bridge, wrapped bool) *host {
	return &host{b: b, wrapped: wrapped, loops: map[gnet.EventLoop]*hostLoop{}, gone: make(chan struct{}), over: make(chan struct{})}
}

// loop returns what stands for el, making it. The bridge is locked.
func (h *host) loop(el gnet.EventLoop) *hostLoop {
	hl := h.loops[el]
	if hl == nil {
		hl = &hostLoop{h: h, el: el}
		h.loops[el] = hl
		h.order = append(h.order, hl)
	}
	return hl
}

// end is called when gnet ends, or is found to have ended. When it returns, no
// turn runs and none will.
func (h *host) end(why error) {
	b := h.b
	b.mu.Lock()
	if h.down {
		b.mu.Unlock()
		return
	}
	h.down, h.err = true, why
	close(h.gone)
	loops := h.order
	b.mu.Unlock()
	for _, hl := range loops {
		hl.end()
	}
	b.mu.Lock()
	for _, st := range b.seats {
		if st != nil && st.on != nil && st.on.h == h {
			st.w.Lost()
		}
	}
	b.announce(h)
	b.mu.Unlock()
}

// announce closes lost once nothing of h touches core any more: gnet still has
// to close its streams. The bridge is locked.
func (b *Bridge) announce(h *host) {
	if !h.down || h.streams > 0 || over(h.over) {
		return
	}
	close(h.over)
	if b.home == h {
		b.home = nil
	}
	if b.err == nil {
		b.err = h.err
		close(b.lost)
	}
}

// hostLoop is one event loop of gnet.
//
// gnet runs all jobs that are queued before it looks at its connections again,
// also those that are queued meanwhile. Were each service thread to queue its next
// turn by itself, two busy ones on an event loop would keep it there for ever. So
// at most one turn is queued at a time, and the next only when that has ended,
// from another goroutine.
type hostLoop struct {
	h  *host
	el executor
	st *seat // StreamLoops: the one thread that lives here

	mu      sync.Mutex // held while something is given to gnet, which is nothing after end
	ended   bool
	busy    bool // a turn is queued or runs
	waiting []*turn
	queued  uint64 // turns so far
	probe   *time.Timer

	domain sync.Mutex // held by who is inside core, which is nobody after end but gnet closing streams
	closed bool
	depth  int // of entries on the loop's goroutine

	io sys.IO // system calls on its connections
}

// executor is what is needed of a gnet.EventLoop.
type executor interface {
	Execute(context.Context, gnet.Runnable) error
	Close(gnet.Conn) error
}

// turn is a job for gnet: one turn of one service thread.
type turn struct {
	hl  *hostLoop
	st  *seat
	job func()
}

// post queues a turn. It does not wait. Any goroutine.
func (hl *hostLoop) post(t *turn) error {
	hl.mu.Lock()
	defer hl.mu.Unlock()
	if hl.ended {
		return ErrHostGone
	}
	if hl.busy {
		hl.waiting = append(hl.waiting, t)
		return nil
	}
	hl.busy = true
	return hl.execute(t)
}

// execute gives gnet a turn. hl.mu is held.
func (hl *hostLoop) execute(t *turn) error {
	hl.queued++
	if err := hl.el.Execute(context.Background(), t); err != nil {
		return fmt.Errorf("%w: %w", ErrHostGone, err)
	}
	return nil
}

// Run implements gnet.Runnable. gnet's queue keeps the last job that it ran, which
// must not keep an engine that is over.
func (t *turn) Run(context.Context) error {
	hl, st, job := t.hl, t.st, t.job
	t.st, t.job = nil, nil
	if hl.enter() {
		job() // which may have t queued again
		st.check()
		hl.leave()
	}
	hl.mu.Lock()
	defer hl.mu.Unlock()
	if len(hl.waiting) == 0 || hl.ended {
		hl.busy = false
		return nil
	}
	next := hl.waiting[0]
	hl.waiting = slices.Delete(hl.waiting, 0, 1)
	go hl.hand(next)
	return nil
}

// hand queues the turn that has waited for another.
func (hl *hostLoop) hand(t *turn) {
	hl.mu.Lock()
	if hl.ended {
		hl.mu.Unlock()
		return
	}
	err := hl.execute(t)
	hl.mu.Unlock()
	if err != nil {
		hl.h.end(err)
	}
}

// enter begins what touches service threads; false after the end. gnet's calls
// nest: core may close a connection, and hear of it at once. The loop's
// goroutine only.
func (hl *hostLoop) enter() bool {
	if hl.depth == 0 {
		hl.domain.Lock()
		if hl.closed {
			hl.domain.Unlock()
			return false
		}
	}
	hl.depth++
	return true
}

// enterLast is enter for what gnet closes, also while it ends.
func (hl *hostLoop) enterLast() {
	if hl.depth == 0 {
		hl.domain.Lock()
	}
	hl.depth++
}

func (hl *hostLoop) leave() {
	if hl.depth--; hl.depth == 0 {
		hl.domain.Unlock()
	}
}

// wait waits for who is inside.
func (hl *hostLoop) wait() {
	hl.domain.Lock()
	defer hl.domain.Unlock()
}

// end makes what is queued do nothing, and waits for the turn that runs.
func (hl *hostLoop) end() {
	hl.mu.Lock()
	hl.ended = true
	hl.waiting = nil
	if hl.probe != nil {
		hl.probe.Stop()
	}
	hl.mu.Unlock()
	hl.domain.Lock()
	hl.closed = true
	hl.domain.Unlock()
}

const probeEvery = time.Second

// startProbe watches over an engine that does not tell us of its end: what is
// queued behind its shutdown never runs, so a turn that does not begin is asked
// about. The question itself is refused, if gnet has ended.
func (hl *hostLoop) startProbe() {
	seen := uint64(0)
	hl.mu.Lock()
	defer hl.mu.Unlock()
	hl.probe = time.AfterFunc(probeEvery, func() {
		hl.mu.Lock()
		if hl.ended {
			hl.mu.Unlock()
			return
		}
		var err error
		if hl.busy && hl.queued == seen {
			err = hl.el.Execute(context.Background(), nothing)
		}
		seen = hl.queued
		if err == nil {
			hl.probe.Reset(probeEvery)
		}
		hl.mu.Unlock()
		if err != nil {
			hl.h.end(fmt.Errorf("%w: %w", ErrHostGone, err))
		}
	})
}

var nothing = gnet.RunnableFunc(func(context.Context) error { return nil })

func (hl *hostLoop) stopProbe() {
	hl.mu.Lock()
	hl.ended = true
	hl.probe.Stop()
	hl.mu.Unlock()
}
