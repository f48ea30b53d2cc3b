package gnetengine_test

import (
	"context"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	gnetengine "anyloop/loops/gnet/engine"
)

// TestBridgePassesLooptest: the contract holds inside a gnet engine.
func TestBridgePassesLooptest(t *testing.T) {
	looptest.Run(t, func(testing.TB) looptest.Host {
		b := gnetengine.New()
		return looptest.Host{Backend: b, Run: func(e *core.Engine) error {
			return b.Serve(context.Background(), e)
		}}
	})
}
