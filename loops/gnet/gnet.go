// Package gnetloop hosts core on the poller of gnet, its public package
// pkg/netpoll. The folder is called gnet after the library; the package is
// gnetloop so that it can be imported beside package gnet itself.
//
//	core.Config{Backend: gnetloop.Backend()}
//
// # Two ways
//
// By default every service thread has a netpoll.Poller of its own, and
// Engine.Run turns it, one goroutine per thread.
//
// With [Shared] core lives in pollers that the application already drives. The
// application forwards what it does not know:
//
//	back := gnetloop.Backend(gnetloop.Shared(poller))
//	eng, err := core.New(core.Config{Backend: back, ...})
//	err = poller.Polling(func(fd int, ev netpoll.IOEvent, flags netpoll.IOFlags) error {
//		if h := mine[fd]; h != nil {
//			return h(ev)
//		}
//		back.Thread(0).Dispatch(fd, ev, flags)
//		return nil
//	})
//
// # What is watched
//
// On Linux the poller watches each descriptor of core by itself. It has neither
// an interest "write only" for what is registered already nor one "none", so the
// one is Delete and AddWrite, and the other Delete alone. Elsewhere its kqueue
// half cannot take back an interest in reading at all; there, and everywhere
// with [Nested], the poller watches one descriptor, that of a set of loops/poll
// which watches the rest.
//
// netpoll can neither wait for a limited time nor once, so there are two more
// descriptors per thread: a doorbell, left unread for as long as core has
// pending work, and a timer for the earliest deadline. Neither is touched while
// messages are echoed.
//
// # What comes with the library
//
// Importing pkg/netpoll starts gnet's logger, whose init panics if the
// environment variable GNET_LOGGING_LEVEL is malformed. Programs built with the
// tag poll_opt are refused with [ErrPollOpt]: gnet's poller then keeps pointers
// where the garbage collector does not see them.
package gnetloop

import (
	"errors"
	"fmt"
	"sync"

	"anyloop/core/loop"
)

// ErrUnsupported says that gnet has no poller on this operating system.
var ErrUnsupported = errors.New("gnetloop: gnet's pkg/netpoll does not support this operating system")

// ErrPollOpt says that the program was built with the tag poll_opt, whose poller
// is unsafe to use.
var ErrPollOpt = errors.New("gnetloop: built with the tag poll_opt, whose poller hides pointers from the garbage collector")

// ErrNoPoller says that an engine has more service threads than pollers were
// given to Shared, or that one of them is nil.
var ErrNoPoller = errors.New("gnetloop: no poller for this service thread")

// ErrInUse says that another engine lives in the application's pollers by this
// backend: it has not ended, nor was it detached. core.New and Engine.Attach
// return it.
var ErrInUse = errors.New("gnetloop: another engine lives in this backend")

// Option changes a backend.
type Option func(*Loops)

// Nested makes the poller watch a set of loops/poll as one descriptor, instead of
// each of core's. It is always so where gnet's poller is a kqueue.
func Nested() Option { return func(b *Loops) { b.nested = true } }

// Loops is the backend: the loops of one engine.
type Loops struct {
	nested  bool
	foreign bool
	pollers pollers // of the application, by service thread
	mu      sync.Mutex
	loops   []*Loop
}

// Backend returns a backend for core.Config. A backend serves one engine at a
// time. With Shared a second one is refused with ErrInUse until the first has
// ended or left; give each a backend of its own, with the same pollers.
func Backend(opts ...Option) *Loops {
	b := &Loops{nested: mustNest}
	for _, o := range opts {
		o(b)
	}
	return b
}

// Info implements loop.Backend.
func (b *Loops) Info() loop.Info {
	info := loop.Info{Name: "gnet/poller", Foreign: b.foreign}
	if b.foreign {
		info.Name = "gnet/shared"
	}
	if b.nested {
		info.Tier = loop.Nested
	}
	return info
}

// Open implements loop.Backend. Errors: ErrInUse, ErrNoPoller, ErrPollOpt,
// ErrUnsupported, and the system's.
func (b *Loops) Open(thread int, s loop.Service) (loop.Loop, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.loops) <= thread {
		b.loops = append(b.loops, nil)
	}
	if b.foreign && b.loops[thread].inUse() {
		return nil, ErrInUse // Dispatch would be told of one of the two only
	}
	l, lp, err := b.open(thread, s)
	if err != nil {
		return nil, wrap(err)
	}
	b.loops[thread] = l
	return lp, nil
}

// wrap puts the package's name before an error that has it not yet.
func wrap(err error) error {
	if errors.Is(err, ErrUnsupported) || errors.Is(err, ErrPollOpt) || errors.Is(err, ErrNoPoller) {
		return err
	}
	return fmt.Errorf("gnetloop: %w", err)
}

// Thread returns the loop of service thread i, nil before the engine has opened
// it. Any goroutine.
func (b *Loops) Thread(i int) *Loop {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i < 0 || i >= len(b.loops) {
		return nil
	}
	return b.loops[i]
}
