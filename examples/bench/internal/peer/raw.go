//go:build linux

package peer

import (
	"net"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() {
	servers["raw"] = func(c *Config) error { return rawLoop(c, false) }
	servers["rawws"] = func(c *Config) error { return rawLoop(c, true) }
}

// raw is the floor: an epoll loop on one thread with one receive buffer, which sends
// back what it reads. With ws it is the least that WebSocket framing costs on top of
// it: frames are unmasked and their headers rewritten in place, and all frames of one
// read leave by one write. It checks nothing that a real server has to check.
type raw struct {
	ws     bool
	ep     int
	listen int
	conns  []*rawConn // by descriptor
	buf    []byte
	pool   pool
}

// rawConn is a connection. All but the first is empty while it is idle.
type rawConn struct {
	fd   int
	open bool   // the handshake is done
	full bool   // waits for room to write, and is not read
	pend []byte // what the socket did not take
	own  []byte // the pooled buffer that pend lies in
	part []byte // start of a frame that is not whole, in a pooled buffer with room for it
}

// pool is a free list of large buffers.
type pool [][]byte

func (p *pool) get(n int) []byte {
	for i, b := range *p {
		if cap(b) >= n {
			last := len(*p) - 1
			(*p)[i] = (*p)[last]
			*p = (*p)[:last]
			return b[:0]
		}
	}
	return make([]byte, 0, (n+4095)&^4095)
}

func (p *pool) put(b []byte) {
	if b != nil && len(*p) < 64 {
		*p = append(*p, b)
	}
}

// call makes a system call on b without telling the scheduler, since nothing else has
// to run.
func call(trap uintptr, fd int, b []byte) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), e
}

// wait asks without blocking first, and blocks only if there is nothing to do.
func wait(ep int, events []unix.EpollEvent) []unix.EpollEvent {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_WAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if e == 0 && n > 0 {
		return events[:n]
	}
	runtime.Gosched()
	k, err := unix.EpollWait(ep, events, -1)
	if err != nil {
		return nil
	}
	return events[:k]
}

// listen makes a listening socket that does not block.
func listen(addr string) (int, error) {
	a, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}); err != nil {
		return 0, err
	}
	return fd, unix.Listen(fd, 4096)
}

func rawLoop(cfg *Config, ws bool) (err error) {
	runtime.LockOSThread()
	s := &raw{ws: ws, conns: make([]*rawConn, 1024), buf: make([]byte, 512<<10)}
	if s.listen, err = listen(cfg.Addr); err != nil {
		return err
	}
	if s.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if err := unix.EpollCtl(s.ep, unix.EPOLL_CTL_ADD, s.listen, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.listen)}); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 512)
	for {
		for _, ev := range wait(s.ep, events) {
			if int(ev.Fd) == s.listen {
				s.accept()
				continue
			}
			c := s.conns[ev.Fd]
			ok := true
			switch {
			case c == nil:
			case c.full:
				ok = s.write(c, c.pend, c.own)
			default:
				ok = s.read(c)
			}
			if !ok {
				s.conns[c.fd] = nil
				unix.Close(c.fd)
			}
		}
	}
}

func (s *raw) accept() {
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(s.listen), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		if e != 0 {
			return
		}
		fd := int(n)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		for fd >= len(s.conns) {
			s.conns = append(s.conns, make([]*rawConn, len(s.conns))...)
		}
		s.conns[fd] = &rawConn{fd: fd}
		unix.EpollCtl(s.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
}

// read reads once and answers. It returns false if the connection is over.
func (s *raw) read(c *rawConn) bool {
	in := s.buf
	if c.part != nil {
		in = c.part[len(c.part):cap(c.part)]
	}
	n, e := call(unix.SYS_READ, c.fd, in)
	switch {
	case e == unix.EAGAIN:
		return true
	case e != 0 || n == 0:
		return false
	}
	own, b := []byte(nil), in[:n]
	if c.part != nil {
		c.part = c.part[:len(c.part)+n]
		if c.open && len(c.part) < frameLen(c.part) {
			return true
		}
		own, b = c.part, c.part
		c.part = nil
	}
	if s.ws {
		out, rest, ok := c.frames(b)
		if !ok {
			return false
		}
		if len(rest) > 0 {
			c.part = append(s.pool.get(max(len(rest)+64, frameLen(rest))), rest...)
		}
		if b = out; len(b) == 0 {
			s.pool.put(own)
			return true
		}
	}
	return s.write(c, b, own)
}

// write sends b, which lies in the pooled buffer own or in the receive buffer. What
// the socket does not take waits for room.
func (s *raw) write(c *rawConn, b, own []byte) bool {
	n, e := call(unix.SYS_WRITE, c.fd, b)
	switch {
	case e == unix.EAGAIN:
		n = 0
	case e != 0:
		return false
	}
	was := c.full
	if b = b[n:]; len(b) > 0 {
		if own == nil {
			own = append(s.pool.get(len(b)), b...)
			b = own
		}
		c.pend, c.own, c.full = b, own, true
	} else {
		s.pool.put(own)
		c.pend, c.own, c.full = nil, nil, false
	}
	if c.full != was {
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}
		if c.full {
			ev.Events = unix.EPOLLOUT
		}
		unix.EpollCtl(s.ep, unix.EPOLL_CTL_MOD, c.fd, &ev)
	}
	return true
}
