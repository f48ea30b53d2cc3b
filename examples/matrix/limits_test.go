package matrix

import "anyloop/core/loop/looptest/e2e"

// limits is what each loop does not do, by name and case. Whatever is not here,
// it does.
var limits = map[string]map[string]e2e.Result{
	"gnet-engine": {"detach": e2e.Has("the example turns its gnet engine until core's has ended")},
	"gnet-stream": {
		"add-vhost":       e2e.Refuses("gnet listens already; it takes no further address"),
		"capacity":        e2e.Does("connections beyond MaxConns are closed"),
		"http-half-close": e2e.Does("the end of the client's stream ends the connection"),
	},
}
