//go:build foreignloops && cgo && linux

package ev

// #cgo LDFLAGS: -Wl,--push-state,--as-needed -levent_core -Wl,--pop-state -l:libev.a -lm
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

// Loop is a struct ev_loop.
type Loop struct{ c *C.struct_ev_loop }

// New makes a loop.
func New() (cloop.Loop, error) {
	l := &Loop{C.ev_loop_new(C.EVFLAG_AUTO)}
	if l.c == nil {
		return nil, errors.New("ev: ev_loop_new finds no way to wait")
	}
	return l, nil
}

// Live counts the watchers and timers of all loops whose memory is not freed.
func Live() int { return int(C.evLive()) }

// Name implements cloop.Loop.
func (l *Loop) Name() string { return "ev" }

// Run implements cloop.Loop.
func (l *Loop) Run() { C.ev_run(l.c, 0) }

// Turn implements cloop.Loop.
func (l *Loop) Turn(wait bool) {
	if wait {
		C.ev_run(l.c, C.EVRUN_ONCE)
	} else {
		C.ev_run(l.c, C.EVRUN_NOWAIT)
	}
}

// Stop implements cloop.Loop.
func (l *Loop) Stop() { C.ev_break(l.c, C.EVBREAK_ALL) }

// Watchers implements cloop.Loop.
func (l *Loop) Watchers() int { return int(C.evActive(l.c)) }

// Close implements cloop.Loop.
func (l *Loop) Close() error {
	n := l.Watchers()
	C.ev_loop_destroy(l.c)
	if n != 0 {
		return fmt.Errorf("ev: %d watchers are left in the loop", n)
	}
	return nil
}

type watcher struct {
	c     *C.evWatcher
	h     cgo.Handle
	ready func(loop.Events)
}

// Watch implements cloop.Loop.
func (l *Loop) Watch(fd int, ev loop.Events, ready func(loop.Events)) (cloop.Watcher, error) {
	w := &watcher{ready: ready}
	w.h = cgo.NewHandle(w)
	w.c = C.evWatcherNew(l.c, C.int(fd), C.uintptr_t(w.h))
	w.Set(ev)
	return w, nil
}

//export goEvReady
func goEvReady(h C.uintptr_t, ev C.int) { cgo.Handle(h).Value().(*watcher).ready(loop.Events(ev)) }

func (w *watcher) Set(ev loop.Events) { C.evWatcherSet(w.c, C.int(ev)) }

func (w *watcher) Close() {
	C.evWatcherClose(w.c)
	w.h.Delete()
}

type timer struct {
	c    *C.evTimer
	h    cgo.Handle
	fire func()
}

// NewTimer implements cloop.Loop.
func (l *Loop) NewTimer(fire func()) cloop.Timer {
	t := &timer{fire: fire}
	t.h = cgo.NewHandle(t)
	t.c = C.evTimerNew(l.c, C.uintptr_t(t.h))
	return t
}

//export goEvFire
func goEvFire(h C.uintptr_t) { cgo.Handle(h).Value().(*timer).fire() }

func (t *timer) Set(d time.Duration) { C.evTimerSet(t.c, C.int64_t(d)) }
func (t *timer) Stop()               { C.evTimerStop(t.c) }

func (t *timer) Close() {
	C.evTimerClose(t.c)
	t.h.Delete()
}
