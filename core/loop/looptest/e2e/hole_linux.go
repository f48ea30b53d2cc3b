package e2e

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// hole returns an address where a SYN is not answered: that of a listener whose
// queue is full, which Linux makes deaf. fill takes it away.
func (s *scene) hole() (addr string, fill func()) {
	s.t.Helper()
	var open []int
	fill = func() {
		for _, fd := range open {
			syscall.Close(fd)
		}
	}
	socket := func() int {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		s.must(err)
		open = append(open, fd)
		return fd
	}
	ln := socket()
	s.must(syscall.Bind(ln, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	s.must(syscall.Listen(ln, 0))
	at, err := syscall.Getsockname(ln)
	s.must(err)
	for i := range 4 { // more than the queue takes
		fd := socket()
		if err := syscall.Connect(fd, at); err != nil && err != syscall.EINPROGRESS {
			s.must(err)
		}
		if i == 0 { // which is full when the first is in
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			if n, err := unix.Poll(p, int(s.host.Bound.Milliseconds())); n != 1 && err != unix.EINTR {
				s.t.Fatalf("the first is not let in: %v", err)
			}
		}
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port), fill
}
