//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package sys

const hasAbstract = false

func setFastOpen(int, int) error { return ErrUnsupported }
