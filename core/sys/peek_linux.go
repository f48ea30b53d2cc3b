package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CanPeek says that PeekHead and SetReceiveLow work here.
const CanPeek = true

// PeekHead copies the first bytes that wait on a socket to p, without taking
// them, and tells how many wait in all. (0, 0, nil) is the end of the stream.
func PeekHead(fd int, p []byte) (n, waiting int, err error) {
	r, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, 0, e
	}
	n = int(r)
	if n < len(p) {
		return n, n, nil
	}
	var w int32
	if _, _, e = syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), unix.TIOCINQ, uintptr(unsafe.Pointer(&w))); e != 0 {
		return n, n, e
	}
	return n, int(w), nil
}

// SetReceiveLow makes a socket readable only when n bytes wait, or the stream has
// ended (SO_RCVLOWAT).
func SetReceiveLow(fd, n int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
}
