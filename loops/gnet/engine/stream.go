//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
)

// ErrInputKept says that a connection was closed because core does not read it
// now, gnet cannot stop reading, and there was no descriptor to take it from gnet.
var ErrInputKept = errors.New("gnetengine: more input than may be kept for a connection that is paused")

// Stream has core serve a connection through gnet, which keeps the socket: an
// alternative to Adopt for who needs that, with what it costs described at
// Streams. Call it in OnOpen, or in OnTraffic when the first bytes have told what
// the connection is, on an engine that runs with Wrap. What the application wrote
// before must be sent already, else ErrUnsent. The connection's context is the
// bridge's afterwards, and the application hears no more of it. The action it
// returns from the callback holds as always.
//
// Errors: those of Adopt; ErrNoThread also if no service thread lives on c's event
// loop, since the connection cannot leave that.
// The connection is then the application's as before. Only on c's event loop.
func (b *Bridge) Stream(c gnet.Conn, vh *core.VirtualHost) error {
	if err := fit(c); err != nil {
		return err
	}
	th, at, err := b.threadFor(c.EventLoop(), vh)
	if err != nil {
		return err
	}
	if at.hl == nil || !at.hl.h.wrapped {
		return ErrNoThread
	}
	s := newStream(c, at)
	if !s.hl.enter() {
		return ErrHostGone
	}
	defer s.hl.leave()
	if s.sc, err = th.AdoptStream(s, vh, peerOf(c)); err != nil {
		return fmt.Errorf("gnetengine: %w", err)
	}
	s.begin()
	return nil
}

// stream is a connection that core speaks through. gnet reads; what is written
// goes to the descriptor itself, past gnet, and what the system refuses stays with
// core, while the thread's own poll set waits until the socket is writable. gnet's
// buffer would be a second one, without a bound, without a word when it is empty, and
// out of reach when the connection must leave gnet, just when its peer has stopped
// reading.
type stream struct {
	c  gnet.Conn
	st *seat
	hl *hostLoop
	sc loop.StreamConn

	head   []byte // to be sent before anything of core's
	paused bool
	choked bool // the system refused something; the poll set waits for fd
	waits  bool
	inside bool // in a callback of gnet's for this connection
	leave  bool // core has closed it
	over   bool // core is not to hear of it again
	err    error
}

func newStream(c gnet.Conn, at place) *stream {
	return &stream{c: c, st: at.st, hl: at.hl, inside: true}
}

// begin: core has taken it.
func (s *stream) begin() {
	s.c.SetContext(s)
	b := s.hl.h.b
	b.mu.Lock()
	s.hl.h.streams++
	b.mu.Unlock()
}

// opened ends the OnOpen in which it began. out is what the application returned
// there to be sent.
func (s *stream) opened(out []byte) gnet.Action {
	s.inside = false
	if len(out) > 0 && !s.leave {
		s.head = append(s.head, out...)
		if err := s.sendHead(); err != nil {
			s.err = err
			return gnet.Close
		}
	}
	return s.action()
}

func (s *stream) action() gnet.Action {
	if s.leave {
		return gnet.Close
	}
	return gnet.None
}

// traffic feeds what gnet has received.
func (s *stream) traffic() gnet.Action {
	if !s.hl.enter() {
		return gnet.Close // gnet is ending
	}
	defer s.hl.leave()
	s.inside = true
	for !s.paused && !s.leave && s.c.InboundBuffered() > 0 {
		p, err := s.c.Next(-1)
		if err != nil {
			s.err = err
			return gnet.Close
		}
		s.sc.Feed(p)
	}
	s.inside = false
	s.st.check()
	if s.paused && !s.leave && s.c.InboundBuffered()+oneRead > s.hl.h.b.opt.inputCap {
		return s.steal()
	}
	return s.action()
}

// oneRead is what gnet may receive at once.
const oneRead = 64 << 10

