//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

// Package extpoll is a poll(2) array that the application owns and shares with
// core: its own descriptors and core's lie side by side, and one poll(2) waits
// for all.
//
//	set := extpoll.New()
//	eng, err := core.New(core.Config{Backend: set.Backend(), ...})
//	set.Add(myFD, loop.In)
//	for running {
//		err := set.Turn(-1, func(p *loop.PollFD) { mine(p) })
//	}
//
// Whoever writes this loop by hand meets three traps, which this package is made
// to avoid:
//
//   - poll(2) that is interrupted (EINTR) leaves the Revents of the time before.
//   - A descriptor that is removed must take its Revents along, or the next owner
//     of the slot, or of the number, gets readiness that is not its own.
//   - The array must not be compacted while somebody walks it, or the entry that
//     is moved into a gap is not seen.
//
// All methods belong to one goroutine at a time, the one that turns the loop.
package extpoll

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core/loop"
)

// ErrInTurn says that Turn, Wait or Each was called inside mine, or inside a
// callback of core, where a turn of the set is under way.
var ErrInTurn = errors.New("extpoll: called inside a turn of the same set")

// Set is the array. Use New.
type Set struct {
	fds   []unix.PollFd // what goes to poll(2); Fd < 0 is a gap
	index []int32       // of each descriptor in fds, plus one; 0: none
	gaps  int
	hosts []*hosted
	now   loop.PollFD // the entry being served: a copy, since the array may move
	walk  bool        // Each or Pending is at it: mine or core may be inside
	busy  bool        // the last wait found something
	asks  uint64
	brief brief
}

// New returns an empty set.
func New() *Set { return &Set{} }

// Add starts watching a descriptor of the application. One that is watched
// already is an error. It has to stay open until Remove: keep the os.File or
// net.Conn that it came from, which the garbage collector closes otherwise.
func (s *Set) Add(fd int, ev loop.Events) error {
	if fd < 0 {
		return fmt.Errorf("extpoll: descriptor %d", fd)
	}
	for fd >= len(s.index) {
		s.index = append(s.index, make([]int32, max(64, len(s.index)))...)
	}
	if s.index[fd] != 0 {
		return fmt.Errorf("extpoll: descriptor %d: %w", fd, unix.EEXIST)
	}
	s.fds = append(s.fds, unix.PollFd{Fd: int32(fd), Events: int16(ev)})
	s.index[fd] = int32(len(s.fds))
	return nil
}

// Change replaces the interest in a descriptor.
func (s *Set) Change(fd int, ev loop.Events) error {
	p := s.entry(fd)
	if p == nil {
		return fmt.Errorf("extpoll: descriptor %d: %w", fd, unix.ENOENT)
	}
	p.Events = int16(ev)
	return nil
}

// Remove stops watching a descriptor; its readiness in this turn is forgotten.
func (s *Set) Remove(fd int) error {
	p := s.entry(fd)
	if p == nil {
		return fmt.Errorf("extpoll: descriptor %d: %w", fd, unix.ENOENT)
	}
	*p = unix.PollFd{Fd: -1}
	s.index[fd] = 0
	s.gaps++
	return nil
}

func (s *Set) entry(fd int) *unix.PollFd {
	if fd < 0 || fd >= len(s.index) || s.index[fd] == 0 {
		return nil
	}
	return &s.fds[s.index[fd]-1]
}

// Len returns the number of descriptors, the application's and core's.
func (s *Set) Len() int { return len(s.fds) - s.gaps }

// Interest returns what is asked of a descriptor; ok is false if it is not in
// the set.
func (s *Set) Interest(fd int) (ev loop.Events, ok bool) {
	p := s.entry(fd)
	if p == nil {
		return 0, false
	}
	return loop.Events(p.Events), true
}

// Turn waits at most d (d < 0: for ever, or until the next deadline of core),
// lets core handle its descriptors, calls mine for each ready descriptor that is
// the application's, and does core's pending work. mine may add, change and
// remove descriptors; its PollFD is a copy, valid until it returns.
//
// A turn does not nest: inside mine, and inside a callback of core, Turn does
// nothing and returns ErrInTurn. So mine must not wait for what takes another
// turn. Above all it must not call Engine.Shutdown, which would block the loop
// until its context ends: call Engine.Stop, and turn until Thread.Hosted is false.
//
// On Linux the first 50 µs of a wait that follows work keep the goroutine's
// processor from others, if peers have answered that fast before.
func (s *Set) Turn(d time.Duration, mine func(p *loop.PollFD)) error {
	if _, err := s.Wait(d); err != nil {
		return err
	}
	if err := s.Each(mine); err != nil {
		return err
	}
	s.Pending()
	return nil
}

