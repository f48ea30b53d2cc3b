//go:build linux || darwin || freebsd

package evioloop

import (
	"bytes"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tidwall/evio"
)

// settled keeps a server from ending too early. evio signals the end of a loop by
// a condition variable, and the signal is lost if the goroutine in evio.Serve does
// not wait for it yet: Serve would never return. So an action that ends a loop is
// held back until it does, which is a moment after the start.
type settled struct {
	goroutine []byte // in evio.Serve, as it heads a stack
	seen      atomic.Bool
}

// patience is how often is looked, every millisecond: far longer than a goroutine
// is ever kept from running.
const patience = 5000

func (s *settled) begin() { s.goroutine = thisGoroutine() }

// end returns action when it may be returned to evio. A loop's goroutine only.
func (s *settled) end(action evio.Action) evio.Action {
	if action != evio.Shutdown || s.seen.Load() || bytes.Equal(s.goroutine, thisGoroutine()) {
		return action // what is called in Serve's own goroutine ends no loop
	}
	for range patience {
		if s.waits() {
			s.seen.Store(true)
			break
		}
		time.Sleep(time.Millisecond)
	}
	return action
}

// waits reports whether the goroutine in evio.Serve waits for its loops: after
// Serving there is no other condition variable in its way.
func (s *settled) waits() bool {
	buf := make([]byte, 64<<10)
	n := runtime.Stack(buf, true)
	for n == len(buf) && n < 64<<20 {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	return bytes.Contains(buf[:n], append(bytes.Clone(s.goroutine), "sync.Cond.Wait"...))
}

// thisGoroutine returns the head of the running goroutine's stack: "goroutine 7 [".
func thisGoroutine() []byte {
	var buf [64]byte
	b := buf[:runtime.Stack(buf[:], false)]
	i := bytes.IndexByte(b, '[')
	return bytes.Clone(b[:i+1])
}
