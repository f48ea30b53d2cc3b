//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetloop

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"

	"anyloop/core/loop"
)

type pollers = []*netpoll.Poller

// Shared makes core live in pollers that the application drives: service thread
// i in the i-th. The application's Polling callbacks pass what they do not know
// to Loop.Dispatch of the same thread. core.New, Attach, Detach and everything
// else that is for the loop thread only may be called where the poller's own
// methods may: on the goroutine inside Polling, or before it. The pollers stay
// the application's; core never closes them, and uses no Trigger.
//
// While one batch of events is handled, a descriptor number may change hands
// between the application and core. Core takes a stale event for a hint; the
// application, which may be asked for a descriptor that was core's a moment ago,
// must do the same.
func Shared(p ...*netpoll.Poller) Option {
	return func(b *Loops) { b.pollers, b.foreign = p, true }
}

// registrar is what is used of a netpoll.Poller to watch descriptors.
type registrar interface {
	AddRead(pa *netpoll.PollAttachment, edgeTriggered bool) error
	AddWrite(pa *netpoll.PollAttachment, edgeTriggered bool) error
	AddReadWrite(pa *netpoll.PollAttachment, edgeTriggered bool) error
	ModRead(pa *netpoll.PollAttachment, edgeTriggered bool) error
	ModReadWrite(pa *netpoll.PollAttachment, edgeTriggered bool) error
	Delete(fd int) error
}

// Counts says what a loop has cost beyond core's own system calls. Each is one
// system call of the poller's or ours.
type Counts struct {
	Events  uint64 // delivered by the poller, ours or stale
	Adds    uint64 // AddRead, AddWrite, AddReadWrite
	Mods    uint64 // ModRead, ModReadWrite
	Deletes uint64 // Delete
	Rings   uint64 // times the doorbell was made readable
	Clears  uint64 // times it was read
	Timers  uint64 // times the timer was set
	Checks  uint64 // events that looked stale and were asked about
	Stale   uint64 // of them, those that were
}

// watcher is a way of watching core's descriptors through a poller.
type watcher interface {
	loop.Loop
	// event handles one event of the poller and reports whether the
	// descriptor is ours.
	event(fd int, ev netpoll.IOEvent) bool
	// rearm makes the poller turn, to ask core what is to be done.
	rearm()
	close() error
}

// Loop is the loop of one service thread.
type Loop struct {
	watcher
	s      loop.Service
	own    *netpoll.Poller // private; nil if it is the application's
	closed bool
	gone   atomic.Bool // closed, for who is on another goroutine
	err    error       // of the set that is watched; ends Run
	n      Counts
}

func (b *Loops) open(thread int, s loop.Service) (*Loop, loop.Loop, error) {
	if pollOpt {
		return nil, nil, ErrPollOpt
	}
	l := &Loop{s: s}
	p, err := b.poller(thread)
	if err != nil {
		return nil, nil, err
	}
	if !b.foreign {
		l.own = p
	}
	if b.nested {
		l.watcher, err = newNested(p, l)
	} else {
		l.watcher, err = newDirect(p, l)
	}
	if err != nil {
		if l.own != nil {
			l.own.Close()
		}
		return nil, nil, err
	}
	if b.foreign {
		return l, shared{l}, nil
	}
	return l, runner{l}, nil
}

func (b *Loops) poller(thread int) (*netpoll.Poller, error) {
	if !b.foreign {
		return netpoll.OpenPoller()
	}
	if thread >= len(b.pollers) || b.pollers[thread] == nil {
		return nil, ErrNoPoller
	}
	return b.pollers[thread], nil
}

// Dispatch handles one event of an application's poller and reports whether the
// descriptor is core's; any descriptor may be passed in. The flags are not
// needed. Loop thread only.
func (l *Loop) Dispatch(fd int, ev netpoll.IOEvent, _ netpoll.IOFlags) bool {
	return !l.closed && l.event(fd, ev)
}

// Counts returns what the loop has counted. Loop thread only.
func (l *Loop) Counts() Counts { return l.n }

// inUse reports whether core is still here. Any goroutine.
func (l *Loop) inUse() bool { return l != nil && !l.gone.Load() }

// Close implements loop.Closer. Loop thread only.
func (l *Loop) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.close()
	if l.own != nil {
		err = errors.Join(err, l.own.Close())
	}
	l.gone.Store(true)
	return err
}

// runner is a Loop with a poller of its own.
type runner struct{ *Loop }

// Run implements loop.Runner.
func (r runner) Run() error {
	l := r.Loop
	if l.over() {
		return nil // Polling on a closed poller would be an error in gnet's log
	}
	err := polling(l.own, l.handle)
	// gnet's poller is free to keep the attachments where the garbage
	// collector does not look: they are reachable from here.
	runtime.KeepAlive(l)
	switch {
	case l.over():
		return nil
	case l.err != nil:
		return l.err
	}
	return fmt.Errorf("gnetloop: %w", err)
}

// handle ends Polling from the callback of an event. A task given to Trigger must
// not do that: the poller would never be woken again.
func (l *Loop) handle(fd int, ev netpoll.IOEvent, flags netpoll.IOFlags) error {
	l.Dispatch(fd, ev, flags)
	if l.over() || l.err != nil {
		return gneterrors.ErrEngineShutdown
	}
	return nil
}

// over reports that core has left this loop, for good or for another one.
func (l *Loop) over() bool { return l.closed || !l.s.Hosted() }

// shared is a Loop in a poller of the application, where core may be asked for
// something outside a turn.
type shared struct{ *Loop }

// Rearm implements loop.Rearmer.
func (l shared) Rearm() { l.rearm() }
