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

// begin is called in Serving. Wrapped events may be served one time after another.
func (s *settled) begin() {
	s.goroutine = thisGoroutine()
	s.seen.Store(false)
}

// end returns action when it may be returned to evio. A loop's goroutine only.
func (s *settled) end(action evio.Action) evio.Action {
	if action != evio.Shutdown || s.seen.Load() || bytes.Equal(s.goroutine, thisGoroutine()) {
		return action // what is called in Serve's own goroutine ends no loop
	}
	s.hold(patience)
	return action
}

// hold returns when some loop has seen Serve wait, or after that many looks.
// Several loops may end at once, and what one has seen may be over before the
// next looks: so it looks also for what Serve does then.
func (s *settled) hold(looks int) {
	for range looks {
		if s.seen.Load() {
			return
		}
		if s.waits() {
			s.seen.Store(true)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// waits reports whether the goroutine in evio.Serve waits for the end of its first
// loop, a condition variable, or for those of the others behind it, a wait group:
// after Serving there is no other of either in its way.
func (s *settled) waits() bool {
	buf := make([]byte, 64<<10)
	n := runtime.Stack(buf, true)
	for n == len(buf) && n < 64<<20 {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	for _, state := range []string{"sync.Cond.Wait", "sync.WaitGroup.Wait"} {
		if bytes.Contains(buf[:n], append(bytes.Clone(s.goroutine), state...)) {
			return true
		}
	}
	return false
}

// thisGoroutine returns the head of the running goroutine's stack: "goroutine 7 [".
func thisGoroutine() []byte {
	var buf [64]byte
	b := buf[:runtime.Stack(buf[:], false)]
	i := bytes.IndexByte(b, '[')
	return bytes.Clone(b[:i+1])
}
