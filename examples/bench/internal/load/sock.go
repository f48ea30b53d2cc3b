//go:build linux

package load

import (
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// sock is a socket as crypto/tls has it: it blocks during the handshake, and says
// "not now" afterwards, which a tls.Conn takes for a deadline and recovers from.
type sock struct {
	fd       int
	blocking bool
	dry      bool // the last read took all there was
}

// notNow is what a read says when nothing is there.
type notNow struct{}

func (notNow) Error() string   { return "nothing to read now" }
func (notNow) Timeout() bool   { return true }
func (notNow) Temporary() bool { return true }

var errNotNow = notNow{}

// patience is how long a peer may keep silent: a bound on a hang.
const patience = time.Minute

var errSilent = errors.New("the server says nothing")

func connect(addr string) (*sock, error) {
	a, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	to := &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}
	err = errors.Join(unix.Connect(fd, to), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), unix.SetNonblock(fd, true))
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &sock{fd: fd, blocking: true}, nil
}

func (s *sock) Read(p []byte) (int, error) {
	for {
		if s.dry && !s.blocking {
			s.dry = false
			return 0, errNotNow
		}
		n, err := unix.Read(s.fd, p)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN && !s.blocking:
			return 0, errNotNow
		case err == unix.EAGAIN:
			if err := s.wait(unix.POLLIN); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, errors.New(err.Error()) // an Errno may say that it is temporary
		case n == 0:
			return 0, io.ErrUnexpectedEOF
		default:
			s.dry = n < len(p)
			return n, nil
		}
	}
}

// Write writes everything.
func (s *sock) Write(p []byte) (n int, err error) {
	for n < len(p) {
		k, err := unix.Write(s.fd, p[n:])
		switch {
		case err == unix.EAGAIN:
			if err := s.wait(unix.POLLOUT); err != nil {
				return n, err
			}
		case err == unix.EINTR:
		case err != nil:
			return n, errors.New(err.Error())
		default:
			n += k
		}
	}
	return n, nil
}

func (s *sock) wait(events int16) error {
	p := []unix.PollFd{{Fd: int32(s.fd), Events: events}}
	for {
		n, err := unix.Poll(p, int(patience.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return errors.New(err.Error())
		case n == 0:
			return errSilent
		default:
			return nil
		}
	}
}

func (s *sock) Close() error                     { return unix.Close(s.fd) }
func (s *sock) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *sock) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *sock) SetDeadline(time.Time) error      { return nil }
func (s *sock) SetReadDeadline(time.Time) error  { return nil }
func (s *sock) SetWriteDeadline(time.Time) error { return nil }
