//go:build linux

package plain

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// The states of a conn.
const (
	closed = iota
	connecting
	shaking // the answer to the handshake is awaited
	open
)

// conn is one connection.
type conn struct {
	i     int // in loop.conns
	fd    int
	state uint8
	out   bool  // waits for room to write
	began int64 // when it was dialled

	sent, allowed uint64 // bytes of the stream that are, and may be, written
	pos           int    // in the stream's wire, of the next byte to send
	next          int    // message that comes next
	off           int    // bytes of it that have come

	times    []int64 // when each message in flight was sent, a ring
	put, get int

	in    frame
	extra []byte // to send outside the stream
	part  []byte // of an answer that is not whole yet
}

// flush writes what may be written.
func (l *loop) flush(c *conn) error {
	for len(c.extra) > 0 {
		n, e := write(c.fd, c.extra)
		if e == unix.EAGAIN {
			return l.wantRoom(c, true)
		}
		if e != 0 {
			return e
		}
		c.extra = c.extra[n:]
	}
	s := l.stream
	for c.sent < c.allowed {
		n, e := write(c.fd, s.wire[c.pos:min(c.pos+int(c.allowed-c.sent), len(s.wire))])
		if e == unix.EAGAIN {
			return l.wantRoom(c, true)
		}
		if e != 0 {
			return e
		}
		c.sent += uint64(n)
		if c.pos += n; c.pos >= s.count*s.each {
			c.pos -= s.count * s.each
		}
	}
	return l.wantRoom(c, false)
}

// wantRoom waits for room to write, or no longer.
func (l *loop) wantRoom(c *conn, on bool) error {
	if c.out == on {
		return nil
	}
	c.out = on
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(c.i)}
	if on {
		ev.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_MOD, c.fd, &ev)
}

// allow lets c send n messages more.
func (l *loop) allow(c *conn, n int, t int64) {
	c.allowed += uint64(n * l.stream.each)
	l.busy += n
	for range n {
		c.times[c.put] = t
		if c.put++; c.put == len(c.times) {
			c.put = 0
		}
	}
}

// answered counts the message that has come back, and sends another unless the slice
// is over.
func (l *loop) answered(c *conn, t int64) {
	l.done(t - c.times[c.get])
	if c.get++; c.get == len(c.times) {
		c.get = 0
	}
	if !l.ending {
		l.allow(c, 1, t)
	}
}

// done counts one unit that took ns.
func (l *loop) done(ns int64) {
	l.units++
	l.busy--
	l.lat.add(ns)
}

// echoed is called by whole messages: the next must be the next of the stream.
func (l *loop) echoed(c *conn, t int64) error {
	if c.next++; c.next == l.stream.count {
		c.next = 0
	}
	l.answered(c, t)
	return nil
}

// take compares p with the message that must come next.
func (c *conn) take(p, want []byte) error {
	if c.off+len(p) > len(want) || !bytes.Equal(p, want[c.off:c.off+len(p)]) {
		return fmt.Errorf("what came back is not what was sent: %d bytes behind %d of %d", len(p), c.off, len(want))
	}
	c.off += len(p)
	return nil
}

// takeRaw compares bytes that have no framing.
func (l *loop) takeRaw(c *conn, b []byte) error {
	t := now()
	for len(b) > 0 {
		want := l.stream.payloads[c.next]
		k := min(len(want)-c.off, len(b))
		if err := c.take(b[:k], want); err != nil {
			return err
		}
		if b = b[k:]; c.off == len(want) {
			c.off = 0
			if err := l.message(c, t); err != nil {
				return err
			}
		}
	}
	return nil
}

var errLost = errors.New("the server has closed a connection")

// read reads once and answers by at most one write; epoll calls again if there is more.
func (l *loop) read(c *conn) error {
	n, e := read(c.fd, l.buf)
	l.reads++
	switch {
	case e == unix.EAGAIN:
		return nil
	case e != 0:
		return e
	case n == 0:
		return errLost
	}
	b := l.buf[:n]
	if c.state == shaking {
		rest, err := l.upgraded(c, b)
		if err != nil || c.state != open {
			return err
		}
		b = rest
	}
	if len(b) > 0 {
		if err := l.receive(c, b); err != nil {
			return err
		}
	}
	if c.state == open && (c.sent < c.allowed || len(c.extra) > 0) {
		return l.flush(c)
	}
	return nil
}

// upgraded reads the answer to the handshake (RFC 6455 4.2.2), and returns what
// follows it.
func (l *loop) upgraded(c *conn, b []byte) (rest []byte, err error) {
	c.part = append(c.part, b...)
	k := bytes.Index(c.part, []byte("\r\n\r\n"))
	if k < 0 {
		if len(c.part) > 8<<10 {
			return nil, errors.New("the answer to the handshake does not end")
		}
		return nil, nil
	}
	head := c.part[:k]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) || !bytes.Contains(head, []byte(l.accept)) {
		return nil, fmt.Errorf("no upgrade: %q", head)
	}
	rest = bytes.Clone(c.part[k+4:])
	c.part = c.part[:0]
	return rest, l.nowOpen(c)
}

func write(fd int, b []byte) (int, syscall.Errno) { return call(unix.SYS_WRITE, fd, b) }
func read(fd int, b []byte) (int, syscall.Errno)  { return call(unix.SYS_READ, fd, b) }
