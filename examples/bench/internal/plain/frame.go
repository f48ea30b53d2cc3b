//go:build linux

package plain

import (
	"encoding/binary"
	"fmt"
)

// frame is the frame under way (RFC 6455 5.2).
type frame struct {
	head [10]byte
	have int  // bytes of head
	left int  // bytes of payload that have not come
	op   byte // of the frame
	kind byte // of the message
	fin  bool
	ctl  []byte // payload of a control frame
}

// header reads a header from b, and returns what is behind it, or nil if it is not
// whole.
func (f *frame) header(b []byte) (rest []byte, whole bool, err error) {
	for len(b) > 0 {
		f.head[f.have] = b[0]
		f.have, b = f.have+1, b[1:]
		if size := f.size(); f.have < 2 || f.have < size {
			continue
		}
		h := f.head[:f.have]
		if h[0]&0x70 != 0 || h[1]&0x80 != 0 {
			return nil, false, fmt.Errorf("a reserved bit, or a masked frame from the server: % x", h[:2])
		}
		f.fin, f.op = h[0]&0x80 != 0, h[0]&0x0f
		switch f.have {
		case 2:
			f.left = int(h[1])
		case 4:
			f.left = int(binary.BigEndian.Uint16(h[2:]))
		default:
			f.left = int(binary.BigEndian.Uint64(h[2:]))
		}
		f.have = 0
		return b, true, nil
	}
	return nil, false, nil
}

// size returns how long the header is, as far as it can be told.
func (f *frame) size() int {
	switch {
	case f.have < 2 || f.head[1]&0x7f < 126:
		return 2
	case f.head[1]&0x7f == 126:
		return 4
	}
	return 10
}

// takeFrames walks the server's frames: those of data are compared with what must
// come, pings are answered, and pieces are put together.
func (l *loop) takeFrames(c *conn, b []byte) error {
	t, f := now(), &c.in
	for len(b) > 0 {
		if f.left == 0 {
			rest, whole, err := f.header(b)
			if err != nil || !whole {
				return err
			}
			b, f.ctl = rest, f.ctl[:0]
			if err := l.begun(f); err != nil {
				return err
			}
		}
		k := min(f.left, len(b))
		if f.op >= opClose {
			f.ctl = append(f.ctl, b[:k]...)
		} else if err := c.take(b[:k], l.expect(c)); err != nil {
			return err
		}
		b, f.left = b[k:], f.left-k
		if f.left > 0 {
			return nil
		}
		if err := l.ended(c, t); err != nil || c.state != open {
			return err
		}
	}
	return nil
}

// begun checks the opcode.
func (l *loop) begun(f *frame) error {
	switch f.op {
	case l.kind:
		f.kind = f.op
		return nil
	case 0:
		if f.kind != 0 {
			return nil
		}
	case opClose, opPing, opPong:
		return nil
	}
	return fmt.Errorf("a frame of opcode %d instead of %d", f.op, l.kind)
}

// ended is called behind each frame.
func (l *loop) ended(c *conn, t int64) error {
	f := &c.in
	switch {
	case f.op == opPing:
		c.extra = appendMasked(c.extra, opPong, 0x01020304, f.ctl)
		return nil
	case f.op == opClose:
		return errLost
	case f.op == opPong || !f.fin:
		return nil
	}
	if want := l.expect(c); c.off != len(want) {
		return fmt.Errorf("%d bytes came back instead of %d", c.off, len(want))
	}
	c.off, f.kind = 0, 0
	return l.message(c, t)
}
