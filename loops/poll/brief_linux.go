package poll

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// brief is a wait that Go's scheduler is not told of. The goroutine keeps its
// processor meanwhile, so that the answer to what was just sent is served without
// handing the processor over and getting it back, which costs more than an echo.
// Nothing else can run on that processor, and the collector has to wait for it:
// that is why it is so short. A loop whose peers are not that quick misses, and
// then tries less and less often.
type brief struct {
	skip    int  // asks without waiting, this many times
	penalty int  // of the last miss
	lacking bool // the system has no such call
}

const (
	// briefWait is the most that a brief wait takes, ns; the kernel may add
	// its timer slack of as much again.
	briefWait = 50_000
	// maxPenalty is how many asks follow a miss without a wait, at most.
	maxPenalty = 1023
)

// wait asks for events: for briefWait at most if mayWait, else not at all.
func (b *brief) wait(ep int, evs []unix.EpollEvent, mayWait bool) (int, syscall.Errno) {
	if !mayWait || b.lacking {
		return ask(ep, evs)
	}
	if b.skip > 0 {
		b.skip--
		return ask(ep, evs)
	}
	d := unix.Timespec{Nsec: briefWait}
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(ep), uintptr(unsafe.Pointer(unsafe.SliceData(evs))), uintptr(len(evs)),
		uintptr(unsafe.Pointer(&d)), 0, 0)
	switch {
	case errno == unix.ENOSYS || errno == unix.EPERM: // older than Linux 5.11, or a filter of its host
		b.lacking = true
		return ask(ep, evs)
	case errno != 0:
		return 0, errno
	case n == 0:
		b.penalty = min(2*b.penalty+1, maxPenalty)
		b.skip = b.penalty
	default:
		b.penalty /= 2
	}
	return int(n), 0
}

// ask returns the events that are there.
func ask(ep int, evs []unix.EpollEvent) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(unsafe.SliceData(evs))), uintptr(len(evs)), 0, 0, 0)
	return int(n), errno
}
