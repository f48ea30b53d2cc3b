//go:build foreignloops && cgo && linux

package glib

// #cgo pkg-config: glib-2.0
// #include "watch.h"
import "C"

import (
	"fmt"
	"runtime/cgo"
	"time"

	"anyloop/core/loop"
	"anyloop/examples/internal/cloop"
)

// Loop is a GMainContext and a GMainLoop of it.
type Loop struct {
	c        *C.GMainContext
	main     *C.GMainLoop
	priority C.int
}

// New makes a loop.
func New() (cloop.Loop, error) { return NewWithPriority(int(C.G_PRIORITY_DEFAULT)), nil }

// NewWithPriority makes a loop whose watchers and timers have a priority of GLib:
// the higher the number, the later they come.
func NewWithPriority(priority int) *Loop {
	c := C.g_main_context_new()
	return &Loop{c: c, main: C.g_main_loop_new(c, C.FALSE), priority: C.int(priority)}
}

// Live counts the watchers and timers of all loops that GLib has not finalized.
func Live() int { return int(C.glibLive()) }

// Name implements cloop.Loop.
func (l *Loop) Name() string { return "glib" }

// Run implements cloop.Loop.
func (l *Loop) Run() { C.g_main_loop_run(l.main) }

// Turn implements cloop.Loop.
func (l *Loop) Turn(wait bool) {
	if wait {
		C.g_main_context_iteration(l.c, C.TRUE)
	} else {
		C.g_main_context_iteration(l.c, C.FALSE)
	}
}

// Stop implements cloop.Loop.
func (l *Loop) Stop() { C.g_main_loop_quit(l.main) }

// Watchers implements cloop.Loop.
func (l *Loop) Watchers() int { return int(C.glibSources(l.c)) }

// Close implements cloop.Loop.
func (l *Loop) Close() error {
	n := l.Watchers()
	C.g_main_loop_unref(l.main)
	C.g_main_context_unref(l.c)
	if n != 0 {
		return fmt.Errorf("glib: %d sources are left in the loop", n)
	}
	return nil
}

type watcher struct {
	c     *C.glibWatcher
	h     cgo.Handle
	ready func(loop.Events)
}

// Watch implements cloop.Loop.
func (l *Loop) Watch(fd int, ev loop.Events, ready func(loop.Events)) (cloop.Watcher, error) {
	w := &watcher{ready: ready}
	w.h = cgo.NewHandle(w)
	w.c = C.glibWatcherNew(l.c, l.priority, C.int(fd), C.int(ev), C.uintptr_t(w.h))
	return w, nil
}

//export goGLibReady
func goGLibReady(h C.uintptr_t, ev C.int) { cgo.Handle(h).Value().(*watcher).ready(loop.Events(ev)) }

func (w *watcher) Set(ev loop.Events) { C.glibWatcherSet(w.c, C.int(ev)) }

func (w *watcher) Close() {
	C.glibWatcherClose(w.c)
	w.h.Delete()
}

type timer struct {
	c    *C.glibTimer
	h    cgo.Handle
	fire func()
}

// NewTimer implements cloop.Loop.
func (l *Loop) NewTimer(fire func()) cloop.Timer {
	t := &timer{fire: fire}
	t.h = cgo.NewHandle(t)
	t.c = C.glibTimerNew(l.c, l.priority, C.uintptr_t(t.h))
	return t
}

//export goGLibFire
func goGLibFire(h C.uintptr_t) { cgo.Handle(h).Value().(*timer).fire() }

func (t *timer) Set(d time.Duration) { C.glibTimerSet(t.c, C.int64_t(d)) }
func (t *timer) Stop()               { C.glibTimerStop(t.c) }

func (t *timer) Close() {
	C.glibTimerClose(t.c)
	t.h.Delete()
}
