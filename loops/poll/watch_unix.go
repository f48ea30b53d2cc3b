//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package poll

import "golang.org/x/sys/unix"

// waiter returns a function that sleeps until set or bell is readable, and
// reports whether the bell is.
func waiter(set, bell int) func() (rung bool, err error) {
	fds := []unix.PollFd{{Fd: int32(set), Events: unix.POLLIN}, {Fd: int32(bell), Events: unix.POLLIN}}
	return func() (bool, error) {
		for {
			if _, err := unix.Poll(fds, -1); err == nil {
				return fds[1].Revents != 0, nil
			} else if err != unix.EINTR {
				return false, err
			}
		}
	}
}
