package flate

import (
	"bytes"
	stdflate "compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	kflate "github.com/klauspost/compress/flate"
)

// stream is compressed data and what it says.
type stream struct {
	name          string
	packed, plain []byte
}

// bitWriter makes streams by hand.
type bitWriter struct {
	b []byte
	n uint
}

// bits appends the low k bits of v, lowest first.
func (w *bitWriter) bits(v uint32, k uint) {
	for ; k > 0; k, v = k-1, v>>1 {
		if w.n&7 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[len(w.b)-1] |= byte(v&1) << (w.n & 7)
		w.n++
	}
}

// code appends a code of k bits, first bit highest.
func (w *bitWriter) code(v uint32, k uint) {
	for ; k > 0; k-- {
		w.bits(v>>(k-1), 1)
	}
}

func (w *bitWriter) align() { w.n = (w.n + 7) &^ 7 }

// stored appends p in stored blocks; an empty p is a sync flush.
func (w *bitWriter) stored(final bool, p []byte) {
	for {
		k := min(len(p), 65535)
		last := k == len(p)
		w.bits(b2u(final && last), 3)
		w.align()
		w.bits(uint32(k), 16)
		w.bits(uint32(k)^0xffff, 16)
		w.b = append(w.b, p[:k]...)
		w.n += uint(k) * 8
		if p = p[k:]; last {
			return
		}
	}
}

func b2u(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// lit appends a literal or end of block in the fixed code.
func (w *bitWriter) lit(s int) {
	switch {
	case s < 144:
		w.code(uint32(0x30+s), 8)
	case s < 256:
		w.code(uint32(0x190+s-144), 9)
	case s < 280:
		w.code(uint32(s-256), 7)
	default:
		w.code(uint32(0xc0+s-280), 8)
	}
}

// match appends a match in the fixed codes.
func (w *bitWriter) match(length, dist int) {
	w.symbol(litMeaning[257:286], length, func(s int) { w.lit(257 + s) })
	w.symbol(distMeaning[:maxDist], dist, func(s int) { w.code(uint32(s), 5) })
}

func (w *bitWriter) symbol(meaning []uint32, v int, put func(int)) {
	s := len(meaning) - 1
	for int(meaning[s]>>16) > v {
		s--
	}
	put(s)
	w.bits(uint32(v)-meaning[s]>>16, uint(meaning[s]&63))
}

func plains() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 20000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	skewed := make([]byte, 30000) // long codes
	for i := range skewed {
		skewed[i] = byte(rng.ExpFloat64() * 9)
	}
	var far []byte // matches at every distance
	for len(far) < 70000 {
		if d := 1 + rng.IntN(32768); d < len(far) {
			n := min(3+rng.IntN(300), d)
			far = append(far, far[len(far)-d:][:n]...)
		}
		far = append(far, noise[rng.IntN(19000):][:1+rng.IntN(40)]...)
	}
	return map[string][]byte{
		"empty": nil, "byte": {'x'}, "zeros": make([]byte, 100000), "noise": noise, "skewed": skewed, "far": far,
		"text": bulkText(30000), "json": bytes.Join(benchMessages(), []byte("\n")), "short": []byte("abcabcabcabcabcabc"),
	}
}

// streams are the plains by both encoders at the levels that differ in kind, and some made by hand.
func streams(t testing.TB) (all []stream) {
	for name, p := range plains() {
		for _, level := range []int{-2, 0, 1, 6, 9} {
			var b bytes.Buffer
			w, err := stdflate.NewWriter(&b, level)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = w.Write(p[:len(p)/2])
			_ = w.Flush()
			_, _ = w.Write(p[len(p)/2:])
			_ = w.Close()
			all = append(all, stream{fmt.Sprintf("std/%s/%d", name, level), bytes.Clone(b.Bytes()), p})
			b.Reset()
			k, err := kflate.NewWriter(&b, level)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = k.Write(p)
			_ = k.Flush()
			all = append(all, stream{fmt.Sprintf("klauspost/%s/%d", name, level), bytes.Clone(b.Bytes()), p})
		}
	}
	var w bitWriter
	w.bits(1|1<<1, 3) // final, fixed
	for _, c := range []byte("Hello\xf0") {
		w.lit(int(c))
	}
	w.lit(256)
	w.align()
	w.stored(true, []byte(" stored "))
	w.bits(1<<1, 3)
	for length := 3; length <= 258; length++ {
		w.match(length, 1+length%19)
	}
	w.lit(256)
	w.stored(false, nil)
	want := []byte("Hello\xf0 stored ")
	for length := 3; length <= 258; length++ {
		for range length {
			want = append(want, want[len(want)-1-length%19])
		}
	}
	return append(all, stream{"hand", w.b, want})
}

// cutter says how much to give at once, of src and of room. Room 0 is tried too.
type cutter struct {
	name     string
	src, dst func() int
}

func cutters() []cutter {
	rng := rand.New(rand.NewPCG(3, 4))
	all, one := func() int { return 1 << 20 }, func() int { return 1 }
	some := func(n int) func() int {
		return func() int {
			if rng.IntN(3) == 0 {
				return rng.IntN(3)
			}
			return rng.IntN(n)
		}
	}
	return []cutter{{"whole", all, all}, {"src1", one, all}, {"dst1", all, one}, {"both1", one, one}, {"random", some(40), some(700)}, {"random2", some(3000), some(40)}}
}

// guard is what stands before the room: bytes that must stay.
var guard = bytes.Repeat([]byte{0xa5}, 16)

