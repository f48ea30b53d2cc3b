//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// load is the connections and the epoll set that waits for them.
type load struct {
	addr   string
	ep     int
	conns  []*conn
	byFD   map[int32]*conn
	halves []*sock
	events [256]unix.EpollEvent
	buf    [64 << 10]byte
	cache  fixedCache
}

func newLoad(addr string) (*load, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &load{addr: addr, ep: ep, byFD: map[int32]*conn{}}, err
}

func (l *load) open(n int) (int, error) {
	cfg := config()
	for range n {
		c, err := dial(l.addr, cfg)
		if err != nil {
			return 0, err
		}
		if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, c.s.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.s.fd)}); err != nil {
			return 0, err
		}
		l.conns = append(l.conns, c)
		l.byFD[int32(c.s.fd)] = c
	}
	return len(l.conns), nil
}

// half sends the header of a ClientHello of 1,500 bytes and a third of it.
func (l *load) half(n int) (int, error) {
	part := append([]byte{22, 3, 1, 1500 >> 8, 1500 & 0xff}, bytes.Repeat([]byte{1}, 500)...)
	for range n {
		s, err := connect(l.addr)
		if err != nil {
			return 0, err
		}
		l.halves = append(l.halves, s)
		if _, err := s.Write(part); err != nil {
			return 0, err
		}
	}
	return len(l.halves), nil
}

// close says goodbye by close_notify and the end of TCP.
func (l *load) close() error {
	var err error
	for _, c := range l.conns {
		err = errors.Join(err, c.Close())
	}
	for _, s := range l.halves {
		err = errors.Join(err, s.Close())
	}
	l.conns, l.halves, l.byFD = nil, nil, map[int32]*conn{}
	return err
}

func (l *load) end() error { return errors.Join(l.close(), unix.Close(l.ep)) }

// echo keeps all connections busy.
func (l *load) echo(e Echo) (messages int, err error) {
	ask, answer := frames(e.Size)
	ask, answer = bytes.Repeat(ask, e.Depth), bytes.Repeat(answer, e.Depth)
	until := time.Now().Add(e.For)
	if e.Rounds > 0 {
		until = time.Now().Add(time.Hour)
	}
	for _, c := range l.conns {
		if c.left = e.Rounds; e.Rounds == 0 {
			c.left = math.MaxInt
		}
		if _, err := c.Write(ask); err != nil {
			return 0, err
		}
	}
	heard := time.Now()
	for busy := len(l.conns); busy > 0; {
		// It does not sleep: to be woken would cost the server CPU time.
		n, err := unix.EpollWait(l.ep, l.events[:], 0)
		now := time.Now()
		switch {
		case err != nil && err != unix.EINTR:
			return messages, err
		case n <= 0 && now.Sub(heard) > patience:
			return messages, errSilent
		case n <= 0:
			continue
		}
		heard = now
		again := now.Before(until)
		for _, ev := range l.events[:n] {
			c := l.byFD[ev.Fd]
			done, err := c.receive(l.buf[:], answer)
			if err != nil {
				return messages, err
			}
			if !done {
				continue
			}
			messages += e.Depth
			if c.left--; c.left == 0 || !again {
				busy--
				continue
			}
			if _, err := c.Write(ask); err != nil {
				return messages, err
			}
		}
	}
	return messages, nil
}

// receive reads what is there and reports whether the whole answer has come.
func (c *conn) receive(buf, answer []byte) (done bool, err error) {
	for {
		n, err := c.Read(buf)
		if e := c.take(buf[:n], answer); e != nil {
			return false, e
		}
		if c.got == len(answer) {
			c.got, done = 0, true
		}
		if err == errNotNow {
			return done, nil
		}
		if err != nil {
			return false, err
		}
		if done && c.s.dry {
			c.s.dry = false
			return true, nil
		}
	}
}

// take compares the next bytes with what the answer must be.
func (c *conn) take(p, answer []byte) error {
	if c.got+len(p) > len(answer) || !bytes.Equal(p, answer[c.got:c.got+len(p)]) {
		return fmt.Errorf("what came back is not what was sent: %d bytes behind %d", len(p), c.got)
	}
	c.got += len(p)
	return nil
}
