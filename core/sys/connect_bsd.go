//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func streamSocket(domain int) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(domain, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func bindToDevice(int, string) error { return ErrUnsupported }

func bindNoPort(int) {}
