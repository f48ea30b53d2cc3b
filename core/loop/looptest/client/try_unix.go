//go:build unix

package client

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// TryWrite writes what fits without waiting: 0 and no error if nothing does. Over
// TLS the end of what it took may wait for the next call, or for a Write.
func (c *Conn) TryWrite(p []byte) (n int, err error) {
	if t := c.TLS(); t != nil {
		return t.TryWrite(p)
	}
	return tryWrite(c.Conn, p)
}

func tryWrite(c net.Conn, p []byte) (n int, err error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("client: TryWrite: %w", errors.ErrUnsupported)
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		n, failed = syscall.Write(int(fd), p)
		return true
	})
	if failed == syscall.EAGAIN || failed == syscall.EINTR {
		return 0, err
	}
	return max(n, 0), errors.Join(err, failed)
}

// Refusing returns "127.0.0.1:port" where connections are refused until free is
// called: nobody listens there, and since the port is taken nobody else can.
func Refusing() (addr string, free func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return "", nil, err
	}
	syscall.CloseOnExec(fd)
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	var at syscall.Sockaddr
	if err == nil {
		at, err = syscall.Getsockname(fd)
	}
	if err != nil {
		syscall.Close(fd)
		return "", nil, err
	}
	return fmt.Sprint("127.0.0.1:", at.(*syscall.SockaddrInet4).Port), func() { syscall.Close(fd) }, nil
}
