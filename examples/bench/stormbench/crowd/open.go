//go:build linux

package crowd

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Open asks for WebSockets.
type Open struct {
	Count    int
	Parallel int  // of which not all handshakes are complete, at most; 0: Count
	Echo     bool // and for one echo on each
}

// How is how connections end: without a word of WebSocket.
type How string

// The ways to end.
const (
	FIN How = "FIN"
	RST How = "RST"
)

const request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// accept is what RFC 6455 1.3 has for that key.
const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

// open opens WebSockets as fast as it can.
func (c *crowd) open(o Open) (s Span, err error) {
	if o.Parallel == 0 {
		o.Parallel = o.Count
	}
	ask, answer := frames(64, 0)
	s.From = now()
	for begun, ready := 0, 0; ready < o.Count; {
		for begun < o.Count && begun-ready < o.Parallel {
			p, err := c.connect()
			if err != nil {
				return s, err
			}
			p.ask, p.answer = ask, answer
			begun++
			if begun%16 == 0 {
				break // those that are under way want something, too
			}
		}
		d := patience
		if begun < o.Count && begun-ready < o.Parallel {
			d = 0
		}
		events, err := c.wait(d)
		if err != nil {
			return s, fmt.Errorf("%d are open: %w", len(c.all), err)
		}
		for _, ev := range events {
			p := c.byFD[ev.Fd]
			if p.state == open { // one that was opened before
				if _, err := p.pongs(c.buf[:]); err != nil {
					return s, err
				}
				continue
			}
			if err := p.advance(c, &ev, o.Echo); err != nil {
				return s, fmt.Errorf("%d are open: %w", len(c.all), err)
			}
			if p.state == open {
				c.all = append(c.all, p)
				ready++
			}
		}
	}
	s.To = now()
	return s, nil
}

// advance does the next step of one that is being opened.
func (p *client) advance(c *crowd, ev *unix.EpollEvent, echo bool) error {
	if p.state == connecting {
		if e, err := unix.GetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || e != 0 {
			return errors.Join(err, unix.Errno(e))
		}
		if ev.Events&unix.EPOLLOUT == 0 {
			return nil
		}
		p.state = upgrading
		return p.write([]byte(request))
	}
	if p.state == upgrading {
		n, err := p.read(c.buf[:])
		if err != nil || n == 0 {
			return err
		}
		head := c.buf[:n]
		if p.head = append(p.head, head...); !bytes.HasSuffix(p.head, []byte("\r\n\r\n")) {
			return nil
		}
		if !bytes.HasPrefix(p.head, []byte("HTTP/1.1 101 ")) || !bytes.Contains(p.head, []byte(accept)) {
			return fmt.Errorf("no upgrade: %q", p.head)
		}
		if p.head, p.state = nil, open; echo {
			p.state = trying
			return p.write(p.ask)
		}
		return nil
	}
	return p.receive(c.buf[:], func() { p.state = open })
}

// close ends all connections in one go.
func (c *crowd) close(how How) (s Span, err error) {
	for _, p := range c.all {
		if how == RST {
			err = errors.Join(err, unix.SetsockoptLinger(p.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
		}
		c.byFD[p.fd] = nil
	}
	s.From = now()
	for _, p := range c.all {
		err = errors.Join(err, unix.Close(p.fd))
	}
	s.To = now()
	c.all = nil
	return s, err
}

func (c *crowd) end() error {
	_, err := c.close(FIN)
	return errors.Join(err, unix.Close(c.ep))
}

// idle answers Pings, and returns how many there were.
func (c *crowd) idle(d time.Duration) (pings int, err error) {
	for until := now() + int64(d); ; {
		left := time.Duration(until - now())
		if left <= 0 {
			return pings, nil
		}
		c.heard = 0 // nobody has to say anything
		events, err := c.wait(left)
		if err != nil {
			return pings, err
		}
		for _, ev := range events {
			n, err := c.byFD[ev.Fd].pongs(c.buf[:])
			if pings += n; err != nil {
				return pings, err
			}
		}
	}
}

// pongs answers what came, which must be Pings.
func (p *client) pongs(buf []byte) (n int, err error) {
	k, err := p.read(buf)
	for b := buf[:k]; len(b) > 0 && err == nil; n++ {
		b, err = p.pong(b)
	}
	return n, err
}
