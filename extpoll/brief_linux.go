package extpoll

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// brief is a wait that Go's scheduler is not told of. The goroutine keeps its
// processor meanwhile, so that the answer to what was just sent is served without
// handing the processor over and getting it back, which costs more than an echo.
// Nothing else can run on that processor, and the collector has to wait for it:
// that is why it is so short. Where peers are not that quick it misses, and then
// is tried less and less often.
type brief struct {
	skip    int // asks without waiting, this many times
	penalty int // of the last miss
}

const (
	// briefWait is the most that a brief wait takes, ns; the kernel may add
	// its timer slack of as much again.
	briefWait = 50_000
	// maxPenalty is how many asks follow a miss without a wait, at most.
	maxPenalty = 1023
)

// wait asks for readiness: for briefWait at most if mayWait, else not at all. It
// returns 0 too where the system has no such call.
func (b *brief) wait(fds []unix.PollFd, mayWait bool) int {
	var d unix.Timespec
	waits := mayWait && b.skip == 0
	switch {
	case waits:
		d.Nsec = briefWait
	case mayWait:
		b.skip--
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)),
		uintptr(unsafe.Pointer(&d)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	switch {
	case !waits:
	case n == 0:
		b.penalty = min(2*b.penalty+1, maxPenalty)
		b.skip = b.penalty
	default:
		b.penalty /= 2
	}
	return int(n)
}
