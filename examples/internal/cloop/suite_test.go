//go:build foreignloops && cgo && linux

package cloop_test

import (
	"runtime"
	"testing"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
	"anyloop/examples/internal/cloop"
	"anyloop/examples/internal/cloop/ev"
	"anyloop/examples/internal/cloop/event"
	"anyloop/examples/internal/cloop/glib"
	"anyloop/examples/internal/cloop/uv"
)

// library is one of the C loops under test.
type library struct {
	name string
	make func() (cloop.Loop, error)
	live func() int
}

var libraries = []library{
	{"uv", uv.New, uv.Live},
	{"ev", ev.New, ev.Live},
	{"event", event.New, event.Live},
	{"glib", glib.New, glib.Live},
}

// ways are how core gets into a loop.
var ways = []struct {
	name    string
	backend func(cloop.Loop) loop.Backend
}{
	{"watching", cloop.Watching},
	{"nested", cloop.Nested},
}

// newLoop makes a loop that must be empty, and its memory free, at the test's end.
func (lib library) newLoop(t testing.TB) cloop.Loop {
	t.Helper()
	before := lib.live()
	l, err := lib.make()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if n := lib.live() - before; n != 0 {
			t.Errorf("%d watchers and timers were not freed", n)
		}
	})
	return l
}

// each runs a test over every library, in both ways.
func each(t *testing.T, test func(t *testing.T, lib library, backend func(cloop.Loop) loop.Backend)) {
	for _, lib := range libraries {
		for _, w := range ways {
			t.Run(lib.name+"/"+w.name, func(t *testing.T) {
				leakCheck(t)
				test(t, lib, w.backend)
			})
		}
	}
}

// TestConformance is the contract of package loop, line by line.
func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, lib library, backend func(cloop.Loop) loop.Backend) {
		looptest.Run(t, func(t testing.TB) looptest.Host {
			l := lib.newLoop(t)
			return looptest.Host{Backend: backend(l), Run: func(e *core.Engine) error {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				for e.Thread(0).Hosted() {
					l.Turn(true)
				}
				return nil
			}}
		})
	})
}
