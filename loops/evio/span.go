//go:build linux || darwin || freebsd

package evioloop

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"

	"anyloop/loops/poll"
)

// nonce is what a bridge connection sends first, so that nobody else's passes
// for one.
type nonce [16]byte

// span is one connection of the bridge: our end of it, and what goes over it,
// which is a byte for each time that evio's goroutine is wanted.
type span struct {
	b    *Bridge
	seat *seat // whose loop is turned; nil: it only ends the server
	key  nonce
	c    *os.File
	jobs chan func()   // at most one
	rung atomic.Bool   // a byte is on its way
	read chan struct{} // closed when nobody reads our end any more
	gone chan struct{} // closed when nothing of it is left

	turning sync.Mutex // held while core is entered
	opening sync.Mutex // held while open begins the turning
	over    bool       // about to end; this and what follows: guarded by Bridge.mu
	known   bool       // evio has accepted it
	inside  bool       // core is inside a turn
	leaves  bool       // and leaves the loop in it
	watcher *poll.Watcher
	loop    uintptr // evio's loop that has accepted it, 0 before
}

// connect makes the connection for a seat. The server listens already, so that
// this never waits for it to accept; ErrNotServing if nobody does.
func (b *Bridge) connect(st *seat) (*span, error) {
	c, err := connected(b.path)
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED):
		return nil, fmt.Errorf("%w: %w", ErrNotServing, err)
	case err != nil:
		return nil, fmt.Errorf("evioloop: the bridge: %w", err)
	}
	sp := &span{b: b, seat: st, c: c, jobs: make(chan func(), 1), read: make(chan struct{}), gone: make(chan struct{})}
	rand.Read(sp.key[:])
	b.mu.Lock()
	if st != nil && (st.span != nil || st.closed) {
		b.mu.Unlock()
		c.Close()
		return nil, ErrServing
	}
	b.spans[sp.key] = sp
	if st != nil {
		st.span = sp
	}
	b.mu.Unlock()
	go sp.listen()
	if _, err := c.Write(sp.key[:]); err != nil {
		sp.end(nil)
		return nil, fmt.Errorf("evioloop: the bridge: %w", err)
	}
	return sp, nil
}

// connected returns a socket that blocks. One of package net would be watched by
// Go's poller, which a socket wakes up each time that its peer has read something:
// after every byte.
func connected(path string) (*os.File, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	for {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	return os.NewFile(uintptr(fd), "bridge"), nil
}

// hangUp closes c once nobody reads it any more.
func (sp *span) hangUp() {
	if raw, err := sp.c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
	<-sp.read
	sp.c.Close()
}

// listen waits for the end of the connection, which is that of the server: it
// sends nothing.
func (sp *span) listen() {
	var buf [1]byte
	for {
		if _, err := sp.c.Read(buf[:]); err != nil {
			break
		}
	}
	close(sp.read)
	sp.end(ErrServerEnded)
}

// end closes the connection. err is why core is not turned any more, nil if that
// was asked for. Only the first call counts; the others wait for it, since the next
// span may begin when any of them has returned. Any goroutine, also inside a turn:
// nothing here waits for evio's.
func (sp *span) end(err error) {
	b := sp.b
	b.mu.Lock()
	first := !sp.over
	sp.over = true
	b.mu.Unlock()
	if !first {
		<-sp.gone
		return
	}
	sp.hangUp()
	sp.opening.Lock()
	w := sp.watcher
	sp.opening.Unlock()
	switch {
	case w == nil:
	case err != nil:
		w.Lost()
	default:
		w.Stop()
	}
	b.mu.Lock()
	delete(b.spans, sp.key)
	if sp.seat != nil && sp.seat.span == sp {
		sp.seat.span = nil
	}
	b.mu.Unlock()
	if err != nil && sp.seat != nil {
		b.lose(err)
	}
	close(sp.gone)
}

// post has job run on evio's goroutine: the watcher's way to it. There is at most
// one, since the next comes only when this has run.
func (sp *span) post(job func()) error {
	sp.jobs <- job
	return sp.ring()
}

// ring makes evio call turn. It never waits: no more than one byte is on its way.
func (sp *span) ring() error {
	if !sp.rung.CompareAndSwap(false, true) {
		return nil
	}
	_, err := sp.c.Write([]byte{1})
	return err
}

// open begins the turning; evio's goroutine.
func (sp *span) open(c evio.Conn) error {
	loop, err := loopOf(c)
	if err == nil {
		_, err = fdOf(c)
	}
	if err != nil {
		if sp.b.lane != nil {
			return err // streams cannot do without
		}
		loop = 0 // no connection can be told to be on the same loop: see Adopt
	}
	sp.opening.Lock()
	defer sp.opening.Unlock()
	sp.b.mu.Lock()
	sp.known = true
	over := sp.over
	sp.b.mu.Unlock()
	if sp.seat == nil || over {
		return nil
	}
	w, err := sp.seat.set.Watch(sp.b.opts.pass, sp.post)
	if err != nil {
		return fmt.Errorf("evioloop: the bridge: %w", err)
	}
	sp.b.mu.Lock()
	sp.watcher, sp.loop = w, loop
	sp.b.mu.Unlock()
	return nil
}

// turn is what a byte asks for; evio's goroutine.
func (sp *span) turn() {
	sp.rung.Store(false) // before looking: what is posted from now on rings again
	select {
	case job := <-sp.jobs:
		sp.drive(job)
	default:
	}
}

// drive runs f, in which core is turned; evio's goroutine.
func (sp *span) drive(f func()) {
	b := sp.b
	sp.turning.Lock()
	b.mu.Lock()
	sp.inside = true
	b.mu.Unlock()
	f()
	b.mu.Lock()
	sp.inside = false
	if sp.leaves {
		sp.leaves = false
		b.leave()
	}
	b.mu.Unlock()
	sp.turning.Unlock()
}

// enter runs f as the driver of the span's thread if that still is this
// goroutine, which is evio's.
func (sp *span) enter(f func()) bool {
	sp.turning.Lock()
	defer sp.turning.Unlock()
	sp.b.mu.Lock()
	over := sp.over
	sp.b.mu.Unlock()
	if !over {
		f()
	}
	return !over
}
