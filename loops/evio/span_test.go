//go:build linux || darwin || freebsd

package evioloop

import (
	"os"
	"runtime"
	"testing"
)

// TestSpanEndsForAllAtOnce: evio's goroutine found the end of a span that another
// one was about to end, went on, and the next server could not watch the engine's
// loop, which was watched still. Whoever ends a span returns when it is gone.
func TestSpanEndsForAllAtOnce(t *testing.T) {
	for range 100 {
		b := &Bridge{spans: map[nonce]*span{}}
		ours, theirs, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		sp := &span{b: b, c: ours, read: make(chan struct{}), gone: make(chan struct{})}
		b.spans[sp.key] = sp
		go sp.end(nil)
		for over := false; !over; runtime.Gosched() {
			b.mu.Lock()
			over = sp.over
			b.mu.Unlock()
		}
		go close(sp.read)
		sp.end(nil)
		b.mu.Lock()
		left := len(b.spans)
		b.mu.Unlock()
		select {
		case <-sp.gone:
		default:
			t.Fatalf("end returned before the end, with %d spans left", left)
		}
	}
}
