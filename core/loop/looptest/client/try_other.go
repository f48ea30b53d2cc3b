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
