//go:build !linux

package sys

// CanBecome reports whether ExecAs is supported here.
const CanBecome = false

// ExecAs is not supported here.
func ExecAs(Identity, string, []string, []string, []int) error { return ErrUnsupported }

// Memory is not supported here.
func Memory([]byte) (int, error) { return -1, ErrUnsupported }

// TakeMemory is not supported here.
func TakeMemory(int) ([]byte, error) { return nil, ErrUnsupported }

// CloseOnExec does nothing.
func CloseOnExec(int) error { return ErrUnsupported }