// Wait is the first part of Turn. It returns how many descriptors are ready;
// ErrInTurn inside mine or a callback of core.
func (s *Set) Wait(d time.Duration) (n int, err error) {
	if s.walk {
		return 0, ErrInTurn
	}
	s.compact()
	for _, h := range s.hosts {
		d = h.svc.AdjustTimeout(d)
	}
	n, err = s.poll(loop.Millis(d))
	if s.busy = n > 0; err == nil {
		return n, nil
	}
	for i := range s.fds {
		s.fds[i].Revents = 0
	}
	if err == unix.EINTR {
		return 0, nil
	}
	return 0, fmt.Errorf("extpoll: %w", err)
}

// poll waits. While there is work, the system is asked for a moment without telling
// Go's scheduler (see brief); only when that finds nothing does the ordinary,
// blocking call follow, in which other goroutines have the processor.
func (s *Set) poll(ms int) (n int, err error) {
	if s.busy && ms != 0 {
		s.asks++
		if n = s.brief.wait(s.fds, true); n > 0 {
			return n, nil
		}
	}
	s.asks++
	return unix.Poll(s.fds, ms)
}

// Each is the second part of Turn: every ready descriptor goes to core, and to
// mine if it is not core's. What Turn says of mine holds here too: no Shutdown in
// it. ErrInTurn inside mine or a callback of core.
func (s *Set) Each(mine func(p *loop.PollFD)) error {
	if s.walk {
		return ErrInTurn
	}
	s.walk = true
	defer s.walked(false) // also if mine panics, and the application recovers
	// Entries that are added meanwhile lie behind n and have no readiness.
	for i, n := 0, len(s.fds); i < n; i++ {
		if s.fds[i].Revents == 0 || s.fds[i].Fd < 0 {
			continue
		}
		s.now = loop.PollFD(s.fds[i])
		s.fds[i].Revents = 0
		if !s.service(&s.now) && mine != nil {
			mine(&s.now)
		}
	}
	return nil
}

func (s *Set) walked(walk bool) { s.walk = walk }

func (s *Set) service(p *loop.PollFD) bool {
	for _, h := range s.hosts {
		if !h.over() && h.svc.ServiceFD(p) {
			return true
		}
	}
	return false
}

// Pending is the third part of Turn: core's work that no descriptor announces.
func (s *Set) Pending() {
	s.pending()
	s.compact()
}

func (s *Set) pending() {
	defer s.walked(s.walk) // it may be inside mine itself
	s.walk = true
	for i := 0; i < len(s.hosts); i++ {
		if h := s.hosts[i]; !h.over() {
			h.svc.ServicePending()
		}
	}
}

// compact closes the gaps, between turns only.
func (s *Set) compact() {
	if s.walk {
		return
	}
	hosts := s.hosts[:0]
	for _, h := range s.hosts {
		if !h.over() {
			hosts = append(hosts, h)
		}
	}
	clear(s.hosts[len(hosts):])
	s.hosts = hosts
	if s.gaps == 0 {
		return
	}
	n := 0
	for _, p := range s.fds {
		if p.Fd >= 0 {
			s.fds[n] = p
			s.index[p.Fd] = int32(n + 1)
			n++
		}
	}
	s.fds, s.gaps = s.fds[:n], 0
}

// Backend returns a backend that puts core's descriptors into the set: several
// engines, and several service threads of one, may share it.
func (s *Set) Backend() loop.Backend { return backend{s} }

type backend struct{ s *Set }

func (b backend) Info() loop.Info { return loop.Info{Name: "extpoll", Foreign: true} }

func (b backend) Open(_ int, svc loop.Service) (loop.Loop, error) {
	h := &hosted{s: b.s, svc: svc}
	b.s.hosts = append(b.s.hosts, h)
	return h, nil
}

// hosted is a service thread in the set.
type hosted struct {
	s    *Set
	svc  loop.Service
	left bool
}

func (h *hosted) AddPollFD(fd int, ev loop.Events) error       { return h.s.Add(fd, ev) }
func (h *hosted) DelPollFD(fd int)                             { h.s.Remove(fd) }
func (h *hosted) ChangeModePollFD(fd int, _, next loop.Events) { h.s.Change(fd, next) }

// Close implements loop.Closer: core has left the set, for good or for another
// loop, which hosts it by now.
func (h *hosted) Close() error {
	h.left = true
	return nil
}

func (h *hosted) over() bool { return h.left || !h.svc.Hosted() }
