// Package evioloop hosts core in a server of tidwall/evio. The folder is called
// evio after the library; the package is evioloop so that it can be imported
// beside package evio itself.
//
// # The bridge
//
// evio watches only connections that it has accepted itself; nothing else can be
// put into its loop. So core keeps its descriptors in a set of loops/poll, and
// between that set and the evio loop there is one connection per service thread,
// to a private unix socket that the server listens on beside its own addresses:
//
//	bridge, err := evioloop.New()
//	eng, err := core.New(core.Config{Backend: bridge, ...})
//	err = bridge.Serve(events, "tcp://:7000")
//
// (Bridge.Wrap and Bridge.Addr are for a call of evio.Serve of the application's own;
// the end of such a server is known less exactly.)
//
// When the set is ready, a goroutine writes one byte into that connection. evio
// hears it like any other, on its own goroutine, and that is where core's turn
// runs: between two callbacks of the application, one bounded turn at a time.
// The application sees nothing of these connections. evio's Conn.Wake, which on
// Linux can be late by 100 ms, is not used, and neither is its Tick.
//
// With several loops (Events.NumLoops) a service thread lives on whichever of
// them has accepted its connection, and stays there; two threads may share one.
//
// To leave, Engine.Post a call of Engine.Detach, or, where there are several
// service threads, Thread.Post one of Thread.Detach to each.
//
// In evio's callbacks, as in core's, call Engine.Stop and not Engine.Shutdown. Shutdown
// waits for turns of core, and those come after the callback, on the same goroutine:
// neither evio nor core would move until the context ends, and core cannot see it.
// From any other goroutine it is fine.
//
// # evio accepts
//
// Bridge.Adopt hands a connection that evio has accepted to core, from Opened or
// from Data with the first bytes. So one port serves both the application's
// protocol and core's.
//
// # evio keeps the socket
//
// [Streams] is a backend of its own in which evio listens, accepts and receives,
// and core speaks through it; see there for what that costs.
//
// # What cannot be had
//
// evio calls the operating system's poller on Linux, macOS and FreeBSD only;
// elsewhere New and Streams answer [ErrUnsupported]. It ends the whole server
// when accept(2) fails, with the process out of descriptors for one: the bridge
// reports that by Lost. Its listeners close a descriptor number twice when the
// server ends (a raw close(2), then that of the os.File), which can hit a
// descriptor that another goroutine has opened in between; core's own are safe
// while core does not open any at that moment: see Bridge.Shutdown.
package evioloop

import "errors"

var (
	// ErrUnsupported says that evio has no event loop on this system.
	ErrUnsupported = errors.New("evioloop: evio has no event loop on this operating system")
	// ErrNoAddress says that the server does not listen on Bridge.Addr, or not
	// as the last of its addresses. The server was ended.
	ErrNoAddress = errors.New("evioloop: Bridge.Addr must be the last address given to evio.Serve")
	// ErrWrapped says that Bridge.Serve got events that Bridge.Wrap has returned, or
	// Wrap those of its own. The server was ended.
	ErrWrapped = errors.New("evioloop: these events are wrapped already: Bridge.Serve takes the application's own, evio.Serve the wrapped ones")
	// ErrTaken says that another engine is in the Bridge, which has neither ended
	// nor was detached.
	ErrTaken = errors.New("evioloop: another engine is in this bridge")
	// ErrServing says that a Bridge is in an evio server already.
	ErrServing = errors.New("evioloop: this bridge is in a server that runs already")
	// ErrNotServing says that no evio server serves the bridge's address, or none
	// can be reached there: its socket is gone.
	ErrNotServing = errors.New("evioloop: no evio server serves this bridge")
	// ErrServerEnded says that the evio server has ended, and with it the
	// goroutine that turned core.
	ErrServerEnded = errors.New("evioloop: the evio server has ended")
	// ErrShape says that evio's internals are not those of version 1.0.8, so
	// that a connection's descriptor cannot be found.
	ErrShape = errors.New("evioloop: a connection of this evio is not built as expected")
	// ErrNotSocket says that something else than a connected socket was to be
	// adopted: evio's stand-in for the sender of a datagram.
	ErrNotSocket = errors.New("evioloop: not a connection")
	// ErrListenLate says that a running engine on Streams cannot get further
	// addresses: evio takes all of them at once, before it serves.
	ErrListenLate = errors.New("evioloop: evio cannot listen on further addresses while it serves")
	// ErrClosed says that the Bridge was closed.
	ErrClosed = errors.New("evioloop: the bridge is closed")
)

// Option changes a backend of this package.
type Option func(*options)

type options struct {
	pass int
	dir  string
}

// defaultPass is how many events of core are handled for one event of evio, so
// that the application's own connections get their turn.
const defaultPass = 64

// WithPass bounds how many events of core are handled at a time before evio's
// own connections get their turn; default 64.
func WithPass(events int) Option { return func(o *options) { o.pass = events } }

// WithDir says in which folder the private one with the bridge's socket is made;
// default os.TempDir. Socket addresses are limited to about 100 bytes.
func WithDir(dir string) Option { return func(o *options) { o.dir = dir } }

func settle(opts []Option) options {
	o := options{pass: defaultPass}
	for _, f := range opts {
		f(&o)
	}
	if o.pass <= 0 {
		o.pass = defaultPass
	}
	return o
}
