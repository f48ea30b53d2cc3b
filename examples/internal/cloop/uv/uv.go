//go:build foreignloops && cgo && linux

package uv

// #cgo pkg-config: libuv
// #include <stdlib.h>
// #include "watch.h"
import "C"

import (
	"fmt"
	"runtime/cgo"
	"time"
	"unsafe"

	"anyloop/core/loop"
	"anyloop/examples/internal/cloop"
)

// Loop is a uv_loop_t.
type Loop struct {
	c     *C.uv_loop_t
	turns bool // inside uv_run
}

// New makes a loop.
func New() (cloop.Loop, error) {
	l := &Loop{c: (*C.uv_loop_t)(C.calloc(1, C.sizeof_uv_loop_t))}
	if e := C.uv_loop_init(l.c); e != 0 {
		C.free(unsafe.Pointer(l.c))
		return nil, failure("uv_loop_init", e)
	}
	return l, nil
}

func failure(call string, e C.int) error {
	return fmt.Errorf("uv: %s: %s", call, C.GoString(C.uv_strerror(e)))
}

// Live counts the watchers and timers of all loops whose memory is not freed.
func Live() int { return int(C.uvLive()) }

// Name implements cloop.Loop.
func (l *Loop) Name() string { return "uv" }

// Run implements cloop.Loop.
func (l *Loop) Run() { l.run(C.UV_RUN_DEFAULT) }

func (l *Loop) run(mode C.uv_run_mode) {
	l.turns = true
	C.uv_run(l.c, mode)
	l.turns = false
}

// Turn implements cloop.Loop.
func (l *Loop) Turn(wait bool) {
	if wait {
		l.run(C.UV_RUN_ONCE)
	} else {
		l.run(C.UV_RUN_NOWAIT)
	}
}

// Stop implements cloop.Loop.
func (l *Loop) Stop() {
	if l.turns {
		C.uv_stop(l.c)
	}
}

// Watchers implements cloop.Loop.
func (l *Loop) Watchers() int { return int(C.uvHandles(l.c)) }

// Close implements cloop.Loop. Handles that are being closed get their turn.
func (l *Loop) Close() error {
	l.run(C.UV_RUN_NOWAIT)
	if e := C.uv_loop_close(l.c); e != 0 {
		return failure("uv_loop_close", e)
	}
	C.free(unsafe.Pointer(l.c))
	return nil
}

type watcher struct {
	c     *C.uvWatcher
	h     cgo.Handle
	ready func(loop.Events)
}

// Watch implements cloop.Loop.
func (l *Loop) Watch(fd int, ev loop.Events, ready func(loop.Events)) (cloop.Watcher, error) {
	w := &watcher{ready: ready}
	w.h = cgo.NewHandle(w)
	if e := C.uvWatcherNew(l.c, C.int(fd), C.uintptr_t(w.h), &w.c); e != 0 {
		w.h.Delete()
		return nil, failure("uv_poll_init", e)
	}
	w.Set(ev)
	return w, nil
}

//export goUVReady
func goUVReady(h C.uintptr_t, ev C.int) { cgo.Handle(h).Value().(*watcher).ready(loop.Events(ev)) }

func (w *watcher) Set(ev loop.Events) { C.uvWatcherSet(w.c, C.int(ev)) }

func (w *watcher) Close() {
	C.uvWatcherClose(w.c)
	w.h.Delete()
}

type timer struct {
	c    *C.uvTimer
	h    cgo.Handle
	fire func()
}

// NewTimer implements cloop.Loop.
func (l *Loop) NewTimer(fire func()) cloop.Timer {
	t := &timer{fire: fire}
	t.h = cgo.NewHandle(t)
	t.c = C.uvTimerNew(l.c, C.uintptr_t(t.h))
	return t
}

//export goUVFire
func goUVFire(h C.uintptr_t) { cgo.Handle(h).Value().(*timer).fire() }

func (t *timer) Set(d time.Duration) { C.uvTimerSet(t.c, C.uint64_t(d)) }
func (t *timer) Stop()               { C.uvTimerStop(t.c) }

func (t *timer) Close() {
	C.uvTimerClose(t.c)
	t.h.Delete()
}
