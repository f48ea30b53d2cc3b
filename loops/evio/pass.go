//go:build linux || darwin || freebsd

package evioloop

import (
	"io"
	"sync"
)

// The kernel spreads the connections over the threads' servers and does not know
// who has room. So a thread without any offers what it gets to the others.

// passed is a connection that evio has let go of, before anything was read.
type passed struct {
	port *port
	peer string
	rwc  io.ReadWriteCloser
}

// pass offers a connection to the thread that comes i-th after this one.
func (ln *lane) pass(p *passed, i int) {
	if i >= len(ln.b.lanes) {
		p.rwc.Close()
		return
	}
	to := ln.b.lanes[(ln.thread+i)%len(ln.b.lanes)]
	if !to.inbox.put(p, func() { to.takeOver(ln, p, i) }) {
		ln.pass(p, i+1)
		return
	}
	to.bridge.mu.Lock()
	sp := to.seat.span
	to.bridge.mu.Unlock()
	if sp != nil {
		sp.ring()
	}
}

// takeOver serves a connection of a thread that is full, in this one's own loop,
// or has it passed on; evio's goroutine, between two turns.
func (ln *lane) takeOver(from *lane, p *passed, i int) {
	s := &stream{ln: ln, fd: -1}
	var err error
	if s.sc, err = p.port.accept(ln.thread, s, p.peer); err != nil {
		from.pass(p, i+1)
		return
	}
	s.steal(p.rwc)
}

// inbox holds what other threads have passed to one.
type inbox struct {
	mu     sync.Mutex
	items  []inboxItem
	closed bool
}

type inboxItem struct {
	p    *passed
	take func()
}

// put reports false if nobody will look any more. Any goroutine.
func (b *inbox) put(p *passed, take func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.items = append(b.items, inboxItem{p, take})
	}
	return !b.closed
}

// empty takes everything that is there.
func (b *inbox) empty() {
	b.mu.Lock()
	items := b.items
	b.items = nil
	b.mu.Unlock()
	for _, it := range items {
		it.take()
	}
}

// close drops everything that is there, and will be.
func (b *inbox) close() {
	b.mu.Lock()
	items := b.items
	b.items, b.closed = nil, true
	b.mu.Unlock()
	for _, it := range items {
		it.p.rwc.Close()
	}
}
