//go:build linux || darwin || freebsd

package evioloop

import (
	"io"
	"syscall"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"

	"anyloop/core/loop"
)

// stealAt is how many bytes may come for a connection that is paused before its
// socket is taken from evio.
const stealAt = 64 << 10

// stream is a connection of evio's as core uses it; evio's goroutine only.
type stream struct {
	ln      *lane
	sc      loop.StreamConn
	fd      int
	late    int  // bytes that came while paused
	watched bool // full, and watched for room
	paused  bool
	leaving bool // about to be detached
	closed  bool // core has let go
	gone    bool // evio has let go
}

// received hands over what evio has read, and tells evio what is next.
func (s *stream) received(in []byte) evio.Action {
	if s.closed {
		return evio.Close
	}
	if s.paused {
		s.late += len(in)
	}
	s.sc.Feed(in)
	switch {
	case s.closed:
		return evio.Close
	case s.late >= stealAt || s.leaving:
		s.leaving = true
		return evio.Detach
	}
	return evio.None
}

// steal gives core the socket that evio has let go of.
func (s *stream) steal(rwc io.ReadWriteCloser) {
	s.unwatch()
	s.gone = true
	fd, err := detachedFD(rwc)
	switch {
	case err != nil:
		rwc.Close()
		s.sc.Closed(err)
	case s.closed:
		rwc.Close()
		s.sc.Closed(nil)
	default:
		if s.sc.Steal(fd, nil) != nil {
			rwc.Close()
		}
	}
}

// Write implements loop.Stream.
func (s *stream) Write(head, tail []byte) (int, error) {
	if s.gone || s.closed {
		return 0, syscall.EPIPE
	}
	n, e := s.ln.io.Write(s.fd, head, tail)
	if e != 0 && e != syscall.EAGAIN {
		return n, e
	}
	if n < len(head)+len(tail) {
		return n, s.watch()
	}
	return n, nil
}

// watch asks to be told when the socket has room again.
func (s *stream) watch() error {
	if s.watched {
		return nil
	}
	if err := s.ln.AddPollFD(s.fd, loop.Out); err != nil {
		return err
	}
	s.watched = true
	s.ln.waits[int32(s.fd)] = s
	return nil
}

func (s *stream) unwatch() {
	if s.watched {
		s.watched = false
		delete(s.ln.waits, int32(s.fd))
		s.ln.DelPollFD(s.fd)
	}
}

// Buffered implements loop.Stream: what was taken is the kernel's.
func (s *stream) Buffered() int { return 0 }

// PauseInput implements loop.Stream. evio goes on reading; see received.
func (s *stream) PauseInput(on bool) { s.paused, s.late = on, 0 }

// CloseWrite implements loop.Stream.
func (s *stream) CloseWrite() error {
	if s.gone {
		return syscall.EPIPE
	}
	return unix.Shutdown(s.fd, unix.SHUT_WR)
}

// Close implements loop.Stream. evio has no Close; it finds the end of the stream
// and calls Closed.
func (s *stream) Close() error {
	if s.closed || s.gone {
		return nil
	}
	s.closed = true
	s.unwatch()
	if err := unix.Shutdown(s.fd, unix.SHUT_RDWR); err != nil && err != unix.ENOTCONN {
		return err
	}
	return nil
}