func checkGuard(t testing.TB, out []byte, n int) {
	t.Helper()
	if cap(out) != 16+n || !bytes.Equal(out[:16], guard) {
		t.Fatal("bytes before dst's end were touched, or dst was replaced")
	}
}

// inflate decodes packed as c cuts it, checking what is promised at each step. It
// stops once limit bytes came out.
func inflate(t testing.TB, z *Inflater, tabs func() *Tables, packed []byte, c cutter, limit int) (got []byte, err error) {
	t.Helper()
	src, space := packed, make([]byte, 16+min(limit+300, 140000))
	for len(got) < limit {
		k, room := min(c.src(), len(src)), min(c.dst(), len(space)-16)
		dst := space[: copy(space, guard) : 16+room]
		out, n, err := z.Inflate(tabs(), dst, src[:k:k])
		checkGuard(t, out, room)
		got, src = append(got, out[16:]...), src[n:]
		if err != nil {
			if _, _, again := z.Inflate(tabs(), dst, src); again != err {
				t.Fatalf("%v became %v", err, again)
			}
			return got, err
		}
		if n < k && len(out) < cap(out) {
			t.Fatalf("stopped at %d of %d bytes with room for %d", n, k, cap(out)-len(out))
		}
		if z.More() && len(out) < cap(out) {
			t.Fatal("owes output in spite of room")
		}
		if z.Memory() > 1<<z.bits {
			t.Fatalf("holds %d bytes", z.Memory())
		}
		if len(src) == 0 && !z.More() {
			return got, nil
		}
	}
	return got, nil
}

func same(t *Tables) func() *Tables { return func() *Tables { return t } }

func TestInflateAnyCut(t *testing.T) {
	tabs := NewTables()
	for i, s := range streams(t) {
		for j, c := range cutters() {
			if raceEnabled && (i+j)%5 != 0 {
				continue
			}
			var z Inflater
			z.Init(15)
			got, err := inflate(t, &z, same(tabs), s.packed, c, 1<<20)
			if err != nil || !bytes.Equal(got, s.plain) {
				t.Fatalf("%s, %s: %d bytes of %d, %v", s.name, c.name, len(got), len(s.plain), err)
			}
			if !z.AtBoundary() || z.More() {
				t.Fatalf("%s, %s: not at a boundary", s.name, c.name)
			}
		}
	}
}

// TestInflateManyOnOneTables interleaves streams byte by byte over one Tables, and
// moves one stream over many: each finds its codes gone at every step.
func TestInflateManyOnOneTables(t *testing.T) {
	tabs := NewTables()
	var all []stream
	for _, s := range streams(t) {
		if len(s.packed) < 40000 && !(raceEnabled && len(s.packed) > 4000) {
			all = append(all, s)
		}
	}
	zs, got := make([]Inflater, len(all)), make([][]byte, len(all))
	for i := range zs {
		zs[i].Init(15)
	}
	var one [1 << 10]byte
	for at, busy := 0, true; busy; at++ {
		busy = false
		for i, s := range all {
			for src := s.packed[min(at, len(s.packed)):min(at+1, len(s.packed))]; len(src) > 0 || zs[i].More(); {
				busy = true
				out, n, err := zs[i].Inflate(tabs, one[:0], src)
				if err != nil {
					t.Fatal(s.name, err)
				}
				got[i], src = append(got[i], out...), src[n:]
			}
		}
	}
	for i, s := range all {
		if !bytes.Equal(got[i], s.plain) {
			t.Errorf("%s: interleaved, it differs", s.name)
		}
	}
	for _, s := range streams(t) {
		var z Inflater
		z.Init(15)
		got, err := inflate(t, &z, NewTables, s.packed, cutter{src: func() int { return 50 }, dst: func() int { return 900 }}, 1<<20)
		if err != nil || !bytes.Equal(got, s.plain) {
			t.Errorf("%s: over many Tables: %v", s.name, err)
		}
	}
}

// oracle is what the standard library makes of the data; where it stops at a last
// block, it goes on as we do. more says that data ended inside a block.
func oracle(t testing.TB, data []byte, limit int) (out []byte, more bool, err error) {
	t.Helper()
	r := bytes.NewReader(data)
	for {
		zr := stdflate.NewReaderDict(r, out[max(0, len(out)-1<<15):])
		p, err := io.ReadAll(io.LimitReader(zr, int64(limit-len(out))))
		out = append(out, p...)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			return out, true, nil
		case err != nil:
			return out, false, err
		case len(out) >= limit || r.Len() == 0:
			return out, false, nil
		}
	}
}

// TestInflateTruncated cuts streams at every byte: the output is the standard
// library's, and nothing is out of bounds.
func TestInflateTruncated(t *testing.T) {
	tabs := NewTables()
	for _, s := range streams(t) {
		if len(s.packed) > 3000 {
			s.packed = s.packed[:150]
		}
		step := 1
		if raceEnabled {
			step = 7
		}
		for n := 0; n < len(s.packed); n += step {
			var z Inflater
			z.Init(15)
			p := s.packed[:n:n]
			got, err := inflate(t, &z, same(tabs), p, cutters()[0], 1<<20)
			if want, _, _ := oracle(t, p, 1<<20); err != nil || !bytes.HasPrefix(got, want) || !bytes.HasPrefix(s.plain, got) {
				t.Fatalf("%s cut at %d: %d bytes for %d, %v", s.name, n, len(got), len(want), err)
			}
		}
	}
}
