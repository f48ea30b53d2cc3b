//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func read(fd int, p []byte) (int, syscall.Errno) {
	n, err := unix.Read(fd, p)
	if err != nil {
		return 0, errnoOf(err)
	}
	return n, 0
}

func write(fd int, p []byte) (int, syscall.Errno) {
	n, err := unix.Write(fd, p)
	if err != nil {
		return 0, errnoOf(err)
	}
	return n, 0
}

// writev joins what is small and leaves the rest for the next call: these
// systems' writev wrappers allocate.
func writev(fd int, a, b []byte) (int, syscall.Errno) {
	n, e := write(fd, a)
	if e != 0 || n < len(a) {
		return n, e
	}
	m, e := write(fd, b)
	if e != 0 {
		return n, 0 // the error comes again with the next write
	}
	return n + m, 0
}

func (io *IO) accept(fd int) (int, Addr, syscall.Errno) {
	syscall.ForkLock.RLock()
	nfd, sa, err := unix.Accept(fd)
	if err == nil {
		unix.CloseOnExec(nfd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, Addr{}, errnoOf(err)
	}
	if err := unix.SetNonblock(nfd, true); err != nil {
		unix.Close(nfd)
		return -1, Addr{}, errnoOf(err)
	}
	return nfd, addrOf(sa), 0
}

// SetKeepAlive turns on TCP keepalive; idle, interval and probes are the
// system's own on this platform.
func SetKeepAlive(fd int, idle, interval seconds, probes int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
}
