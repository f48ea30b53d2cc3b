package matrix

import "anyloop/core/loop/looptest/e2e"

// limits is what each loop does not do, by name and case. Whatever is not here,
// it does.
var limits = map[string]map[string]e2e.Result{
	"evio-stream": {
		"add-vhost":       e2e.Refuses("evio cannot listen on further addresses while it serves"),
		"capacity":        e2e.Does("connections beyond MaxConns are closed"),
		"http-half-close": e2e.Does("the end of the client's stream ends the connection"),
		"raw-half-close":  e2e.Does("the end of the client's stream ends the connection"),
	},
	"gnet-stream": {
		"add-vhost":       e2e.Refuses("gnet listens already; it takes no further address"),
		"capacity":        e2e.Does("connections beyond MaxConns are closed"),
		"http-half-close": e2e.Does("the end of the client's stream ends the connection"),
		"raw-half-close":  e2e.Does("the end of the client's stream ends the connection"),
	},
}