// steal takes the connection from gnet, which would go on reading.
func (s *stream) steal() gnet.Action {
	fd, err := -1, error(nil)
	if len(s.head) == 0 {
		fd, err = s.c.Dup()
	}
	if fd < 0 || err != nil {
		if s.c.InboundBuffered()+oneRead > 2*s.hl.h.b.opt.inputCap {
			s.err = ErrInputKept
			return gnet.Close
		}
		return gnet.None // with the next bytes again
	}
	early, err := s.c.Peek(-1)
	if err != nil {
		unix.Close(fd)
		s.err = err
		return gnet.Close
	}
	s.unwait()
	s.over = true
	if s.sc.Steal(fd, early) != nil {
		unix.Close(fd)
	}
	return gnet.Close
}

// gone is gnet's OnClose, possibly inside Close.
func (s *stream) gone(err error) {
	hl, b := s.hl, s.hl.h.b
	s.unwait()
	hl.enterLast()
	if !s.over {
		if p, e := s.c.Next(-1); !s.leave && e == nil {
			s.sc.Feed(p)
		}
		s.over = true
		s.sc.Closed(s.cause(err))
	}
	hl.leave()
	b.mu.Lock()
	hl.h.streams--
	b.announce(hl.h)
	b.mu.Unlock()
}

// cause is why it ended, as core has it.
func (s *stream) cause(err error) error {
	switch {
	case s.err != nil:
		return s.err
	case s.leave || errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return ErrHostGone // gnet closes all that is left
	}
	return err
}

// Write implements loop.Stream.
func (s *stream) Write(head, tail []byte) (int, error) {
	if err := s.sendHead(); err != nil {
		return 0, err
	}
	if len(s.head) > 0 {
		return 0, nil
	}
	n, e := s.hl.io.Write(s.c.Fd(), head, tail)
	if e != 0 && e != syscall.EAGAIN {
		return n, e
	}
	if n < len(head)+len(tail) {
		return n, s.wait()
	}
	return n, nil
}

// sendHead sends what goes before core's bytes.
func (s *stream) sendHead() error {
	if len(s.head) == 0 {
		return nil
	}
	n, e := s.hl.io.Write(s.c.Fd(), s.head, nil)
	if e != 0 && e != syscall.EAGAIN {
		return e
	}
	if s.head = s.head[n:]; len(s.head) == 0 {
		s.head = nil
		return nil
	}
	return s.wait()
}

// wait has the thread's poll set tell when the socket is writable.
func (s *stream) wait() error {
	s.choked = true
	if s.waits {
		return nil
	}
	fd := s.c.Fd()
	if err := s.st.loop.AddPollFD(fd, loop.Out); err != nil {
		return err
	}
	s.waits = true
	s.st.waits[int32(fd)] = s
	return nil
}

func (s *stream) unwait() {
	if !s.waits {
		return
	}
	s.waits = false
	fd := s.c.Fd()
	s.st.loop.DelPollFD(fd)
	delete(s.st.waits, int32(fd))
}

// writable: the poll set says so, in a turn of the thread.
func (s *stream) writable() {
	s.choked = false
	if err := s.sendHead(); err != nil {
		s.unwait()
		s.err = err
		s.hl.el.Close(s.c)
		return
	}
	if len(s.head) == 0 {
		s.sc.Room()
	}
	if !s.choked {
		s.unwait()
	}
}

// Buffered implements loop.Stream.
func (s *stream) Buffered() int { return len(s.head) }

// PauseInput implements loop.Stream.
func (s *stream) PauseInput(on bool) {
	s.paused = on
	if !on && !s.inside && s.c.InboundBuffered() > 0 {
		s.c.Wake(nil) // gnet does not repeat what is left over
	}
}

// CloseWrite implements loop.Stream.
func (s *stream) CloseWrite() error {
	if len(s.head) > 0 {
		return ErrUnsent
	}
	return s.hl.io.CloseWrite(s.c.Fd())
}

// Close implements loop.Stream. In a callback of gnet's for this connection it is
// left to the action that is returned: gnet might read the closed descriptor.
func (s *stream) Close() error {
	s.leave = true
	s.unwait()
	if s.inside {
		return nil
	}
	return s.hl.el.Close(s.c)
}
