package wstest

import (
	"bytes"
	"compress/flate"
	"math/bits"
)

// packing is our side's compression: the standard library's where the window is
// its own, else a plain deflater of ours that keeps to any window and uses all of
// it.
type packing struct {
	bits     int
	takeover bool
	level    int // of the standard library; ownPacker is ours
	std      *flate.Writer
	buf      bytes.Buffer
	hist     []byte
	last     []int32 // by the hash of three bytes: the position after they were seen last
}

// stdWriters are kept, since each is a megabyte to make. Connections come one
// after the other.
var stdWriters = map[int]*flate.Writer{}

func stdWriter(level int) *flate.Writer {
	w := stdWriters[level]
	if w == nil {
		w, _ = flate.NewWriter(nil, level)
		stdWriters[level] = w
	}
	return w
}

// hash3 is where three bytes are noted.
func hash3(b []byte) uint32 {
	return (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16) * 2654435761 >> 17
}

const ownPacker = 100

// flushTail is cut off every message (RFC 7692 7.2.1).
var flushTail = []byte{0, 0, 0xff, 0xff}

// pack compresses one message.
func (k *packing) pack(p []byte) []byte {
	if k.bits < 15 || k.level == ownPacker {
		return k.own(p)
	}
	k.buf.Reset()
	if k.std == nil {
		k.std = stdWriter(k.level)
		k.std.Reset(&k.buf)
	} else if !k.takeover {
		k.std.Reset(&k.buf)
	}
	k.std.Write(p)
	k.std.Flush()
	return bytes.Clone(bytes.TrimSuffix(k.buf.Bytes(), flushTail))
}

// own compresses into one block of fixed codes, greedily.
func (k *packing) own(p []byte) []byte {
	if k.last == nil {
		k.last = make([]int32, 1<<15)
	}
	if !k.takeover {
		clear(k.last)
		k.hist = k.hist[:0]
	}
	base := len(k.hist)
	k.hist = append(k.hist, p...)
	h := k.hist
	var w bitWriter
	w.bits(1<<1, 3) // not final, fixed codes
	note := func(i int) {
		if i+3 <= len(h) {
			k.last[hash3(h[i:])] = int32(i + 1)
		}
	}
	for i := max(0, base-2); i < base; i++ {
		note(i)
	}
	for i := base; i < len(h); {
		n, back := 0, 0
		if i+3 <= len(h) {
			if at := int(k.last[hash3(h[i:])]); at > 0 && i-(at-1) <= 1<<k.bits {
				back = i - (at - 1)
				for n < 258 && i+n < len(h) && h[i+n] == h[i+n-back] {
					n++
				}
			}
		}
		if n < 3 {
			w.literal(int(h[i]))
			n = 1
		} else {
			w.match(n, back)
		}
		for j := range n {
			note(i + j)
		}
		i += n
	}
	w.literal(256)
	return w.flush()
}

// bitWriter writes DEFLATE's bits, low ones first.
type bitWriter struct {
	out []byte
	acc uint64
	n   int
}

func (w *bitWriter) bits(v, n int) {
	w.acc |= uint64(v) << w.n
	w.n += n
	for w.n >= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
		w.n -= 8
	}
}

// code writes a Huffman code, whose high bit comes first.
func (w *bitWriter) code(v, n int) {
	w.bits(int(bits.Reverse16(uint16(v))>>(16-n)), n)
}

// literal writes a symbol in the fixed code (RFC 1951 3.2.6).
func (w *bitWriter) literal(s int) {
	switch {
	case s < 144:
		w.code(0x30+s, 8)
	case s < 256:
		w.code(0x190+s-144, 9)
	case s < 280:
		w.code(s-256, 7)
	default:
		w.code(0xc0+s-280, 8)
	}
}

func (w *bitWriter) match(n, back int) {
	c := len(lenBase) - 1
	for lenBase[c] > n {
		c--
	}
	w.literal(257 + c)
	w.bits(n-lenBase[c], lenBits[c])
	d := len(distBase) - 1
	for distBase[d] > back {
		d--
	}
	w.code(d, 5)
	w.bits(back-distBase[d], distBits[d])
}

// flush ends with the header of an empty stored block, whose rest is the tail
// that is not sent.
func (w *bitWriter) flush() []byte {
	w.bits(0, 3)
	if w.n > 0 {
		w.bits(0, 8-w.n)
	}
	return w.out
}

// compressible reports whether compression must make p much smaller: only then
// is its absence held against the testee.
func compressible(p []byte) bool {
	if len(p) < 128 {
		return false
	}
	k := packing{bits: 15, level: 1}
	return len(k.pack(p))*4 < len(p)*3
}
