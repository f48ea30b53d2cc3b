//go:build linux || darwin || freebsd

package evioloop

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
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

// TestTheBridgeIsNotGosPollers: a socket that Go's poller watches is reported to it
// each time that its peer has read something; so every turn woke a thread for
// nothing.
func TestTheBridgeIsNotGosPollers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := connected(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now()); !errors.Is(err, os.ErrNoDeadline) {
		t.Errorf("a deadline can be set, since the poller watches it: %v", err)
	}
}
