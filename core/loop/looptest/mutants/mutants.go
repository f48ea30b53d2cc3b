// Package mutants breaks the contract of package loop, one line at a time: each
// mutant stands between core and a good loop and does what that line forbids. A
// test shows that the suite of package looptest finds each of them, by exactly
// the test that is named after the line.
package mutants

import (
	"strings"
	"syscall"
	"time"

	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
)

// Mutant is a broken pair of core and loop.
type Mutant struct {
	// Line of the contract that is broken, as the suite's tests begin:
	// "Line1_".
	Line string
	// What it does.
	What string
	make func(m *shim)
}

// Wrap puts the mutant in front of a backend.
func (m Mutant) Wrap(b loop.Backend) loop.Backend { return &shim{Backend: b, mutate: m.make} }

// shim passes everything on, except what the mutant has replaced.
type shim struct {
	loop.Backend
	mutate func(*shim)
	svc    loop.Service // core
	inner  loop.Loop    // the loop (with the probe)

	order   []int
	busy    string // the entry point that runs
	add     func(fd int, ev loop.Events) error
	del     func(fd int)
	change  func(fd int, prev, next loop.Events)
	service func(p *loop.PollFD) bool
	adjust  func(d time.Duration) time.Duration
	pending func()
}

// Open implements loop.Backend.
func (s *shim) Open(n int, svc loop.Service) (loop.Loop, error) {
	s.svc = svc
	l, err := s.Backend.Open(n, mutService{s})
	if err != nil {
		return nil, err
	}
	s.inner = l
	s.add, s.del, s.change = l.AddPollFD, l.DelPollFD, l.ChangeModePollFD
	s.service, s.adjust, s.pending = svc.ServiceFD, svc.AdjustTimeout, svc.ServicePending
	s.mutate(s)
	return mutLoop{s}, nil
}

type mutLoop struct{ s *shim }

func (l mutLoop) AddPollFD(fd int, ev loop.Events) error {
	l.s.order = append(l.s.order, fd)
	return l.s.add(fd, ev)
}
func (l mutLoop) DelPollFD(fd int)                                { l.s.del(fd) }
func (l mutLoop) ChangeModePollFD(fd int, prev, next loop.Events) { l.s.change(fd, prev, next) }
func (l mutLoop) Run() error                                      { return l.s.inner.(loop.Runner).Run() }
func (l mutLoop) Close() error                                    { return l.s.inner.(loop.Closer).Close() }

type mutService struct{ s *shim }

func (m mutService) ServiceFD(p *loop.PollFD) bool { return m.s.service(p) }
func (m mutService) AdjustTimeout(d time.Duration) time.Duration {
	return m.s.adjust(d)
}
func (m mutService) ServicePending() {
	m.s.busy = "pending"
	m.s.pending()
	m.s.busy = ""
}
func (m mutService) NextDeadline() (time.Time, bool) { return m.s.svc.NextDeadline() }
func (m mutService) Hosted() bool                    { return m.s.svc.Hosted() }
func (m mutService) Wake()                           { m.s.svc.Wake() }

// nth returns the descriptor of the n-th Add, -1 before it.
func (s *shim) nth(n int) int {
	if n >= len(s.order) {
		return -1
	}
	return s.order[n]
}

