//go:build linux

package crowd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// client is one WebSocket.
type client struct {
	fd    int
	state uint8
	head  []byte // the server's answer to the handshake, as long as it is incomplete

	ask, answer []byte  // of the messages under way
	got         int     // bytes of the answer that comes now
	flight      []int64 // of the messages under way, from first on: when each was sent, or its number
	first       int
}

const (
	connecting uint8 = iota
	upgrading
	trying // the first echo is under way
	open
)

func newCrowd(addr string) (*crowd, error) {
	a, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return nil, err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &crowd{to: unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}, ep: ep}, err
}

// perAddress is how many connections share one address of ours: there are 28,000
// ports for each by default, some of which still belong to connections that have
// just ended.
const perAddress = 10_000

// connect begins one more connection.
func (c *crowd) connect() (*client, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	p := &client{fd: fd}
	from := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + c.made/perAddress%200)}}
	c.made++
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.Bind(fd, from))
	if err == nil {
		if err = unix.Connect(fd, &c.to); err == unix.EINPROGRESS {
			err = nil
		}
	}
	if err == nil {
		err = unix.EpollCtl(c.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | edge, Fd: int32(fd)})
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	for fd >= len(c.byFD) {
		c.byFD = append(c.byFD, nil)
	}
	c.byFD[fd] = p
	return p, nil
}

const edge = 1 << 31 // EPOLLET, which package unix has as a negative number

// wait collects events, for d at most; a signal ends it, too. When nothing has come
// for too long, that is an error.
func (c *crowd) wait(d time.Duration) ([]unix.EpollEvent, error) {
	t := unix.NsecToTimespec(max(int64(d), 0))
	n, errno := 0, unix.Errno(unix.ENOSYS)
	if !c.lacks {
		var r uintptr
		r, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(c.ep), uintptr(unsafe.Pointer(&c.events)), uintptr(len(c.events)),
			uintptr(unsafe.Pointer(&t)), 0, 0)
		n = int(r)
	}
	var err error
	switch errno {
	case 0:
	case unix.EINTR:
		n = 0
	case unix.ENOSYS: // Linux before 5.11
		c.lacks = true
		if n, err = unix.EpollWait(c.ep, c.events[:], int((d+time.Millisecond-1)/time.Millisecond)); err == unix.EINTR {
			n, err = 0, nil
		}
	default:
		err = errno
	}
	switch at := now(); {
	case n > 0 || c.heard == 0:
		c.heard = at
	case err == nil && at-c.heard > int64(patience):
		err = errSilent
	}
	return c.events[:max(n, 0)], err
}

// read reads once. 0 is nothing now; the server's end is an error.
func (p *client) read(buf []byte) (int, error) {
	for {
		n, err := unix.Read(p.fd, buf)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, nil
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.ErrUnexpectedEOF
		default:
			return n, nil
		}
	}
}

// write writes all of b, which the socket must have room for.
func (p *client) write(b []byte) error {
	n, err := unix.Write(p.fd, b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// receive reads what is there and calls done for each answer that is complete. It
// reads again only if the buffer was filled.
func (p *client) receive(buf []byte, done func()) error {
	for {
		n, err := p.read(buf)
		if err != nil {
			return err
		}
		for b := buf[:n]; len(b) > 0; {
			if p.got == 0 && b[0] == ping {
				if b, err = p.pong(b); err != nil {
					return err
				}
				continue
			}
			k := min(len(b), len(p.answer)-p.got)
			if p.answer == nil || !bytes.Equal(b[:k], p.answer[p.got:p.got+k]) {
				return fmt.Errorf("what came back is not what was sent: %q", b[:min(k, 100)])
			}
			if p.got += k; p.got == len(p.answer) {
				p.got = 0
				done()
			}
			b = b[k:]
		}
		if n < len(buf) {
			return nil
		}
	}
}

// push notes a message under way.
func (p *client) push(v int64) {
	if p.first == len(p.flight) {
		p.flight, p.first = p.flight[:0], 0
	}
	p.flight = append(p.flight, v)
}

// pop returns the oldest message under way, false if there is none.
func (p *client) pop() (int64, bool) {
	if p.first == len(p.flight) {
		return 0, false
	}
	p.first++
	return p.flight[p.first-1], true
}

const ping = 0x89 // first byte of a Ping

// pong answers the Ping that b begins with, which must be whole and short, and
// returns what is behind it.
func (p *client) pong(b []byte) ([]byte, error) {
	if len(b) < 2 || b[0] != ping || b[1] > 125 || len(b) < 2+int(b[1]) {
		return nil, fmt.Errorf("neither whole nor a Ping: %q", b[:min(len(b), 100)])
	}
	size := 2 + int(b[1])
	return b[size:], p.write(append([]byte{0x8a, 0x80 | b[1], 0, 0, 0, 0}, b[2:size]...)) // a mask of zeros
}
