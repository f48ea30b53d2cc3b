//go:build foreignloops && cgo && linux

package event

// #cgo pkg-config: libevent_core
// #include "watch.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime/cgo"
	"time"

	"anyloop/core/loop"
	"anyloop/examples/internal/cloop"
)

// Loop is a struct event_base.
type Loop struct{ c *C.struct_event_base }

// New makes a loop.
func New() (cloop.Loop, error) {
	l := &Loop{C.event_base_new()}
	if l.c == nil {
		return nil, errors.New("event: event_base_new finds no way to wait")
	}
	return l, nil
}

// Live counts the watchers and timers of all loops whose memory is not freed.
func Live() int { return int(C.eventLive()) }

// Name implements cloop.Loop.
func (l *Loop) Name() string { return "event" }

// Run implements cloop.Loop.
func (l *Loop) Run() { C.event_base_loop(l.c, 0) }

// Turn implements cloop.Loop.
func (l *Loop) Turn(wait bool) {
	if wait {
		C.event_base_loop(l.c, C.EVLOOP_ONCE)
	} else {
		C.event_base_loop(l.c, C.EVLOOP_ONCE|C.EVLOOP_NONBLOCK)
	}
}

// Stop implements cloop.Loop.
func (l *Loop) Stop() { C.event_base_loopbreak(l.c) }

// Watchers implements cloop.Loop.
func (l *Loop) Watchers() int {
	return int(C.event_base_get_num_events(l.c, C.EVENT_BASE_COUNT_ADDED))
}

// Close implements cloop.Loop.
func (l *Loop) Close() error {
	n := l.Watchers()
	C.event_base_free(l.c)
	if n != 0 {
		return fmt.Errorf("event: %d events are left in the loop", n)
	}
	return nil
}

type watcher struct {
	c     *C.eventWatcher
	h     cgo.Handle
	ready func(loop.Events)
}

// Watch implements cloop.Loop.
func (l *Loop) Watch(fd int, ev loop.Events, ready func(loop.Events)) (cloop.Watcher, error) {
	w := &watcher{ready: ready}
	w.h = cgo.NewHandle(w)
	w.c = C.eventWatcherNew(l.c, C.int(fd), C.uintptr_t(w.h))
	if C.eventWatcherSet(w.c, C.int(ev)) != 0 {
		w.Close()
		return nil, fmt.Errorf("event: descriptor %d cannot be watched", fd)
	}
	return w, nil
}

//export goEventReady
func goEventReady(h C.uintptr_t, ev C.int) { cgo.Handle(h).Value().(*watcher).ready(loop.Events(ev)) }

func (w *watcher) Set(ev loop.Events) { C.eventWatcherSet(w.c, C.int(ev)) }

func (w *watcher) Close() {
	C.eventWatcherClose(w.c)
	w.h.Delete()
}

type timer struct {
	c    *C.eventTimer
	h    cgo.Handle
	fire func()
}

// NewTimer implements cloop.Loop.
func (l *Loop) NewTimer(fire func()) cloop.Timer {
	t := &timer{fire: fire}
	t.h = cgo.NewHandle(t)
	t.c = C.eventTimerNew(l.c, C.uintptr_t(t.h))
	return t
}

//export goEventFire
func goEventFire(h C.uintptr_t) { cgo.Handle(h).Value().(*timer).fire() }

func (t *timer) Set(d time.Duration) { C.eventTimerSet(t.c, C.int64_t(d)) }
func (t *timer) Stop()               { C.eventTimerStop(t.c) }

func (t *timer) Close() {
	C.eventTimerClose(t.c)
	t.h.Delete()
}
