// Package cloop hosts core in event loops written in C: libuv, libev, libevent
// and GLib, each reached through cgo by a small package below this one.
//
// A library's package makes three things of it, and knows nothing of core: a
// watcher of a descriptor, a timer, and turning. This package makes a backend of
// these, in either of two ways:
//
//   - [Watching]: a watcher of the C loop for each descriptor of core, and one
//     timer, through loops/external;
//   - [Nested]: one watcher, on the descriptor of a poll set of loops/poll that
//     watches the rest.
//
// The library packages are built with the tag foreignloops, so that the module
// needs no C compiler without it:
//
//	apt-get install pkg-config libuv1-dev libev-dev libevent-dev libglib2.0-dev
//	go test -tags foreignloops ./examples/internal/cloop/...
//
// # Rules of cgo that shape it
//
// C keeps the number of a Go value (runtime/cgo.Handle), never a pointer to one.
// A C library calls back on the goroutine that turns it, so that what core
// calls a thread is this goroutine; it is locked to its operating-system thread
// while it turns, since the libraries (GLib) note who owns a loop. A Go panic
// must not unwind a C library: core recovers those of handlers, a host
// looks after its own.
package cloop

import (
	"time"

	"anyloop/core/loop"
)

// Loop is an event loop of a C library. None of its methods may be called
// concurrently with another, or while another goroutine turns the loop; all but
// Run, Turn, Watchers and Close may be called inside its callbacks.
type Loop interface {
	// Name is the library's, for logs.
	Name() string
	// Watch calls ready on the loop whenever fd is ready for one of ev,
	// level-triggered, until the watcher is closed. ev may be 0.
	Watch(fd int, ev loop.Events, ready func(ev loop.Events)) (Watcher, error)
	// NewTimer makes a timer that is not set.
	NewTimer(fire func()) Timer
	// Run turns the loop until Stop, or (not GLib) until it has nothing left
	// to wait for.
	Run()
	// Turn turns the loop once: with wait it blocks until something happens.
	Turn(wait bool)
	// Stop makes Run return when the running callback has. Outside of Run it
	// does nothing.
	Stop()
	// Watchers counts what the library itself says is in the loop: watchers
	// and timers that are active (libuv: that exist), ours and anybody's.
	Watchers() int
	// Close frees the loop. An error says that something is left in it.
	Close() error
}

// Watcher is one descriptor in a Loop.
type Watcher interface {
	// Set replaces the interest; 0 keeps the watcher, stopped.
	Set(ev loop.Events)
	// Close ends it: ready is not called again. The descriptor may be closed
	// right afterwards, and its number watched again. Legal in ready.
	Close()
}

// Timer fires once each time it is set.
type Timer interface {
	// Set sets it to fire after d, never early by the monotonic clock,
	// instead of what it was set for. 0 is in the next turn of the loop,
	// which then does not sleep, but serves what is ready.
	Set(d time.Duration)
	// Stop unsets it.
	Stop()
	// Close ends it. Legal in fire.
	Close()
}

// Every calls f every d in the loop l, for hosts. The timer it returns is to be
// closed.
func Every(l Loop, d time.Duration, f func()) Timer {
	var t Timer
	t = l.NewTimer(func() { t.Set(d); f() })
	t.Set(d)
	return t
}
