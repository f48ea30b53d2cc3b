package main

import (
	"net"
	"slices"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

func init() {
	bare["epoll"] = bareEpoll
	bare["poll2"] = barePoll2
	bare["netpoll"] = bareNetpoll
}

// listener opens a non-blocking listening socket.
func listener(addr string) (int, error) {
	a, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	sa := &unix.SockaddrInet4{Port: a.Port}
	copy(sa.Addr[:], a.IP.To4())
	if err := unix.Bind(fd, sa); err != nil {
		return -1, err
	}
	return fd, unix.Listen(fd, 1024)
}

// echoer does the work of a bare loop for one ready descriptor.
type echoer struct {
	lfd int
	buf [64 << 10]byte
	add func(fd int) error
	del func(fd int) // before it is closed; nil: the system sees to it
}

func (e *echoer) ready(fd int) error {
	if fd == e.lfd {
		nfd, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(nfd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
		return e.add(nfd)
	}
	n, err := unix.Read(fd, e.buf[:])
	if n > 0 {
		_, err = unix.Write(fd, e.buf[:n])
	}
	if n == 0 || err != nil && err != unix.EAGAIN {
		if e.del != nil {
			e.del(fd)
		}
		unix.Close(fd)
	}
	return nil
}

func bareEpoll(addr string, ready func()) error {
	lfd, err := listener(addr)
	if err != nil {
		return err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	e := &echoer{lfd: lfd, add: func(fd int) error {
		return unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}}
	if err := e.add(lfd); err != nil {
		return err
	}
	ready()
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(ep, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for i := range max(n, 0) {
			if err := e.ready(int(events[i].Fd)); err != nil {
				return err
			}
		}
	}
}

// barePoll2 is the same with poll(2), which is asked about all connections each
// time.
func barePoll2(addr string, ready func()) error {
	lfd, err := listener(addr)
	if err != nil {
		return err
	}
	var fds []unix.PollFd
	e := &echoer{lfd: lfd}
	e.add = func(fd int) error {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		return nil
	}
	e.del = func(fd int) {
		fds = slices.DeleteFunc(fds, func(p unix.PollFd) bool { return p.Fd == int32(fd) })
	}
	if err := e.add(lfd); err != nil {
		return err
	}
	ready()
	for {
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return err
		}
		for i := 0; i < len(fds); i++ {
			if fds[i].Revents == 0 {
				continue
			}
			if err := e.ready(int(fds[i].Fd)); err != nil {
				return err
			}
		}
	}
}

// bareNetpoll is the same on gnet's poller, without the rest of gnet.
func bareNetpoll(addr string, ready func()) error {
	lfd, err := listener(addr)
	if err != nil {
		return err
	}
	p, err := netpoll.OpenPoller()
	if err != nil {
		return err
	}
	kept := map[int]*netpoll.PollAttachment{}
	e := &echoer{lfd: lfd}
	e.add = func(fd int) error {
		kept[fd] = &netpoll.PollAttachment{FD: fd}
		return p.AddRead(kept[fd], false)
	}
	if err := e.add(lfd); err != nil {
		return err
	}
	ready()
	return p.Polling(func(fd int, _ netpoll.IOEvent, _ netpoll.IOFlags) error { return e.ready(fd) })
}
