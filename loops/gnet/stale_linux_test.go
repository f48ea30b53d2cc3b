//go:build !poll_opt

package gnetloop

import (
	"testing"

	"golang.org/x/sys/unix"

	"anyloop/core/loop"
)

// reuse makes fd's number another descriptor's, as core does when a connection
// closes and the next one is accepted.
func (x *fixture) reuse(fd, owner int) {
	x.t.Helper()
	x.d.DelPollFD(fd)
	if err := unix.Dup3(owner, fd, unix.O_CLOEXEC); err != nil { // closes it first
		x.t.Fatal(err)
	}
	if err := x.d.AddPollFD(fd, loop.In); err != nil {
		x.t.Fatal(err)
	}
}

func (x *fixture) add(fds ...int) {
	x.t.Helper()
	for _, fd := range fds {
		if err := x.d.AddPollFD(fd, loop.In); err != nil {
			x.t.Fatal(err)
		}
		x.t.Cleanup(func() { x.d.DelPollFD(fd) })
	}
}

// TestStaleEventsGoToNobody: the service of A closes B, and a new descriptor gets
// B's number, all in one batch of the poller that holds an event of B. gnet's
// poller delivers it by the number, so to the new owner.
func TestStaleEventsGoToNobody(t *testing.T) {
	for _, earlier := range []int{0, 1, 5} { // batches before, so that rounds stand anywhere
		x := newFixture(t)
		a, apeer := pair(t)
		b, bpeer := pair(t)
		next, nextPeer := pair(t)
		x.add(a, b)
		for range earlier {
			x.batch()
		}
		x.f.ready = nil
		x.f.serve = func(fd int, _ loop.Events) {
			if fd == a {
				unix.Read(a, make([]byte, 8))
				x.reuse(b, next)
			}
		}
		unix.Write(apeer, []byte("a"))
		unix.Write(bpeer, []byte("b"))
		x.batch()
		if len(x.f.ready) != 1 || int(x.f.ready[0].Fd) != a {
			t.Errorf("after %d batches: served %v; only %d was ready", earlier, x.f.ready, a)
		}
		if x.l.n.Stale != 1 {
			t.Errorf("after %d batches: %d stale events, want the one", earlier, x.l.n.Stale)
		}
		unix.Write(nextPeer, []byte("for the new owner"))
		if ev := x.seen(b); ev != loop.In {
			t.Errorf("after %d batches: the new owner's own event: %#x", earlier, ev)
		}
	}
}

// TestStaleEventAfterARoundBegan: a round that begins between the reuse and the
// stale event does not prove another batch, since what was reported twice may
// have been reported before the reuse.
func TestStaleEventAfterARoundBegan(t *testing.T) {
	x := newFixture(t)
	y, _ := pair(t)
	z, _ := pair(t)
	b, _ := pair(t)
	next, _ := pair(t)
	x.add(y, z, b)
	x.d.event(z, unix.EPOLLIN) // one batch
	x.f.serve = func(fd int, _ loop.Events) {
		if fd == y {
			x.reuse(b, next)
		}
	}
	for _, fd := range []int{y, z, b} { // the next
		x.d.event(fd, unix.EPOLLIN)
	}
	if n := x.l.n; n.Stale != 1 || len(x.f.ready) != 3 {
		t.Errorf("%d stale events; served %v", n.Stale, x.f.ready)
	}
}

// TestReuseInAnotherBatchIsNotAskedAbout: connections that come and go cost no
// call to tell stale events.
func TestReuseInAnotherBatchIsNotAskedAbout(t *testing.T) {
	x := newFixture(t)
	b, _ := pair(t)
	next, nextPeer := pair(t)
	x.add(b)
	x.d.DelPollFD(b)
	x.batch()
	x.batch()
	x.add(b)
	x.reuse(b, next)
	x.batch()
	x.batch()
	unix.Write(nextPeer, []byte("x"))
	if ev := x.seen(b); ev != loop.In || x.l.n.Checks != 0 {
		t.Errorf("reported %#x after %d checks", ev, x.l.n.Checks)
	}
}

// TestEventsOfNobody: descriptors that are not ours, parked ones, and those that
// are gone touch nothing.
func TestEventsOfNobody(t *testing.T) {
	x := newFixture(t)
	a, _ := pair(t)
	for _, fd := range []int{-1, 0, a, 1 << 20} {
		if x.d.event(fd, unix.EPOLLIN) {
			t.Errorf("%d was taken for ours", fd)
		}
	}
	if err := x.d.AddPollFD(a, 0); err != nil {
		t.Fatal(err)
	}
	if !x.d.event(a, unix.EPOLLIN) {
		t.Error("a parked descriptor was taken for the application's")
	}
	x.d.DelPollFD(a)
	if x.d.event(a, unix.EPOLLIN) {
		t.Error("a descriptor that has left was taken for ours")
	}
	if len(x.f.ready) != 0 || x.l.n.Adds+x.l.n.Deletes != 0 {
		t.Errorf("served %v, counted %+v", x.f.ready, x.l.n)
	}
}
