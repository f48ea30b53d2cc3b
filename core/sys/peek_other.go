//go:build !linux

package sys

import "errors"

// CanPeek says that PeekHead and SetReceiveLow do not work here.
const CanPeek = false

// PeekHead is not to be had here.
func PeekHead(int, []byte) (n, waiting int, err error) { return 0, 0, errors.ErrUnsupported }

// SetReceiveLow is not to be had here.
func SetReceiveLow(int, int) error { return errors.ErrUnsupported }
