//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

// early is a connection that came before gnet listened.
type early struct {
	fd     int
	peer   string
	accept acceptFunc
}

// collect takes the connections that have come to our own sockets, which gnet's
// replace.
func (sl *StreamLoops) collect(all []*listener) (came []early) {
	var io sys.IO
	for _, l := range all {
		if l.held < 0 {
			continue
		}
		divert(l.held)
		for {
			fd, peer, e := io.Accept(l.held)
			if e != 0 {
				break
			}
			came = append(came, early{fd, peer.String(), l.accept})
		}
	}
	sl.mu.Lock()
	release(all, true)
	sl.mu.Unlock()
	return came
}

// first shares early connections out to the threads, which turn by themselves: no
// event loop of gnet's has one yet. Core serves them by their descriptors.
func (sl *StreamLoops) first(came []early) {
	sl.b.mu.Lock()
	seats := slices.DeleteFunc(slices.Clone(sl.b.seats), func(st *seat) bool { return st == nil })
	sl.b.mu.Unlock()
	if len(seats) == 0 {
		refuse(came)
	}
	for i, st := range seats {
		var mine []early
		for j := i; j < len(came); j += len(seats) {
			mine = append(mine, came[j])
		}
		st.welcome(mine)
	}
}

// welcome has a thread that turns by itself serve connections, and waits until it
// has them.
func (st *seat) welcome(came []early) {
	if len(came) == 0 {
		return
	}
	done := make(chan struct{})
	var begun atomic.Bool
	job := func() {
		if begun.Swap(true) {
			return
		}
		for _, c := range came {
			sc, err := c.accept(st.thread, nobody{}, c.peer)
			if err != nil || sc.Steal(c.fd, nil) != nil {
				unix.Close(c.fd)
			}
		}
		close(done)
	}
	if err := st.own.post(&turn{hl: st.own, st: st, job: job}); err == nil {
		select {
		case <-done:
			return
		case <-st.left:
		}
	}
	if begun.Swap(true) {
		<-done
		return
	}
	refuse(came)
}

func refuse(came []early) {
	for _, c := range came {
		unix.Close(c.fd)
	}
}

// nobody is the engine of a connection in the moment before core has its descriptor.
type nobody struct{}

var _ loop.Stream = nobody{}

// Write implements loop.Stream.
func (nobody) Write(_, _ []byte) (int, error) { return 0, nil }

// Buffered implements loop.Stream.
func (nobody) Buffered() int { return 0 }

// PauseInput implements loop.Stream.
func (nobody) PauseInput(bool) {}

// CloseWrite implements loop.Stream.
func (nobody) CloseWrite() error { return nil }

// Close implements loop.Stream.
func (nobody) Close() error { return nil }
