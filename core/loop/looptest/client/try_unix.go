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
