//go:build linux || darwin || freebsd

package evioloop

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/tidwall/evio"
)

// server is one call of evio.Serve.
type server struct {
	index  int         // of the bridge's address
	told   bool        // finish is called when it has ended
	ending atomic.Bool // Shutdown was called
	heard  atomic.Bool // a loop was told to end the server

	asking []byte // the goroutine in the application's Serving; Bridge.mu
	twice  bool   // that came back to this bridge; Bridge.mu
}

// Serve is evio.Serve with the bridge among the addresses and events: events are the
// application's own, which Wrap has not seen. It returns also what evio.Serve cannot
// say: ErrNoAddress, ErrWrapped, ErrServing, ErrClosed. When it returns, Lost tells
// if an engine is still in the bridge that was served. Any goroutine.
func (b *Bridge) Serve(events evio.Events, addr ...string) error {
	// Not only in Serving: evio removes the socket of a server that is there.
	if err := b.refuses(); err != nil {
		return err
	}
	w := b.wrap(events)
	w.told = true
	err := evio.Serve(w.events(), append(slices.Clone(addr), b.Addr())...)
	if w.server != nil {
		b.busy(ErrServerEnded)
	}
	b.finish(w.server)
	return errors.Join(err, w.refused)
}

// refuses returns why no server can be started, if one is known to serve.
func (b *Bridge) refuses() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if b.server != nil && b.server.told {
		return ErrServing
	}
	for _, sp := range b.spans {
		if sp.known {
			return ErrServing
		}
	}
	return nil
}

// begin enters a server that listens on addrs.
func (b *Bridge) begin(w *wrapped, addrs []net.Addr) (*server, error) {
	last := len(addrs) - 1
	ours := last >= 0 && addrs[last].Network() == "unix" && addrs[last].String() == b.path
	if !ours && b.asked(w.settled.goroutine) {
		return nil, ErrWrapped
	}
	if b.busy(nil) {
		return nil, ErrServing
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, ErrClosed
	case b.server != nil && b.server.told:
		return nil, ErrServing
	case !ours:
		return nil, ErrNoAddress
	}
	b.server = &server{index: last, told: w.told}
	if b.err != nil {
		b.err, b.lost = nil, make(chan struct{})
	}
	return b.server, nil
}

// asked reports whether a goroutine is in the application's Serving, which is then
// one of Wrap's.
func (b *Bridge) asked(goroutine []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.server
	if s == nil || s.asking == nil || !bytes.Equal(s.asking, goroutine) {
		return false
	}
	s.twice = true
	return true
}

// finish notes that evio.Serve has returned; s is nil if it has not served.
func (b *Bridge) finish(s *server) {
	b.mu.Lock()
	if s != nil && b.server == s {
		b.server = nil
		if b.open > 0 { // also an engine that was not turned, after Stop or before Start
			b.loses(ErrServerEnded)
		}
	}
	closed := b.closed
	b.mu.Unlock()
	if closed {
		b.sweep()
	}
}

// busy reports whether a server turns the bridge's loops. Connections that none
// has accepted are ended, for the reason why.
func (b *Bridge) busy(why error) bool {
	b.mu.Lock()
	var dead []*span
	for _, sp := range b.spans {
		if !sp.known {
			dead = append(dead, sp)
		}
	}
	busy := len(dead) < len(b.spans)
	b.mu.Unlock()
	for _, sp := range dead {
		sp.end(why)
	}
	return busy
}

// Shutdown makes evio end the whole server, as if a callback of the application
// had returned the action Shutdown, and returns at once: evio itself has no way
// to be stopped from outside. ErrNotServing if no server serves, or none can be
// reached because the bridge's socket is gone, after Close for example; one that
// runs all the same ends as soon as evio calls any of the wrapped events. Any
// goroutine.
//
// evio closes its listeners' descriptor numbers twice as its Serve returns. Let
// the engine end first, or detach it: then nothing of core's can have got such a
// number in between.
func (b *Bridge) Shutdown() error {
	b.mu.Lock()
	server := b.server
	if server == nil {
		b.mu.Unlock()
		return ErrNotServing
	}
	server.ending.Store(true)
	var sp *span
	for _, sp = range b.spans {
		break
	}
	b.mu.Unlock()
	if sp != nil && sp.ring() == nil {
		return nil
	}
	sp, err := b.connect(nil) // nothing bridges: one more connection, for this
	if err == nil {
		err = sp.ring()
	}
	for _, gone := range []error{syscall.ECONNRESET, syscall.EPIPE, os.ErrClosed} {
		if errors.Is(err, gone) {
			return nil // evio had the connection: it has ended meanwhile, or sees that it is to
		}
	}
	if !errors.Is(err, ErrNotServing) {
		return err
	}
	b.mu.Lock()
	ended := server.heard.Load() || b.server != server
	b.mu.Unlock()
	if ended {
		return nil // meanwhile
	}
	return fmt.Errorf("%w (a server that runs without it ends with the next event)", err)
}
