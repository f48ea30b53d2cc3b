//go:build foreignloops && cgo && linux

package app

import (
	"context"
	"runtime"

	"anyloop/core"
	"anyloop/examples/internal/cloop"
	"anyloop/examples/internal/cloop/ev"
	"anyloop/examples/internal/cloop/event"
	"anyloop/examples/internal/cloop/glib"
	"anyloop/examples/internal/cloop/uv"
)

func init() {
	hosts["uv"] = foreign(uv.New)
	hosts["ev"] = foreign(ev.New)
	hosts["event"] = foreign(event.New)
	hosts["glib"] = foreign(glib.New)
}

// foreign is a loop of a C library, in which all service threads live.
func foreign(newLoop func() (cloop.Loop, error)) func(threads int) (Host, error) {
	return func(int) (Host, error) {
		l, err := newLoop()
		if err != nil {
			return Host{}, err
		}
		return Host{Backend: cloop.Watching(l), Run: func(ctx context.Context, eng *core.Engine) error {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			stop := context.AfterFunc(ctx, func() { eng.Stop(0) })
			defer stop()
			for hosted(eng) {
				l.Turn(true)
			}
			return l.Close()
		}}, nil
	}
}