// All has a mutant for each line.
var All = []Mutant{
	{"Line1_", "a Change is told twice", func(s *shim) {
		good := s.change
		s.change = func(fd int, prev, next loop.Events) {
			good(fd, prev, next)
			if next != 0 {
				good(fd, next, next)
			}
		}
	}},
	{"Line2_", "a connection is watched in secret", func(s *shim) {
		hidden := -1
		add, del, change := s.add, s.del, s.change
		s.change = func(fd int, prev, next loop.Events) {
			if fd == hidden {
				looptest.Inner(s.inner).ChangeModePollFD(fd, prev, next)
				return
			}
			change(fd, prev, next)
		}
		s.add = func(fd int, ev loop.Events) error {
			if hidden == -1 && fd == s.nth(3) {
				hidden = fd
				return looptest.Inner(s.inner).AddPollFD(fd, ev)
			}
			return add(fd, ev)
		}
		s.del = func(fd int) {
			if fd == hidden {
				hidden = -2
				looptest.Inner(s.inner).DelPollFD(fd)
				return
			}
			del(fd)
		}
	}},
	{"Line3_", "foreign descriptors are taken", func(s *shim) {
		good := s.service
		s.service = func(p *loop.PollFD) bool {
			if !good(p) {
				p.Revents = 0
			}
			return true
		}
	}},
	{"Line4_", "readiness without Events is not served", func(s *shim) {
		good := s.service
		s.service = func(p *loop.PollFD) bool {
			if p.Events == 0 && p.Revents != 0 {
				p.Revents = 0
				return true
			}
			return good(p)
		}
	}},
	{"Line5_", "pending work does not shorten the sleep", func(s *shim) {
		good := s.adjust
		s.adjust = func(d time.Duration) time.Duration {
			if good(d) == 0 {
				return 10 * time.Millisecond
			}
			return good(d)
		}
	}},
	{"Line6_", "a report of a hang-up is believed", func(s *shim) {
		good := s.service
		s.service = func(p *loop.PollFD) bool {
			if loop.Events(p.Revents)&loop.Hup != 0 && p.Revents&int16(loop.In) == 0 {
				syscall.Shutdown(int(p.Fd), syscall.SHUT_RDWR)
			}
			return good(p)
		}
	}},
	{"Line7_", "the loop waits for a job of a worker", func(s *shim) {
		good := s.service
		s.service = func(p *loop.PollFD) bool {
			owned := good(p)
			for end := time.Now().Add(looptest.Bound + time.Second); looptest.Busy.Load() > 0 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			return owned
		}
	}},
	{"Line8_", "a wake-up touches the loop from its own goroutine", func(s *shim) {
		good := s.service
		s.service = func(p *loop.PollFD) bool {
			if int(p.Fd) != s.nth(0) || s.nth(2) < 0 {
				return good(p)
			}
			fd, done := s.nth(0), make(chan struct{})
			go func() {
				defer close(done)
				s.change(fd, loop.In, 0)
				s.change(fd, 0, loop.In)
			}()
			<-done
			return good(p)
		}
	}},
	{"Line9_", "interest none is held as In", func(s *shim) {
		add, change := s.add, s.change
		held := map[int]loop.Events{}
		s.add = func(fd int, ev loop.Events) error {
			held[fd] = ev
			return add(fd, ev)
		}
		s.change = func(fd int, _, next loop.Events) {
			if len(s.order) > 1 && fd == s.nth(1) { // the listener is line 12's
				change(fd, held[fd], next)
				held[fd] = next
				return
			}
			if next == 0 {
				next = loop.In
			}
			if held[fd] != next {
				change(fd, held[fd], next)
				held[fd] = next
			}
		}
	}},
	{"Line10_", "what a callback closes stays in the loop", func(s *shim) {
		del := s.del
		s.del = func(fd int) {
			if s.busy == "pending" && fd == s.nth(3) {
				return
			}
			del(fd)
		}
	}},
	{"Line11_", "a descriptor is served until it is dry", func(s *shim) {
		good := s.service
		s.service = func(p *loop.PollFD) bool {
			fd, rev := p.Fd, p.Revents
			owned := good(p)
			if owned && int(fd) == s.nth(2) {
				for range 200 {
					again := loop.PollFD{Fd: fd, Events: rev, Revents: rev}
					good(&again)
				}
			}
			return owned
		}
	}},
	{"Line12_", "the listener stays watched at the limit", func(s *shim) {
		change := s.change
		s.change = func(fd int, prev, next loop.Events) {
			if fd == s.nth(1) {
				return
			}
			change(fd, prev, next)
		}
	}},
	{"Line13_", "the wake-up is left behind", func(s *shim) {
		del := s.del
		s.del = func(fd int) {
			if fd != s.nth(0) {
				del(fd)
			}
		}
	}},
}

// Name returns "Line1: a Change is told twice".
func (m Mutant) Name() string { return strings.TrimSuffix(m.Line, "_") + ": " + m.What }
