//go:build linux

package crowd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// Greed asks for messages without pause, on a connection of its own: it sends as
// long as the socket takes, and reads as long as something comes.
type Greed struct {
	Size int
	For  time.Duration // or until one message is back, if that takes longer
}

// Greeded is what came of it.
type Greeded struct {
	Messages int // that came back, whole
	Span     Span
}

func (c *crowd) greed(g Greed) (r Greeded, err error) {
	before := len(c.all)
	if _, err := c.open(Open{Count: 1}); err != nil {
		return r, err
	}
	p := c.all[before]
	ask, answer := frames(g.Size, 0)
	// Many small messages leave in one write.
	p.ask, p.answer = bytes.Repeat(ask, max(1, 64<<10/len(ask))), answer
	r.Span.From = now()
	until := r.Span.From + int64(g.For)
	for out := 0; ; {
		t := now()
		if t >= until && r.Messages > 0 {
			break
		}
		wrote, k := 0, 0
		if wrote, err = unix.Write(p.fd, p.ask[out:]); err == nil {
			out = (out + wrote) % len(p.ask)
		} else if err != unix.EAGAIN {
			return r, err
		}
		if k, err = p.take(c.buf[:], &r.Messages); err != nil {
			return r, err
		}
		if k > 0 || wrote > 0 {
			continue
		}
		if _, err := c.wait(max(time.Millisecond, time.Duration(until-t))); err != nil {
			return r, err
		}
	}
	r.Span.To = now()
	err = unix.SetsockoptLinger(p.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	c.all, c.byFD[p.fd] = c.all[:before], nil
	return r, errors.Join(err, unix.Close(p.fd))
}

// take reads once, and counts whole answers.
func (p *client) take(buf []byte, messages *int) (int, error) {
	n, err := unix.Read(p.fd, buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.ErrUnexpectedEOF
	}
	for b := buf[:n]; len(b) > 0; {
		k := min(len(b), len(p.answer)-p.got)
		if !bytes.Equal(b[:k], p.answer[p.got:p.got+k]) {
			return n, fmt.Errorf("what came back is not what was sent: %q", b[:min(k, 100)])
		}
		if p.got += k; p.got == len(p.answer) {
			p.got = 0
			*messages++
		}
		b = b[k:]
	}
	return n, nil
}
