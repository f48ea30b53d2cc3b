package core

import "fmt"

// Leftovers says what an engine that has ended still keeps of its connections; ""
// if nothing.
func Leftovers(e *Engine) (left string) {
	for _, th := range e.threads {
		watched := 0
		for _, l := range th.table.All {
			if l != nil {
				watched++
			}
		}
		for _, n := range []struct {
			what string
			n    int
		}{
			{"links", th.nlinks}, {"conns", th.conns}, {"load", int(th.load.Load())}, {"in the table", watched},
			{"adrift", len(th.adrift)}, {"leaving", len(th.leaving)}, {"pending", th.npend}, {"limits", th.limits.Len()},
			{"listeners", len(th.listeners)}, {"handshakes", th.shakes.running}, {"posts", len(th.posts.waits)},
			{"removed vhosts", len(th.parting)}, {"header tables", th.headers.out},
		} {
			if n.n != 0 {
				left += fmt.Sprintf("thread %d: %d %s\n", th.index, n.n, n.what)
			}
		}
	}
	return left
}

// Loads compares what each thread counts of its connections when nothing is on its
// way; "" if it agrees.
func Loads(e *Engine) (wrong string) {
	for _, th := range e.threads {
		n := 0
		for _, l := range th.links() {
			if l.is(lfCounted) {
				n++
			}
		}
		if th.conns != n || int(th.load.Load()) != n {
			wrong += fmt.Sprintf("thread %d: %d conns, %d counted, load %d\n", th.index, n, th.conns, th.load.Load())
		}
	}
	return wrong
}

// Refs is what keeps Destroy from vh.
func Refs(vh *VirtualHost) int {
	if vh == nil {
		return 0
	}
	return int(vh.refs.Load())
}
