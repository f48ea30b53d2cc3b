package poll

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// spin keeps asking for a moment before the loop goes to sleep. Falling asleep and
// being woken costs the system several times what a message costs, most of all in a
// virtual machine, and the answer to what was just sent often comes sooner. It spins
// no longer than a sleep costs, so it never costs more than twice as much as the
// better choice; and where peers are not that quick it misses, and then tries less
// and less often: after ten misses in a row, before one sleep of a thousand.
//
// What else can run on this processor runs first; then Go's scheduler is told
// nothing, so that what becomes ready meanwhile waits for as long.
type spin struct {
	skip    int // sleeps at once, this many times
	penalty int // of the last miss
	clock   func() int64
}

const (
	// spinTime is how long it lasts, ns.
	spinTime = 20_000
	// maxPenalty is how many sleeps follow a miss at once, at most.
	maxPenalty = 1023
)

var started = time.Now()

// ticks is the system's monotonic clock, ns.
func ticks() int64 { return int64(time.Since(started)) }

// wait asks for events: repeatedly if the loop would sleep otherwise.
func (s *spin) wait(ep int, evs []unix.EpollEvent, sleepy bool) (int, syscall.Errno) {
	n, errno := ask(ep, evs)
	if n > 0 || errno != 0 || !sleepy {
		return n, errno
	}
	if s.skip > 0 {
		s.skip--
		return 0, 0
	}
	runtime.Gosched()
	for end := s.clock() + spinTime; s.clock() < end; {
		if n, errno = ask(ep, evs); n > 0 || errno != 0 {
			s.penalty /= 2
			return n, errno
		}
	}
	s.penalty = min(2*s.penalty+1, maxPenalty)
	s.skip = s.penalty
	return 0, 0
}

// ask returns the events that are there.
func ask(ep int, evs []unix.EpollEvent) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(unsafe.SliceData(evs))), uintptr(len(evs)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
