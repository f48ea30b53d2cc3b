//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Read reads from a non-blocking descriptor. (0, 0) is the end of the stream.
func (io *IO) Read(fd int, p []byte) (int, syscall.Errno) {
	for {
		io.Reads++
		n, e := read(fd, p)
		if e == syscall.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		io.BytesIn += uint64(n)
		return n, 0
	}
}

// Write writes head followed by tail to a non-blocking descriptor, in one system
// call, and returns how much was taken.
func (io *IO) Write(fd int, head, tail []byte) (int, syscall.Errno) {
	for {
		var n int
		var e syscall.Errno
		switch {
		case len(tail) == 0:
			io.Writes++
			n, e = write(fd, head)
		case len(head) == 0:
			io.Writes++
			n, e = write(fd, tail)
		default:
			io.Writevs++
			n, e = writev(fd, head, tail)
		}
		if e == syscall.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		io.BytesOut += uint64(n)
		return n, 0
	}
}

// Accept takes one connection off a listener's queue; it is non-blocking and
// close-on-exec.
func (io *IO) Accept(fd int) (nfd int, peer Addr, errno syscall.Errno) {
	for {
		io.Accepts++
		nfd, peer, e := io.accept(fd)
		if e != syscall.EINTR {
			return nfd, peer, e
		}
	}
}

// Peek reports whether bytes wait on a socket: 1, or 0 at the end of the stream.
// ENOTSOCK on anything else.
func (io *IO) Peek(fd int) (int, syscall.Errno) {
	io.Peeks++
	var b [1]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil {
		return 0, errnoOf(err)
	}
	return n, 0
}

// HungUp asks poll(2) whether the descriptor is in error or hung up both ways.
func (io *IO) HungUp(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}

// SockError returns and clears a socket's pending error, 0 if there is none or
// it is no socket.
func (io *IO) SockError(fd int) syscall.Errno {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return 0
	}
	return syscall.Errno(v)
}

// CloseWrite sends the end of the stream.
func (io *IO) CloseWrite(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// Close closes a descriptor. EINTR is not retried: the descriptor is gone.
func (io *IO) Close(fd int) error {
	io.Closes++
	err := unix.Close(fd)
	if err == unix.EINTR {
		return nil
	}
	return err
}

func errnoOf(err error) syscall.Errno {
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return syscall.EIO
}

// Adopt makes a descriptor that somebody else has opened non-blocking and
// close-on-exec.
func Adopt(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	unix.CloseOnExec(fd)
	return nil
}

// IsTCP reports whether fd is a TCP socket.
func IsTCP(fd int) bool {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	switch sa.(type) {
	case *unix.SockaddrInet4, *unix.SockaddrInet6:
	default:
		return false
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && kind == unix.SOCK_STREAM
}

// FileLimit returns the process's soft limit of open files.
func FileLimit() (uint64, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, err
	}
	return uint64(r.Cur), nil
}
