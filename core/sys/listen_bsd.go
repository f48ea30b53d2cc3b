//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package sys

const hasAbstract = false

func setFastOpen(int, int) error { return ErrUnsupported }

// ListenNoDelay reports that each connection has to be told.
func ListenNoDelay(int) bool { return false }

// BindToDevice is not supported here.
func BindToDevice(fd int, name string) error { return bindToDevice(fd, name) }
