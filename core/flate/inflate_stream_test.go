package flate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	kflate "github.com/klauspost/compress/flate"
)

// message decodes one whole message with takeover.
func message(z *Inflater, t *Tables, dst, packed []byte) ([]byte, error) {
	out, _, err := z.Inflate(t, dst, packed)
	if err != nil {
		return out, err
	}
	return z.EndMessage(t, out)
}

func noiseBytes(n int) []byte {
	rng := rand.New(rand.NewPCG(9, 10))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// TestInflateEveryWindow: what has distances up to the window decodes with it; one
// more is ErrDistance, from this call's output and from the history.
func TestInflateEveryWindow(t *testing.T) {
	tabs := NewTables()
	noise := noiseBytes(40000)
	for bits := MinBits; bits <= MaxBits; bits++ {
		if raceEnabled && bits != MinBits && bits != MaxBits {
			continue
		}
		for _, length := range []int{3, 70, 258} {
			for over := range 2 {
				d := 1<<bits + over
				var w bitWriter
				w.stored(false, noise)
				w.bits(1<<1, 3)
				w.match(length, min(d, 1<<15))
				w.lit(256)
				w.stored(false, nil)
				for _, c := range cutters() {
					var z Inflater
					z.Init(bits)
					got, err := inflate(t, &z, same(tabs), w.b, c, 1<<20)
					if over == 1 && bits < MaxBits {
						if err != ErrDistance || len(got) != len(noise) {
							t.Errorf("window %d, distance %d, %s: %d bytes, %v", bits, d, c.name, len(got), err)
						}
						continue
					}
					d := min(d, 1<<15)
					if err != nil || !bytes.Equal(got[len(noise):], noise[len(noise)-d:][:min(length, d)]) && length <= d {
						t.Errorf("window %d, distance %d, %s: %v", bits, d, c.name, err)
					}
				}
			}
		}
		for name, p := range plains() {
			var b bytes.Buffer
			k, err := kflate.NewWriterWindow(&b, 1<<bits)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = k.Write(p)
			_ = k.Flush()
			for _, c := range cutters() {
				var z Inflater
				z.Init(bits)
				if got, err := inflate(t, &z, same(tabs), b.Bytes(), c, 1<<20); err != nil || !bytes.Equal(got, p) {
					t.Errorf("window %d, %s, %s: %v", bits, name, c.name, err)
				}
			}
		}
	}
}

func TestInflateTakeover(t *testing.T) {
	msgs := benchMessages()
	msgs = append(msgs, bulkText(70000), nil, []byte("x"), bulkText(300))
	var z Inflater
	z.Init(15)
	tabs, dst := NewTables(), make([]byte, 0, 1<<17)
	packed := packMessages(6, true, msgs)
	for i, p := range packed {
		out, err := message(&z, tabs, dst, p)
		if err != nil || !bytes.Equal(out, msgs[i]) || !z.AtBoundary() {
			t.Fatalf("message %d: %d bytes, %v", i, len(out), err)
		}
		if own := z.Memory() + int(unsafe.Sizeof(z)) - 1<<15; own > 256 {
			t.Fatalf("%d bytes beyond the window are kept between messages", own)
		}
	}
	// Without the history the second message has nothing to refer to.
	z.Init(15)
	if _, err := message(&z, tabs, dst, packed[0]); err != nil {
		t.Fatal(err)
	}
	if z.Memory() != 256 {
		t.Errorf("256 bytes of data are held in %d", z.Memory())
	}
	z.Forget()
	if z.Memory() != 0 {
		t.Errorf("%d bytes are held after Forget", z.Memory())
	}
	if _, err := message(&z, tabs, dst, packed[1]); err != ErrDistance {
		t.Errorf("a message that refers to what was forgotten: %v", err)
	}
	if z.Forget(); z.err != ErrDistance {
		t.Error("Forget forgets an error")
	}
}

// TestInflateLast: messages without takeover, whole and in pieces, with any room;
// nothing is kept after one.
func TestInflateLast(t *testing.T) {
	msgs := append(benchMessages()[:20], bulkText(70000), nil, []byte("x"))
	rng := rand.New(rand.NewPCG(5, 6))
	tabs := NewTables()
	for _, level := range []int{-2, 0, 1, 6} {
		packed := packMessages(level, false, msgs)
		for _, room := range []int{1 << 17, 300, 17, 1} {
			var z Inflater
			z.Init(15)
			dst := make([]byte, 0, room)
			for i, src := range packed {
				var got []byte
				if first := rng.IntN(len(src) + 1); room < 1<<17 {
					for head := src[:first]; len(head) > 0 || z.More(); {
						out, n, err := z.Inflate(tabs, dst, head)
						if err != nil {
							t.Fatal(err)
						}
						got, head = append(got, out...), head[n:]
					}
					src = src[first:]
				}
				for done := false; !done; {
					out, n, d, err := z.InflateLast(tabs, dst, src)
					if err != nil || !d && len(out) < room {
						t.Fatalf("level %d, room %d, message %d: %d bytes, done %v, %v", level, room, i, len(out), d, err)
					}
					got, src, done = append(got, out...), src[n:], d
				}
				if !bytes.Equal(got, msgs[i]) || z.Memory() != 0 || !z.AtBoundary() || len(src) != 0 {
					t.Fatalf("level %d, room %d, message %d: %d bytes, holding %d", level, room, i, len(got), z.Memory())
				}
			}
		}
	}
}

// TestInflateEndings: the ways a message may end (RFC 7692 7.2.3), and not.
func TestInflateEndings(t *testing.T) {
	for _, m := range []struct {
		name, packed, want string
		err                error
	}{
		{"one block", "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello", nil},
		{"no compression", "\x00\x05\x00\xfa\xffHello\x00", "Hello", nil},
		{"final block", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello", nil},
		{"final block and nothing after it", "\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello", nil},
		{"two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello", nil},
		{"empty message", "\x00", "", nil},
		{"no bytes", "", "", nil},
		{"inside a fixed block", "\xf2\x48\xcd\xc9", "Hel", ErrTruncated},
		{"inside a stored block", "\x00\x0a\x00\xf5\xffab", "ab\x00\x00\xff\xff", ErrTruncated},
		{"in the header of a block", "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x02", "Hello", ErrTruncated},
	} {
		for _, room := range []int{100, 1} {
			var a, b Inflater
			a.Init(8)
			b.Init(8)
			gotA, errA := wholeMessage(&a, []byte(m.packed), room, false)
			gotB, errB := wholeMessage(&b, []byte(m.packed), room, true)
			if errA != m.err || errB != m.err || !bytes.HasPrefix(gotA, []byte(m.want)) || !bytes.Equal(gotA, gotB) {
				t.Errorf("%s, room %d: %q, %v and %q, %v; want %q, %v", m.name, room, gotA, errA, gotB, errB, m.want, m.err)
			}
			if m.err == nil && (string(gotA) != m.want || !a.AtBoundary() || a.tail != 0) {
				t.Errorf("%s, room %d: %q, want %q", m.name, room, gotA, m.want)
			}
		}
	}
}

func wholeMessage(z *Inflater, src []byte, room int, last bool) (got []byte, err error) {
	tabs, dst := NewTables(), make([]byte, 0, room)
	for more := true; more; {
		var out []byte
		var n int
		done := false
		if last {
			out, n, done, err = z.InflateLast(tabs, dst, src)
			more = !done
		} else if out, n, err = z.Inflate(tabs, dst, src); err == nil && n == len(src) && !z.More() {
			got = append(got, out...)
			for more := true; more && err == nil; more = z.More() {
				out, err = z.EndMessage(tabs, dst)
				got = append(got, out...)
			}
			return got, err
		}
		got, src = append(got, out...), src[n:]
		if err != nil {
			return got, err
		}
	}
	return got, nil
}

// TestInflateForgetInside: what a match owes is forgotten while it is owed.
func TestInflateForgetInside(t *testing.T) {
	p := fixedBlock(func(w *bitWriter) { w.lit('a'); w.match(258, 1); w.lit(256); w.stored(false, nil) })
	var z Inflater
	z.Init(8)
	tabs := NewTables()
	_, n, err := z.Inflate(tabs, make([]byte, 0, 5), p)
	if err != nil || !z.More() || z.AtBoundary() {
		t.Fatal(n, err, z.More())
	}
	z.Forget()
	if _, _, err := z.Inflate(tabs, make([]byte, 0, 5), p[n:]); err != ErrDistance {
		t.Errorf("%v, want ErrDistance", err)
	}
}

// TestInflateMemoryGrows: the history is as large as the data demand.
func TestInflateMemoryGrows(t *testing.T) {
	noise := noiseBytes(66000)
	for bits := MinBits; bits <= MaxBits; bits++ {
		var z Inflater
		z.Init(bits)
		tabs, dst := NewTables(), make([]byte, 0, 1000)
		var w bitWriter
		w.stored(false, noise[:65000])
		for sum := 0; sum < 65000; {
			out, n, err := z.Inflate(tabs, dst, w.b)
			if err != nil {
				t.Fatal(err)
			}
			w.b, sum = w.b[n:], sum+len(out)
			if want := min(1<<bits, max(256, 2*sum)); z.Memory() > want {
				t.Fatalf("window %d: %d bytes are held for %d", bits, z.Memory(), sum)
			}
		}
	}
	if n := unsafe.Sizeof(Inflater{}); n > 256 {
		t.Errorf("an Inflater has %d bytes", n)
	}
	if n := unsafe.Sizeof(Tables{}); n > 9<<10 {
		t.Errorf("Tables have %d bytes", n)
	}
}

func TestInflateAllocatesNothing(t *testing.T) {
	tabs, dst := NewTables(), make([]byte, 0, 1<<17)
	runs := 50
	if raceEnabled {
		runs = 3
	}
	count := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(runs, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	for _, m := range [][]byte{jsonMessage(1), bulkText(70000)} {
		p := packMessages(6, false, [][]byte{m})[0]
		var z Inflater
		z.Init(15)
		count("a whole message without takeover", func() {
			if out, _, done, err := z.InflateLast(tabs, dst, p); err != nil || !done || len(out) != len(m) {
				t.Fatal(err)
			}
		})
		whole := func() {
			if out, err := message(&z, tabs, dst, p); err != nil || len(out) != len(m) {
				t.Fatal(err)
			}
		}
		for range 4 * runs {
			whole()
		}
		count("a message with takeover", whole)
		other := NewTables()
		count("a message in pieces over two Tables", func() {
			sum := 0
			for i := range p {
				tab := tabs
				if i&1 == 1 {
					tab = other
				}
				for src := p[i : i+1]; len(src) > 0 || z.More(); {
					out, n, err := z.Inflate(tab, dst[:0:500], src)
					if err != nil {
						t.Fatal(err)
					}
					src, sum = src[n:], sum+len(out)
				}
			}
			if _, err := z.EndMessage(tabs, dst); err != nil || sum != len(m) {
				t.Fatal(sum, err)
			}
		})
	}
}

// TestInflateKeepsItsTables: codes are made once for a block, however it is cut, as
// long as nobody else uses the Tables.
func TestInflateKeepsItsTables(t *testing.T) {
	p := packMessages(6, false, [][]byte{jsonMessage(3)})[0]
	var z Inflater
	z.Init(15)
	tabs := NewTables()
	for i := range p {
		if _, n, err := z.Inflate(tabs, make([]byte, 0, 300), p[i:i+1]); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if tabs.serial != 1 {
		t.Errorf("codes were made %d times", tabs.serial)
	}
}

// TestTablesAgainstNaive: random complete codes, looked up bit by bit.
func TestTablesAgainstNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for round := range 400 {
		for _, k := range []struct{ symbols, root, room int }{{286, litBits, 1334}, {30, distBits, 402}} {
			lengths := randomCode(rng, 2+rng.IntN(k.symbols-1), round%3)
			table, meaning := make([]uint32, k.room), make([]uint32, len(lengths))
			for s := range meaning {
				meaning[s] = uint32(s) << 16
			}
			if !buildTable(table, k.root, lengths, meaning) {
				t.Fatal("a complete code is refused")
			}
			if err := lookUpAll(table, k.root, lengths); err != nil {
				t.Fatal(err)
			}
			spoilt := bytes.Clone(lengths)
			s := rng.IntN(len(spoilt))
			if spoilt[s]++; spoilt[s] > maxCode {
				spoilt[s] = 1
			}
			if len(spoilt) > 2 && buildTable(table, k.root, spoilt, meaning) {
				t.Fatal("an impossible code is taken")
			}
		}
	}
}

// randomCode splits codes until there are n; skew makes long ones.
func randomCode(rng *rand.Rand, n, skew int) []uint8 {
	l := []uint8{1, 1}
	for len(l) < n {
		i := rng.IntN(len(l))
		if skew > 0 && rng.IntN(4) < skew {
			i = len(l) - 1
		}
		if l[i] < maxCode {
			l[i]++
			l = append(l, l[i])
		}
	}
	rng.Shuffle(n, func(i, j int) { l[i], l[j] = l[j], l[i] })
	return l
}

// lookUpAll finds each symbol under its canonical code (RFC 1951 3.2.2).
func lookUpAll(table []uint32, root int, lengths []uint8) error {
	code := 0
	for l := 1; l <= maxCode; l++ {
		for s, have := range lengths {
			if int(have) != l {
				continue
			}
			in := 0
			for b := range l {
				in |= code >> b & 1 << (l - 1 - b)
			}
			e, used := table[in&(1<<root-1)], 0
			if e&subtable != 0 {
				e, used = table[int(e>>16)+in>>root&(1<<(e>>8&15)-1)], root
			}
			if int(e>>16) != s || used+int(e&63) != l {
				return fmt.Errorf("code %b of %d bits gives %d in %d bits, not %d", code, l, e>>16, used+int(e&63), s)
			}
			code++
		}
		code <<= 1
	}
	return nil
}
