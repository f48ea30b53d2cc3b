//go:build !poll_opt

package gnetloop

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"

	"anyloop/core/loop"
)

// TestForcedServiceStarvesNobody: while core has pending work without end, every
// ready descriptor is served once between two of its turns. A task that triggers
// itself again, gnet's other way, runs millions of times meanwhile.
func TestForcedServiceStarvesNobody(t *testing.T) {
	x := newFixture(t)
	a, apeer := pair(t)
	b, bpeer := pair(t)
	x.add(a, b)
	unix.Write(apeer, []byte("never read"))
	unix.Write(bpeer, []byte("never read"))
	x.f.pending = func() bool { return true }
	x.d.ring()
	const rounds = 1000
	last, served := map[int32]int{}, map[int32]int{}
	x.poll(func(fd int, ev netpoll.IOEvent) bool {
		x.f.ready = nil
		x.d.event(fd, ev)
		for _, p := range x.f.ready {
			if gap := x.f.turns - last[p.Fd]; gap > 2 {
				t.Errorf("%d waited for %d forced turns", p.Fd, gap)
			}
			last[p.Fd] = x.f.turns
			served[p.Fd]++
		}
		return x.f.turns == rounds || t.Failed()
	})
	for _, fd := range []int{a, b} {
		if n := served[int32(fd)]; n < rounds-2 {
			t.Errorf("%d was served %d times in %d forced turns", fd, n, rounds)
		}
	}
	if n := x.l.n; n.Rings != 1 || n.Clears != 0 {
		t.Errorf("%d rings and %d clears for work without end", n.Rings, n.Clears)
	}
}

// TestPendingWorkOfABatchIsDoneTogether: sixteen ready descriptors whose service
// leaves pending work make one turn, not sixteen.
func TestPendingWorkOfABatchIsDoneTogether(t *testing.T) {
	x := newFixture(t)
	owed := 0
	x.f.serve = func(fd int, _ loop.Events) {
		unix.Read(fd, make([]byte, 8))
		owed++
	}
	x.f.turn = func() { owed = 0 }
	x.f.pending = func() bool { return owed > 0 }
	for range 16 {
		fd, peer := pair(t)
		x.add(fd)
		unix.Write(peer, []byte("x"))
	}
	x.poll(func(fd int, ev netpoll.IOEvent) bool {
		x.d.event(fd, ev)
		return x.f.turns > 0
	})
	if n := x.l.n; len(x.f.ready) != 16 || x.f.turns != 1 || n.Rings != 1 || n.Clears != 1 {
		t.Errorf("%d served, %d turns, %d rings, %d clears", len(x.f.ready), x.f.turns, n.Rings, n.Clears)
	}
}

// TestOnlyAnEarlierDeadlineSetsTheTimer: one that moves away, as with every
// message of a connection, is left to come.
func TestOnlyAnEarlierDeadlineSetsTheTimer(t *testing.T) {
	x := newFixture(t)
	now := time.Now()
	for i, step := range []struct {
		in   time.Duration
		sets uint64
	}{{2 * time.Hour, 1}, {3 * time.Hour, 1}, {2 * time.Hour, 1}, {time.Hour, 2}, {90 * time.Minute, 2}} {
		x.f.deadline = now.Add(step.in)
		x.d.settle()
		if n := x.l.n.Timers; n != step.sets {
			t.Errorf("step %d: the timer was set %d times, want %d", i, n, step.sets)
		}
	}
	x.f.deadline = time.Time{}
	x.d.settle()
	if n := x.l.n; n.Timers != 2 || n.Rings != 0 {
		t.Errorf("without a deadline: %+v", n)
	}
}

// TestDeadlineMakesATurn: not before it is due, and also after it has moved.
func TestDeadlineMakesATurn(t *testing.T) {
	x := newFixture(t)
	x.f.deadline = time.Now().Add(5 * time.Millisecond)
	x.d.settle()
	x.f.deadline = x.f.deadline.Add(5 * time.Millisecond)
	due := x.f.deadline
	x.f.turn = func() {
		if !time.Now().Before(due) {
			x.f.deadline = time.Time{}
		}
	}
	x.poll(func(fd int, ev netpoll.IOEvent) bool {
		x.d.event(fd, ev)
		return x.f.deadline.IsZero()
	})
	if x.f.turns > 2 {
		t.Errorf("%d turns for two moments", x.f.turns)
	}
	if !x.d.at.IsZero() {
		t.Error("the timer counts as set")
	}
}

// TestUrgentDataDoesNotSpin: gnet's poller asks for EPOLLPRI along with reading,
// so a byte of urgent data is an event without EPOLLIN. Reading ends it.
func TestUrgentDataDoesNotSpin(t *testing.T) {
	x := newFixture(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.(*net.TCPConn).File()
	s.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd := int(f.Fd())
	syscall.SetNonblock(fd, true)
	x.add(fd)
	x.f.serve = func(fd int, ev loop.Events) {
		if ev != loop.In {
			t.Errorf("reported %#x", ev)
		}
		unix.Read(fd, make([]byte, 64))
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(to uintptr) { err = unix.Sendto(int(to), []byte("!"), unix.MSG_OOB, nil) })
	if err != nil {
		t.Fatal(err)
	}
	x.poll(func(fd int, ev netpoll.IOEvent) bool {
		x.d.event(fd, ev)
		return len(x.f.ready) > 0
	})
	for range 3 {
		if ev := x.seen(fd); ev != 0 {
			t.Fatalf("still reported after it was read: %#x", ev)
		}
	}
}

// refusing is a poller that takes no more registrations for a while.
type refusing struct {
	registrar
	refuse int
}

func (r *refusing) AddWrite(pa *netpoll.PollAttachment, et bool) error {
	if r.refuse > 0 {
		r.refuse--
		return unix.ENOSPC
	}
	return r.registrar.AddWrite(pa, et)
}

// TestRefusedChangeIsTriedAgain: write-only is a Delete and an Add, and the Add
// may fail where a change of mode must not.
func TestRefusedChangeIsTriedAgain(t *testing.T) {
	r := &refusing{}
	x := newFixtureOn(t, func(p registrar) registrar { r.registrar = p; return r })
	a, _ := pair(t)
	gone, _ := pair(t)
	x.add(a, gone)
	r.refuse = 4
	x.d.ChangeModePollFD(a, loop.In, loop.Out)
	x.d.ChangeModePollFD(gone, loop.In, loop.Out)
	x.d.DelPollFD(gone)
	x.poll(func(fd int, ev netpoll.IOEvent) bool {
		x.d.event(fd, ev)
		return len(x.f.ready) > 0
	})
	if p := x.f.ready[0]; int(p.Fd) != a || loop.Events(p.Revents) != loop.Out {
		t.Errorf("served %+v", p)
	}
	if r.refuse != 0 || len(x.d.lost) != 0 || x.l.n.Timers == 0 {
		t.Errorf("%d refusals left, %d lost, timer set %d times", r.refuse, len(x.d.lost), x.l.n.Timers)
	}
}
