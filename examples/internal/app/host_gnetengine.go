//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package app

import (
	"context"

	"anyloop/core"
	gnetengine "anyloop/loops/gnet/engine"
)

func init() {
	// A gnet engine with an event loop per service thread turns core.
	hosts["gnet-engine"] = func(int) (Host, error) {
		b := gnetengine.New()
		return Host{Backend: b, Run: func(ctx context.Context, eng *core.Engine) error { return b.Serve(ctx, eng) }}, nil
	}
	// gnet listens, accepts and reads, and core speaks through its connections.
	hosts["gnet-stream"] = func(int) (Host, error) { return own(gnetengine.Streams()), nil }
}
