//go:build !unix

package client

import (
	"errors"
	"fmt"
	"net"
)

// TryWrite writes what fits without waiting; errors.ErrUnsupported here.
func (c *Conn) TryWrite(p []byte) (n int, err error) { return tryWrite(c.Conn, p) }

func tryWrite(net.Conn, []byte) (int, error) {
	return 0, fmt.Errorf("client: TryWrite: %w", errors.ErrUnsupported)
}

// Refusing returns "127.0.0.1:port" where nobody listens. free does nothing here, and
// somebody else may be given the port.
func Refusing() (addr string, free func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return l.Addr().String(), func() {}, l.Close()
}
