package gnetengine_test

import (
	"fmt"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/looptest/e2e"
	gnetengine "anyloop/loops/gnet/engine"
)

// streamLimits is what gnet's connections cannot do, and what holds instead.
var streamLimits = map[string]e2e.Result{
	"http-half-close": e2e.Does("gnet takes a half-close for the end: the answer may not arrive"),
	"capacity":        e2e.Does("gnet accepts at once: above MaxConns connections are closed"),
	"add-vhost":       e2e.Refuses("takes no further address"),
}

// TestStreamsEndToEnd: everything that users build on top works through gnet's
// connections, but for what is listed.
func TestStreamsEndToEnd(t *testing.T) {
	for _, threads := range []int{1, 2} {
		t.Run(fmt.Sprint("threads=", threads), func(t *testing.T) {
			e2e.Run(t, threads, func(testing.TB, int) e2e.Host {
				b := gnetengine.Streams()
				return e2e.Host{Backend: b, Limits: streamLimits, Addr: func(eng *core.Engine, vhost string) string {
					select {
					case <-b.Listening():
						return eng.VHost(vhost).Addr()
					default:
						return ""
					}
				}}
			})
		})
	}
}
