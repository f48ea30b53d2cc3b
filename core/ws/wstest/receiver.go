package wstest

import (
	be "encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"anyloop/core/ws"
)

// receiver reads the testee's frames and holds each against RFC 6455. It shares
// no code with what it judges.
type receiver struct {
	buf []byte

	inMessage bool
	packed    bool // the message is compressed
	op        ws.Opcode
	data      []byte
	closed    bool
	keys      map[[4]byte]int // masks of frames with a payload
	inf       inflater
	packs     int // compressed messages seen
	missed    int // compressible ones that were not compressed

	packedSize int // of the last compressed message
}

// frame cuts the next frame off the buffer; ok is false if it is not all there.
func (r *receiver) frame(p *peer) (f fr, ok bool, err error) {
	b := r.buf
	if len(b) > 0 && r.closed {
		return f, false, fmt.Errorf("bytes after the Close frame: % x", b[:min(len(b), 16)])
	}
	if len(b) < 2 {
		return f, false, nil
	}
	f = fr{op: ws.Opcode(b[0] & 0xf), more: b[0]&0x80 == 0, rsv: b[0] >> 4 & 7}
	masked := b[1]&0x80 != 0
	if masked != (p.side == ws.Client) {
		return f, false, fmt.Errorf("frame % x: masked %v, from a %s", b[:2], masked, sideName(p.side))
	}
	n, size, err := length(b)
	if err != nil || size == 0 {
		return f, false, err
	}
	if err := r.legal(p, &f, n); err != nil {
		return f, false, fmt.Errorf("frame % x: %w", b[:2], err)
	}
	var key [4]byte
	if masked {
		if len(b) < size+4 {
			return f, false, nil
		}
		copy(key[:], b[size:])
		size += 4
	}
	if uint64(len(b)-size) < n {
		return f, false, nil
	}
	f.p = append([]byte(nil), b[size:size+int(n)]...)
	if masked {
		f.p = xor(f.p, key, 0)
		if r.keys == nil {
			r.keys = map[[4]byte]int{}
		}
		r.keys[key]++
	}
	r.buf = append(r.buf[:0], b[size+int(n):]...)
	return f, true, nil
}

// length reads the length of a frame, which must be in its shortest form (RFC
// 6455 5.2). size is 0 if it is not all there.
func length(b []byte) (n uint64, size int, err error) {
	switch n = uint64(b[1] & 0x7f); {
	case n < 126:
		return n, 2, nil
	case n == 126:
		if len(b) < 4 {
			return 0, 0, nil
		}
		if n = uint64(be.BigEndian.Uint16(b[2:])); n < 126 {
			return 0, 0, fmt.Errorf("length %d in 16 bits", n)
		}
		return n, 4, nil
	}
	if len(b) < 10 {
		return 0, 0, nil
	}
	if n = be.BigEndian.Uint64(b[2:]); n < 1<<16 || n > 1<<30 {
		return 0, 0, fmt.Errorf("length %d in 64 bits", n)
	}
	return n, 10, nil
}

// legal checks a frame's header.
func (r *receiver) legal(p *peer, f *fr, n uint64) error {
	if f.rsv&3 != 0 {
		return errors.New("RSV2 or RSV3 is set")
	}
	if f.rsv != 0 && (!p.z.on || f.op != ws.Text && f.op != ws.Binary) {
		return errors.New("RSV1 is set")
	}
	switch f.op {
	case ws.Text, ws.Binary:
		if r.inMessage {
			return errors.New("a new message inside one")
		}
	case ws.Continuation:
		if !r.inMessage {
			return errors.New("a continuation of nothing")
		}
	case ws.Close, ws.Ping, ws.Pong:
		if f.more || n > 125 {
			return errors.New("control frame fragmented or over 125 bytes")
		}
	default:
		return errors.New("reserved opcode")
	}
	return nil
}

// take deals with a frame; done is false if it says nothing by itself.
func (r *receiver) take(p *peer, f fr) (it item, done bool, err error) {
	switch f.op {
	case ws.Ping:
		return it, false, p.frames([]fr{{op: ws.Pong, p: f.p}})
	case ws.Pong:
		return item{kind: pongItem, data: f.p}, true, nil
	case ws.Close:
		r.closed = true
		return closeFrame(f.p)
	}
	if f.op != ws.Continuation {
		r.op, r.data, r.packed = f.op, nil, f.rsv&4 != 0
	}
	r.data = append(r.data, f.p...)
	r.inMessage = f.more
	if f.more {
		return it, false, nil
	}
	if r.packed {
		r.packs++
		r.packedSize = len(r.data)
		if r.data, err = r.inf.message(r.data); err != nil {
			return it, false, fmt.Errorf("compressed message: %w", err)
		}
	} else if p.z.on && compressible(r.data) {
		r.missed++
	}
	if r.op == ws.Text && !utf8.Valid(r.data) {
		return it, false, fmt.Errorf("text that is not UTF-8: %s", excerpt(r.data))
	}
	return item{kind: message, op: r.op, data: r.data}, true, nil
}

// closeFrame reads the payload of a Close (RFC 6455 5.5.1, 7.4).
func closeFrame(b []byte) (it item, done bool, err error) {
	it = item{kind: closeItem, code: 1005}
	switch {
	case len(b) == 0:
		return it, true, nil
	case len(b) == 1:
		return it, false, errors.New("a Close frame of one byte")
	}
	it.code, it.data = int(be.BigEndian.Uint16(b)), b[2:]
	if !mayBeSent(it.code) {
		return it, false, fmt.Errorf("a Close frame with code %d", it.code)
	}
	if !utf8.Valid(it.data) {
		return it, false, fmt.Errorf("a Close reason that is not UTF-8: %q", it.data)
	}
	return it, true, nil
}

// mayBeSent is RFC 6455 7.4 and the registry of close codes.
func mayBeSent(code int) bool {
	switch code {
	case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014:
		return true
	}
	return code >= 3000 && code < 5000
}

// settled checks at the end that what was agreed upon was used: every message
// that compression makes much smaller was compressed.
func (r *receiver) settled(p *peer) error {
	if r.missed > 0 {
		return fmt.Errorf("%d messages that compress well were not compressed, %d were", r.missed, r.packs)
	}
	return nil
}
