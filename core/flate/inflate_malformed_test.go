package flate

import (
	"bytes"
	"testing"
)

// malformed are streams each with one thing wrong.
var malformed = []struct {
	name string
	make func() []byte
	err  error
}{
	{"reserved block type", func() []byte { return []byte{6} }, ErrBlockType},
	{"stored length", func() []byte { return []byte{0, 1, 0, 0xff, 0xff} }, ErrStored},
	{"287 literal codes", func() []byte { return dynamic(30, 0, nil) }, ErrCodes},
	{"31 distance codes", func() []byte { return dynamic(0, 30, nil) }, ErrCodes},
	{"too many code length codes", func() []byte { return dynamic(0, 0, []uint32{1, 1, 1}) }, ErrCodes},
	{"too few code length codes", func() []byte { return dynamic(0, 0, []uint32{2, 2, 2}) }, ErrCodes},
	{"repeat of nothing", func() []byte { return dynamic(0, 0, []uint32{1, 0, 0, 1}, 1, 1, 0, 2) }, ErrCodes},
	{"repeat beyond the end", func() []byte {
		return dynamic(0, 0, []uint32{0, 0, 1, 1}, 1, 1, 127, 7, 1, 1, 127, 7) // 138 zeros twice
	}, ErrCodes},
	{"code length without a code", func() []byte { return dynamic(0, 0, []uint32{0, 0, 1, 0}, 1, 1) }, ErrCodes},
	{"too many literal codes", func() []byte { return dynamic(0, 0, clens(1, 2, 1), lengths(257, 1, 1, 1, 1)...) }, ErrCodes},
	{"too few literal codes", func() []byte { return dynamic(0, 0, clens(1, 2, 1), lengths(257, 2, 2, 2, 1)...) }, ErrCodes},
	{"literal code 286", func() []byte { return fixedBlock(func(w *bitWriter) { w.lit(286) }) }, ErrSymbol},
	{"literal code 287", func() []byte { return fixedBlock(func(w *bitWriter) { w.lit('a'); w.lit(287) }) }, ErrSymbol},
	{"distance code 30", func() []byte { return fixedBlock(func(w *bitWriter) { w.lit('a'); w.lit(257); w.code(30, 5) }) }, ErrSymbol},
	{"distance code 31", func() []byte { return fixedBlock(func(w *bitWriter) { w.lit('a'); w.lit(285); w.code(31, 5) }) }, ErrSymbol},
	{"distance before the first byte", func() []byte { return fixedBlock(func(w *bitWriter) { w.match(3, 1) }) }, ErrDistance},
	{"distance beyond the data", func() []byte { return fixedBlock(func(w *bitWriter) { w.lit('a'); w.match(258, 2) }) }, ErrDistance},
}

func fixedBlock(body func(w *bitWriter)) []byte {
	var w bitWriter
	w.bits(1<<1, 3)
	body(&w)
	return w.b
}

// dynamic is the header of a dynamic block: HLIT, HDIST, the lengths of the code
// length codes in their order, and bits after it as pairs of value and number.
func dynamic(hlit, hdist uint32, cl []uint32, body ...uint32) []byte {
	var w bitWriter
	w.bits(2<<1, 3)
	w.bits(hlit, 5)
	w.bits(hdist, 5)
	w.bits(uint32(max(len(cl), 4)-4), 4)
	for i := range max(len(cl), 4) {
		v := uint32(0)
		if i < len(cl) {
			v = cl[i]
		}
		w.bits(v, 3)
	}
	for i := 0; i < len(body); i += 2 {
		w.bits(body[i], uint(body[i+1]))
	}
	return w.b
}

// clens gives code lengths a, b and the symbol 18 codes of two bits each, and the
// length 0 another.
func clens(a, b, _ int) []uint32 {
	cl := make([]uint32, 19)
	for i, s := range codeLengthOrder {
		if s == 0 || s == 18 || int(s) == a || int(s) == b {
			cl[i] = 2
		}
	}
	return cl
}

