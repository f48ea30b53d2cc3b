package e2e

import (
	"fmt"
	"syscall"
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
	for range 4 { // more than the queue takes; on the loopback each is answered at once, or not
		if err := syscall.Connect(socket(), at); err != nil && err != syscall.EINPROGRESS {
			s.must(err)
		}
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port), fill
}
