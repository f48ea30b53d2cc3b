//go:build !unix

package client

import (
	"errors"
	"fmt"
)

// TryWrite writes what fits without waiting; errors.ErrUnsupported here.
func (c *Conn) TryWrite(p []byte) (n int, err error) {
	return 0, fmt.Errorf("client: TryWrite: %w", errors.ErrUnsupported)
}
