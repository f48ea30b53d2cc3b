package matrix

import "anyloop/core/loop/looptest/e2e"

// limits is what each loop does not do, by name and case. Whatever is not here,
// it does.
var limits = map[string]map[string]e2e.Result{
	"gnet-engine": {"detach": e2e.Has("the example turns its gnet engine until core's has ended")},
}

// held is the most that an engine keeps of one connection, in bytes, where that
// is not the suite's default.
var held = map[string]int{}
