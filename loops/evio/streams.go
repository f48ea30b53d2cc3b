//go:build linux || darwin || freebsd

package evioloop

import (
	"fmt"
	"io"
	"sync"

	"anyloop/core/loop"
)

// StreamLoops is a backend in which evio listens, accepts and receives: core's
// connections are evio's. Engine.Run runs the evio servers.
//
//	backend, err := evioloop.Streams()
//	eng, err := core.New(core.Config{Backend: backend, ...})
//	err = eng.Run(ctx)
//
// Each service thread has an evio server of its own with one loop, since evio
// cannot be told which loop a connection goes to. With several threads they share
// each TCP address by SO_REUSEPORT, and the kernel spreads the connections (on
// Linux evenly; elsewhere one server may get most). A unix socket is thread 0's.
// A connection that comes to a thread without room, by Limits.MaxConns, is taken
// from evio at once and served by another one as core's own.
//
// What comes in is evio's: received by it, lent by Data, and not copied on the
// way to the protocol. What goes out is written to evio's socket directly, whose
// descriptor is read from the connection by reflection ([ErrShape] if that
// fails), and a socket that is full is watched for room by core's own set. For
// evio's way out cannot be used: it has no notion of room; output that is pending
// is replaced by what a wake-up returns; and while it is pending, evio does not
// read but spins if there is something to read.
//
// The limits of it:
//
//   - evio cannot be made to stop reading. When 64 KiB have come for a connection
//     that is paused, it is detached from evio, and core serves the socket itself
//     from then on, so that the peer feels it.
//   - The peer's end of stream closes the connection at once, both ways; an
//     answer that is still being sent is cut off.
//   - All addresses are there before Run: an engine that runs gets no others,
//     ErrListenLate. Closing a listener leaves its port open: connections are
//     accepted and closed. So is one that no thread has room for.
//   - Config.KeepAlive and Config.ReusePort have no effect.
//   - When evio fails to accept, for want of descriptors, it ends the server, and
//     with it all connections of that thread, which hear that their peer has
//     gone. It is served again as soon as there are descriptors.
//   - As a server ends, evio closes the numbers of its listeners' descriptors
//     twice, and between the two another goroutine may have got such a number
//     for something else. Open nothing after Engine.Done before Run has
//     returned; with several threads, a server that has failed to accept can do
//     this to the others.
//   - evio removes whatever file is in the place of a unix socket; a file that
//     is no socket, or a socket that somebody serves, is refused before.
type StreamLoops struct {
	opts options

	mu      sync.Mutex
	lanes   []*lane
	ports   []*port
	running bool
}

// Streams returns a backend in which core's connections are evio's. It serves one
// engine.
func Streams(opts ...Option) (*StreamLoops, error) { return &StreamLoops{opts: settle(opts)}, nil }

// Info implements loop.Backend.
func (b *StreamLoops) Info() loop.Info { return loop.Info{Name: "evio/stream", Tier: loop.Bytes} }

// Open implements loop.Backend.
func (b *StreamLoops) Open(thread int, s loop.Service) (loop.Loop, error) {
	ln := &lane{b: b, thread: thread, s: s, waits: map[int32]*stream{}}
	bridge, err := New(WithPass(b.opts.pass), WithDir(b.opts.dir))
	if err != nil {
		return nil, err
	}
	ln.bridge, bridge.lane = bridge, ln
	if ln.seat, err = bridge.sit(0, tap{s, ln}); err != nil {
		bridge.Close()
		return nil, err
	}
	ln.Loop = ln.seat
	b.mu.Lock()
	defer b.mu.Unlock()
	if thread == 0 {
		b.lanes, b.ports, b.running = nil, nil, false
	}
	b.lanes = append(b.lanes, ln)
	return ln, nil
}

// Listen implements loop.Acceptor. The servers listen when it returns; they
// accept when the engine runs.
func (b *StreamLoops) Listen(network, address string, accept func(thread int, s loop.Stream, peer string) (loop.StreamConn, error)) (bound string, listener io.Closer, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running {
		return "", nil, ErrListenLate
	}
	p := &port{accept: accept}
	if err := p.reserve(network, address, len(b.lanes) > 1); err != nil {
		return "", nil, fmt.Errorf("evioloop: listen %s: %w", address, err)
	}
	before := b.ports
	b.ports = append(before[:len(before):len(before)], p)
	for _, ln := range b.lanes {
		if err = ln.restart(); err != nil {
			break
		}
	}
	if err != nil {
		b.ports = before
		for _, ln := range b.lanes {
			ln.cancel()
		}
		p.release()
		return "", nil, fmt.Errorf("evioloop: listen %s: %w", address, err)
	}
	return p.bound, p, nil
}

// begun notes that the engine runs.
func (b *StreamLoops) begun() {
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
}

// forThread returns the ports that a thread's server listens on.
func (b *StreamLoops) forThread(thread int) (all []*port) {
	for _, p := range b.ports {
		if thread == 0 || p.shared {
			all = append(all, p)
		}
	}
	return all
}
