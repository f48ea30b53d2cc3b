// Package external hosts core in whatever event loop the application owns: three
// callbacks say what to watch, and the application calls Thread.ServiceFD,
// AdjustTimeout and ServicePending when it turns.
//
//	set := map[int]loop.Events{}                       // or your loop's own registry
//	backend := external.Backend(external.Hooks{
//		Add:    func(fd int, ev loop.Events) error { set[fd] = ev; return nil },
//		Change: func(fd int, prev, next loop.Events) { set[fd] = next },
//		Del:    func(fd int) { delete(set, fd) },
//	})
//
// For a poll(2) array, package extpoll has all of this. The programs examples/uv,
// ev, event and glib do it with libuv, libev, libevent and GLib, whose loops also
// sleep by themselves: they use Open, Rearm and Close too.
package external

import (
	"errors"
	"fmt"
	"sync"

	"anyloop/core/loop"
)

var (
	// ErrHooks says that a required hook is nil.
	ErrHooks = errors.New("external: Add, Change and Del must be set")
	// ErrOneThread says that an engine with several service threads was given
	// hooks for one.
	ErrOneThread = errors.New("external: Backend has hooks for one service thread only, Threads has them for more")
)

// Hooks are how core reaches the application's loop. They are called on the
// thread's loop and must not call back into core.
type Hooks struct {
	// Name is for logs; default "external".
	Name string
	// Open, if set, is called first when core enters the loop, with core's
	// side of the thread, which is what to call when the loop turns: what
	// Engine.Thread returns, before there is an Engine. Nothing of s may be
	// called before Open has returned; then a turn is due, so a loop that
	// sleeps on a timer of another library sets it here to fire at once. An
	// error refuses the loop; Close is not called then.
	Open func(s loop.Service) error
	// Add starts watching fd for ev, level-triggered. An error refuses it.
	Add func(fd int, ev loop.Events) error
	// Change replaces the interest in fd.
	Change func(fd int, prev, next loop.Events)
	// Del stops watching fd, which is still open.
	Del func(fd int)
	// Lock and Unlock, if set, stand around every one of the three, for
	// applications whose table is shared between goroutines. membership is
	// true around Add and Del.
	Lock, Unlock func(membership bool)
	// Rearm, if set, is called when, outside a turn, work has become pending
	// or the next deadline has moved earlier: for loops whose sleep is a
	// timer of another library. See loop.Rearmer.
	Rearm func()
	// Close, if set, is called when core has left the loop for good.
	Close func()
}

// Backend returns a backend for core.Config with one service thread. An engine
// with more is refused with ErrOneThread: the same loop would be told of all of
// them, and would turn only one.
func Backend(h Hooks) loop.Backend {
	return &backend{hooks: func(int) Hooks { return h }, single: true}
}

// Threads returns a backend with hooks for each service thread. hooks is called
// once for each, when the backend is first asked about it, also for its Name, so
// it may make a loop there. The thread has the same hooks again when the engine
// comes back after Detach; an engine beside it needs a backend of its own.
func Threads(hooks func(thread int) Hooks) loop.Backend { return &backend{hooks: hooks} }

type backend struct {
	hooks  func(int) Hooks
	single bool
	mu     sync.Mutex
	made   map[int]Hooks // by thread: what hooks has returned
}

// of returns a thread's hooks.
func (b *backend) of(thread int) Hooks {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, ok := b.made[thread]
	if !ok {
		h = b.hooks(thread)
		if b.made == nil {
			b.made = map[int]Hooks{}
		}
		b.made[thread] = h
	}
	return h
}

func (b *backend) Info() loop.Info {
	name := b.of(0).Name
	if name == "" {
		name = "external"
	}
	return loop.Info{Name: name, Foreign: true}
}

func (b *backend) Open(thread int, s loop.Service) (loop.Loop, error) {
	if b.single && thread > 0 {
		return nil, ErrOneThread
	}
	h := b.of(thread)
	if h.Add == nil || h.Change == nil || h.Del == nil {
		return nil, fmt.Errorf("%w (thread %d)", ErrHooks, thread)
	}
	if h.Lock == nil {
		h.Lock = func(bool) {}
	}
	if h.Unlock == nil {
		h.Unlock = func(bool) {}
	}
	if h.Open != nil {
		if err := h.Open(s); err != nil {
			return nil, fmt.Errorf("external: %w", err)
		}
	}
	if h.Rearm != nil {
		return rearmed{&hosted{h}}, nil
	}
	return &hosted{h}, nil
}

// hosted is one thread's registrations in the application's loop.
type hosted struct{ h Hooks }

func (l *hosted) AddPollFD(fd int, ev loop.Events) error {
	l.h.Lock(true)
	defer l.h.Unlock(true)
	return l.h.Add(fd, ev)
}

func (l *hosted) DelPollFD(fd int) {
	l.h.Lock(true)
	defer l.h.Unlock(true)
	l.h.Del(fd)
}

func (l *hosted) ChangeModePollFD(fd int, prev, next loop.Events) {
	l.h.Lock(false)
	defer l.h.Unlock(false)
	l.h.Change(fd, prev, next)
}

// Close implements loop.Closer.
func (l *hosted) Close() error {
	if l.h.Close != nil {
		l.h.Close()
	}
	return nil
}

type rearmed struct{ *hosted }

func (l rearmed) Rearm() { l.h.Rearm() }
