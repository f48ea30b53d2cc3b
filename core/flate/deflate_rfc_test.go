package flate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// rfcReader is an inflater as plain as RFC 1951 says it, which keeps everything it
// saw and refuses distances beyond a window. It also counts what it met.
type rfcReader struct {
	window  int
	seen    []byte
	longest int    // distance
	blocks  [3]int // by type
	in      []byte
	at      int // in bits
}

func newRFCReader(bits int) *rfcReader { return &rfcReader{window: 1 << bits} }

// feed decodes one message that ends in a flush.
func (o *rfcReader) feed(t testing.TB, c, want []byte) {
	t.Helper()
	before := len(o.seen)
	if err := o.decode(c); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(o.seen[before:], want) {
		t.Fatalf("%d bytes came back as %d others", len(want), len(o.seen)-before)
	}
}

// peek returns the next sixteen bits.
func (o *rfcReader) peek() int {
	return int(binary.LittleEndian.Uint32(o.in[o.at>>3:])>>(o.at&7)) & 0xffff
}

func (o *rfcReader) get(n int) int {
	v := o.peek() & (1<<n - 1)
	o.at += n
	return v
}

// rfcCode is a code as counts per length and symbols in order of their codes.
type rfcCode struct {
	count [16]int
	syms  []int
	full  bool
}

func rfcCodeOf(lens []uint8) (c rfcCode) {
	sum := 0
	for want := 1; want < 16; want++ {
		for s, l := range lens {
			if int(l) == want {
				c.count[want]++
				c.syms = append(c.syms, s)
				sum += 1 << (15 - want)
			}
		}
	}
	c.full = sum == 1<<15
	return c
}

// symbol reads a code bit by bit.
func (o *rfcReader) symbol(c *rfcCode) (int, error) {
	code, first, index := 0, 0, 0
	next := o.peek()
	for l := 1; l < 16; l++ {
		code |= next & 1
		next >>= 1
		o.at++
		if code-first < c.count[l] {
			return c.syms[index+code-first], nil
		}
		index += c.count[l]
		first = (first + c.count[l]) << 1
		code <<= 1
	}
	return 0, fmt.Errorf("no such code")
}

func (o *rfcReader) decode(c []byte) error {
	o.in, o.at = append(bytes.Clone(c), make([]byte, 8)...), 0
	for o.at < 8*len(c) {
		if o.get(1) != 0 {
			return fmt.Errorf("a last block")
		}
		kind := o.get(2)
		if kind == 3 {
			return fmt.Errorf("block type 3")
		}
		o.blocks[kind]++
		if kind == 0 {
			o.at = (o.at + 7) &^ 7
			n, not := o.get(16), o.get(16)
			if n != not^0xffff || o.at+8*n > 8*len(c) {
				return fmt.Errorf("stored block of %d, %d", n, not)
			}
			o.seen = append(o.seen, o.in[o.at>>3:o.at>>3+n]...)
			o.at += 8 * n
			continue
		}
		lit, dist := rfcFixed()
		if kind == 2 {
			var err error
			if lit, dist, err = o.lengths(); err != nil {
				return err
			}
		}
		if err := o.block(lit, dist); err != nil {
			return err
		}
	}
	if o.at != 8*len(c) {
		return fmt.Errorf("read %d bits of %d", o.at, 8*len(c))
	}
	return nil
}

func rfcFixed() (lit, dist rfcCode) {
	var lens []uint8
	lens = append(lens, bytes.Repeat([]byte{8}, 144)...)
	lens = append(lens, bytes.Repeat([]byte{9}, 112)...)
	lens = append(lens, bytes.Repeat([]byte{7}, 24)...)
	lens = append(lens, bytes.Repeat([]byte{8}, 8)...)
	return rfcCodeOf(lens), rfcCodeOf(bytes.Repeat([]byte{5}, 30))
}

func (o *rfcReader) lengths() (lit, dist rfcCode, err error) {
	nLit, nDist, n := o.get(5)+257, o.get(5)+1, o.get(4)+4
	codes := make([]uint8, 19)
	for _, s := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:n] {
		codes[s] = uint8(o.get(3))
	}
	steps := rfcCodeOf(codes)
	var lens []uint8
	for len(lens) < nLit+nDist {
		s, err := o.symbol(&steps)
		if err != nil {
			return lit, dist, err
		}
		switch s {
		case 16:
			lens = append(lens, bytes.Repeat(lens[len(lens)-1:], 3+o.get(2))...)
		case 17:
			lens = append(lens, make([]byte, 3+o.get(3))...)
		case 18:
			lens = append(lens, make([]byte, 11+o.get(7))...)
		default:
			lens = append(lens, uint8(s))
		}
	}
	if len(lens) != nLit+nDist || nLit > 286 || nDist > 30 {
		return lit, dist, fmt.Errorf("%d lengths for %d + %d", len(lens), nLit, nDist)
	}
	lit, dist = rfcCodeOf(lens[:nLit]), rfcCodeOf(lens[nLit:])
	if !steps.full || !lit.full || !dist.full {
		return lit, dist, fmt.Errorf("an incomplete code")
	}
	return lit, dist, nil
}

func (o *rfcReader) block(lit, dist rfcCode) error {
	for {
		s, err := o.symbol(&lit)
		switch {
		case err != nil:
			return err
		case s < 256:
			o.seen = append(o.seen, byte(s))
			continue
		case s == 256:
			return nil
		case s > 285:
			return fmt.Errorf("length symbol %d", s)
		}
		base, extra := 3+s-257, 0
		if s >= 265 && s < 285 {
			extra = (s - 261) / 4
			base = 3 + (4+(s-261)&3)<<extra
		} else if s == 285 {
			base = 258
		}
		n := base + o.get(extra)
		if s, err = o.symbol(&dist); err != nil || s > 29 {
			return fmt.Errorf("distance symbol %d, %v", s, err)
		}
		base, extra = 1+s, 0
		if s >= 4 {
			extra = (s - 2) / 2
			base = 1 + (2+s&1)<<extra
		}
		d := base + o.get(extra)
		if d > o.window || d > len(o.seen) {
			return fmt.Errorf("distance %d of %d, window %d", d, len(o.seen), o.window)
		}
		o.longest = max(o.longest, d)
		if d >= n {
			o.seen = append(o.seen, o.seen[len(o.seen)-d:len(o.seen)-d+n]...)
			continue
		}
		for range n {
			o.seen = append(o.seen, o.seen[len(o.seen)-d])
		}
	}
}
