package core_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"anyloop/core/loop"
	"anyloop/core/loop/sim"
)

// faulty is a simulated kernel that refuses things now and then, and whose loops
// sleep by themselves: they look at core's deadlines after each entry and when they
// are told to. What comes up between is told, or it is lost.
type faulty struct {
	*sim.Kernel
	r      *rand.Rand
	faults bool
	loops  map[int]*sleeper
	wrong  []string
}

var noRoom = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM}

func (k *faulty) Accept(fd int) (int, string, error) {
	if k.faults && k.r.IntN(6) == 0 {
		return -1, "", noRoom[k.r.IntN(len(noRoom))]
	}
	return k.Kernel.Accept(fd)
}

func (k *faulty) Open(n int, s loop.Service) (loop.Loop, error) {
	if k.faults && k.r.IntN(6) == 0 {
		return nil, syscall.ENOMEM
	}
	l := &sleeper{Service: s, k: k} // a turn is due: until is the beginning of time
	var err error
	l.Loop, err = k.Kernel.Open(n, l)
	k.loops[n] = l
	return l, err
}

// sleeper is one thread's loop, and what the kernel calls of core's side.
type sleeper struct {
	loop.Service
	loop.Loop
	k       *faulty
	until   time.Time // when it wakes up by itself
	rearmed bool
	in      bool
	closed  bool
}

func (l *sleeper) AddPollFD(fd int, ev loop.Events) error {
	if l.k.faults && l.k.r.IntN(6) == 0 {
		return noRoom[l.k.r.IntN(len(noRoom))]
	}
	return l.Loop.AddPollFD(fd, ev)
}

func (l *sleeper) Rearm() { l.rearmed = true }

func (l *sleeper) Close() error {
	l.closed = true
	return l.Loop.(loop.Closer).Close()
}

func (l *sleeper) ServiceFD(p *loop.PollFD) (mine bool) {
	l.entry(func() { mine = l.Service.ServiceFD(p) })
	return mine
}

func (l *sleeper) ServicePending() { l.entry(l.Service.ServicePending) }

func (l *sleeper) entry(f func()) {
	l.in = true
	f()
	l.in = false
	if !l.closed {
		l.sleep()
	}
	l.k.look("a turn of another thread")
}

// due is when there is something to do without any descriptor's readiness.
func (l *sleeper) due() time.Time {
	switch d := l.Service.AdjustTimeout(-1); {
	case d < 0:
		return l.k.Now().Add(1000 * time.Hour)
	case d > 0:
		return l.k.Now().Add(d)
	}
	return l.k.Now()
}

func (l *sleeper) sleep() { l.until, l.rearmed = l.due(), false }

// look checks that no loop sleeps for too long.
func (k *faulty) look(after string) {
	for n, l := range k.loops {
		if l.closed || l.in || !l.Service.Hosted() {
			continue
		}
		if due := l.due(); due.Before(l.until) && !l.rearmed {
			k.wrong = append(k.wrong, fmt.Sprintf("after %s, thread %d sleeps for %v too long", after, n, l.until.Sub(due)))
		}
		l.sleep()
	}
}
