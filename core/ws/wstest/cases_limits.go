package wstest

import (
	"bytes"
	"fmt"
	"strings"

	"anyloop/core/ws"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// payload is n bytes of text or of what is no text.
func payload(op ws.Opcode, n int) []byte {
	if op == ws.Text {
		return bytes.Repeat([]byte("BAsd7&jh23"), n/10+1)[:n]
	}
	return bytes.Repeat([]byte{0xfe, 0, 0xff, 0x80}, n/4+1)[:n]
}

// fits reports whether the testee takes a message of n bytes.
func (s *set) fits(n int) bool {
	if s.opt.MaxMessage > 0 {
		return int64(n) <= s.opt.MaxMessage
	}
	return n <= mib
}

// size is n in the full suite, else much less.
func (s *set) size(n, less int) int {
	if s.opt.Full {
		return n
	}
	return less
}

// limits: large messages, many fragments, small deliveries, many messages.
func limits(s *set) {
	for i, op := range []ws.Opcode{ws.Text, ws.Binary} {
		sizes := []int{64 * kib, 256 * kib, mib, 4 * mib, 8 * mib, 16 * mib}
		for j, n := range sizes {
			if !s.fits(n) || !s.opt.Full && n > mib {
				continue
			}
			f := fr{op: op, p: payload(op, n)}
			c := s.add(fmt.Sprintf("9.%d.%d", i+1, j+1), fmt.Sprintf("%s of %d bytes", op, n), send(f), want(echoed(f)), normal())
			if s.opt.Full && n > 64*kib {
				c.without(eachByte)
			}
		}
		total := s.size(4*mib, 64*kib)
		if !s.fits(total) {
			total = 64 * kib
		}
		data := payload(op, total)
		for j, n := range []int{64, 256, kib, 4 * kib, 16 * kib, 64 * kib, 256 * kib, mib, 4 * mib} {
			if n > total {
				break
			}
			c := s.add(fmt.Sprintf("9.%d.%d", i+3, j+1), fmt.Sprintf("%s of %d bytes in fragments of %d", op, total, n),
				send(fragments(op, string(data), n)...), want(item{op: op, data: data}), normal())
			if s.opt.Full {
				c.without(eachByte)
			}
		}
		data = payload(op, s.size(mib, 64*kib))
		for j, n := range []int{64, 128, 256, 512, 1024} {
			s.add(fmt.Sprintf("9.%d.%d", i+5, j+1), fmt.Sprintf("%s of %d bytes, delivered %d at a time", op, len(data), n),
				chopped(n), send(fr{op: op, p: data}), want(item{op: op, data: data}), normal()).without(seams, eachByte)
		}
		for j, n := range []int{0, 16, 64, 256, kib, 4 * kib, 16 * kib} {
			s.add(fmt.Sprintf("9.%d.%d", i+7, j+1), fmt.Sprintf("%d times %s of %d bytes", s.size(1000, 20), op, n),
				many(s.size(1000, 20), fr{op: op, p: payload(op, n)}), normal())
		}
	}
	sizeLimits(s)
}

// many sends a message again and again, each when the one before came back.
func many(n int, f fr) step {
	return func(p *peer) error {
		for range n {
			if err := p.frames([]fr{f}); err != nil {
				return err
			}
			if err := p.want(echoed(f)); err != nil {
				return err
			}
		}
		return nil
	}
}

// sizeLimits: a message over the limit is refused by its headers, before it is
// sent.
func sizeLimits(s *set) {
	top := s.opt.MaxMessage
	if top == 0 {
		return
	}
	over := uint64(top) + 1
	for i, op := range []ws.Opcode{ws.Text, ws.Binary} {
		f := fr{op: op, claim: over}
		s.add(fmt.Sprintf("9.9.%d", i+1), fmt.Sprintf("%s of a byte more than the limit", op), begin(f, 0), failedInside(1009))
		f.claim = 1 << 40
		s.add(fmt.Sprintf("9.9.%d", i+3), fmt.Sprintf("%s of 2^40 bytes", op), begin(f, 0), failedInside(1009))
		f.claim = 1<<63 - 1
		s.add(fmt.Sprintf("9.9.%d", i+5), fmt.Sprintf("%s of 2^63-1 bytes", op), begin(f, 0), failedInside(1009))
		part := fr{op: ws.Continuation, claim: uint64(top) - 9}
		s.add(fmt.Sprintf("9.9.%d", i+7), fmt.Sprintf("%s of two fragments of a byte more than the limit", op),
			send(fr{op: op, p: []byte("ten bytes!"), more: true}), quiet, begin(part, 0), failedInside(1009))
		part.claim--
		s.add(fmt.Sprintf("9.9.%d", i+9), fmt.Sprintf("%s of two fragments at the limit is not refused", op),
			send(fr{op: op, p: []byte("ten bytes!"), more: true}), begin(part, 0), quiet, eof)
	}
	if s.opt.Full || top <= mib {
		f := fr{op: ws.Binary, p: payload(ws.Binary, int(top))}
		s.add("9.9.11", "a binary at the limit", send(f), want(echoed(f)), normal()).without(eachByte)
	}
}

// misc: messages cut into frames by their sender.
func misc(s *set) {
	data := strings.Repeat("*", 65536)
	for i, n := range []int{1300, 1, 125, 126, 65535} {
		if n == 1 {
			data := data[:2000]
			s.add("10.1.2", "a text of 2000 bytes in as many fragments", send(fragments(ws.Text, data, n)...), want(joined(ws.Text, data)), normal())
			continue
		}
		s.add(fmt.Sprintf("10.1.%d", i+1), fmt.Sprintf("a text of 65536 bytes in fragments of %d", n),
			send(fragments(ws.Text, data, n)...), want(joined(ws.Text, data)), normal())
	}
	// The testee's Close must not overtake what it still has to send.
	big := fr{op: ws.Binary, p: payload(ws.Binary, 300*kib)}
	s.add("10.2.1", "a large message, a small one and a Close together", send(big, text("small"), bye(1000, "")),
		want(echoed(big), echoed(text("small")), closedWith(1000, "")), end)
	s.add("10.2.2", "a large message and a wrong frame together", send(big, fr{op: 5}), want(echoed(big)), failed(1002))
}