// lengths is the body that goes with clens(1, 2): n literal lengths, all zero but
// the first two and the last, and one of distances.
func lengths(n int, first, second, last, dist int) (body []uint32) {
	code := func(s int) { // canonical: 0, 1, 2, 18 in this order, first bit lowest
		body = append(body, []uint32{0, 2, 1, 3}[min(s, 3)], 2)
	}
	code(first)
	code(second)
	for left := n - 3; left > 0; {
		if left < 11 {
			code(0)
			left--
			continue
		}
		k := min(left, 138)
		code(18)
		body = append(body, uint32(k-11), 7)
		left -= k
	}
	code(last)
	code(dist)
	return body
}

func TestInflateMalformed(t *testing.T) {
	tabs := NewTables()
	seen := map[error]bool{}
	for _, m := range malformed {
		t.Run(m.name, func(t *testing.T) {
			var whole []byte
			for i, c := range cutters() {
				var z Inflater
				z.Init(15)
				got, err := inflate(t, &z, same(tabs), m.make(), c, 1<<20)
				if err != m.err {
					t.Errorf("%s: %v, want %v", c.name, err, m.err)
				}
				if i == 0 {
					whole = got
				}
				if !bytes.Equal(got, whole) {
					t.Errorf("%s: %q before the error; whole %q", c.name, got, whole)
				}
				z.Init(15)
				if out, _, err := z.Inflate(tabs, make([]byte, 0, 9), []byte{0, 1, 0, 0xfe, 0xff, 'x'}); err != nil || string(out) != "x" {
					t.Errorf("after Init: %q, %v", out, err)
				}
			}
			// The same far from the ends of both buffers, where decoding is quick.
			var w bitWriter
			w.stored(false, []byte("0123456789"))
			if m.err == ErrDistance {
				w = bitWriter{}
			}
			p := append(append(w.b, m.make()...), make([]byte, 40)...)
			var z Inflater
			z.Init(15)
			if _, _, err := z.Inflate(tabs, make([]byte, 0, 4000), p); err != m.err {
				t.Errorf("in the middle: %v, want %v", err, m.err)
			}
			if _, _, stdErr := oracle(t, p, 1<<20); stdErr == nil {
				t.Error("the standard library has nothing against it")
			}
		})
		seen[m.err] = true
	}
	for _, err := range []error{ErrBlockType, ErrStored, ErrCodes, ErrSymbol, ErrDistance} {
		if !seen[err] {
			t.Errorf("no stream for %v", err)
		}
	}
}

// TestInflateOneCode: a code of a single symbol has one bit and half a meaning; one
// of none has none until it is used.
func TestInflateOneCode(t *testing.T) {
	one := dynamic(0, 0, clens(1, 2, 1), lengths(257, 0, 0, 1, 0)...)
	tabs := NewTables()
	for end, want := range map[uint32]error{0: nil, 1: ErrSymbol} {
		body := append(lengths(257, 0, 0, 1, 0), end, 1, 0, 20)
		p := dynamic(0, 0, clens(1, 2, 1), body...)
		var z Inflater
		z.Init(15)
		if _, _, err := z.Inflate(tabs, nil, p); err != want {
			t.Errorf("the code %d of %x: %v, want %v", end, one, err, want)
		}
	}
	// Lengths 1 for 'x'-like symbol 0, 2 for 1 and the last (end): complete; no
	// distance code is needed by literals alone.
	body := append(lengths(257, 1, 2, 2, 0), 0, 1, 1, 2, 3, 2) // 0, 1, end
	var z Inflater
	z.Init(15)
	out, _, err := z.Inflate(tabs, make([]byte, 0, 9), dynamic(0, 0, clens(1, 2, 1), body...))
	if err != nil || !bytes.Equal(out, []byte{0, 1}) {
		t.Errorf("%x, %v", out, err)
	}
}
