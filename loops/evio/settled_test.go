//go:build linux || darwin || freebsd

package evioloop

import (
	"math"
	"runtime"
	"sync"
	"testing"

	"github.com/tidwall/evio"
)

// TestDefectEndOfALoopIsLost: evio loses the end of a loop that comes before the
// goroutine in Serve waits for it. Ours do not come before: an action that ends a
// loop is held back until a goroutine waits for a condition variable.
func TestDefectEndOfALoopIsLost(t *testing.T) {
	var s settled
	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	begun, gate := make(chan struct{}), make(chan struct{})
	over := false
	serve := make(chan struct{})
	go func() { // in the place of Serve
		defer close(serve)
		s.begin()
		close(begun)
		<-gate
		mu.Lock()
		for !over {
			cond.Wait()
		}
		mu.Unlock()
	}()
	<-begun
	if s.end(evio.Close) != evio.Close || s.waits() {
		t.Fatal("nobody waits yet")
	}
	ended := make(chan struct{})
	go func() { // in the place of a loop
		defer close(ended)
		if s.end(evio.Shutdown) != evio.Shutdown || !s.seen.Load() {
			t.Error("the end was not held back")
		}
		// The signal that would be lost if nobody waited.
		mu.Lock()
		over = true
		cond.Signal()
		mu.Unlock()
	}()
	for range 100 {
		runtime.Gosched()
	}
	select {
	case <-ended:
		t.Error("ended before Serve waits")
	default:
	}
	close(gate)
	<-ended
	<-serve
}

// TestLoopsThatEndAtOnceAreNotHeld: two loops that ended at the same moment, the
// second of which looked when Serve had heard of the first and waited for the rest
// of its loops, held the server back for as long as settled has patience: minutes,
// beside many goroutines.
func TestLoopsThatEndAtOnceAreNotHeld(t *testing.T) {
	t.Run("another loop has seen it", func(t *testing.T) {
		var s settled
		s.goroutine = []byte("no goroutine [")
		held := make(chan struct{})
		go func() { defer close(held); s.hold(math.MaxInt) }()
		for range 100 {
			runtime.Gosched()
		}
		s.seen.Store(true)
		<-held
	})
	t.Run("Serve waits for the rest", func(t *testing.T) {
		var s settled
		var rest sync.WaitGroup
		rest.Add(1)
		begun, serve := make(chan struct{}), make(chan struct{})
		go func() { // in the place of Serve
			defer close(serve)
			s.begin()
			close(begun)
			rest.Wait()
		}()
		<-begun
		s.hold(math.MaxInt)
		if !s.seen.Load() {
			t.Error("not seen")
		}
		rest.Done()
		<-serve
	})
}

// TestServedAgainIsHeldAgain: wrapped events that were served a second time took
// what was seen of the first Serve for the second's.
func TestServedAgainIsHeldAgain(t *testing.T) {
	var s settled
	s.begin()
	s.seen.Store(true)
	if s.begin(); s.seen.Load() {
		t.Error("nobody has seen this Serve wait")
	}
}
