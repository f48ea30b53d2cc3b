//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package extpoll

import "golang.org/x/sys/unix"

type brief struct{}

func (*brief) wait([]unix.PollFd, bool) int { return 0 }
