package ws

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// surroundings make each way to check text the one at work. Each is whole
// characters, so text around a sequence is valid if the sequence is.
var surroundings = [][2]string{
	{"", ""},
	{strings.Repeat("a", 40), strings.Repeat("z", 40)},
	{strings.Repeat("é", 20), strings.Repeat("я", 20)},
	{strings.Repeat("né ", 10), strings.Repeat("да", 10)},
	{strings.Repeat("漢", 16), strings.Repeat("字", 16)},
	{strings.Repeat("😀", 10), strings.Repeat("😀", 10)},
}

// places are buffers with room for a sequence at every place in a block of the
// fast ways, in every surrounding.
type places struct {
	bufs [][]byte
	at   []int
	next int
}

func placesFor(size int) *places {
	in := &places{}
	for phase := range 37 { // one more character before it, or one byte more
		for _, s := range surroundings {
			before := strings.Repeat("x", phase%9) + s[0]
			if _, n := utf8.DecodeRuneInString(s[0]); n > 0 {
				before += strings.Repeat(s[0][:n], phase)
			}
			in.at = append(in.at, len(before))
			in.bufs = append(in.bufs, []byte(before+strings.Repeat("?", size)+s[1]))
		}
	}
	return in
}

// check checks s in n places; others the next time.
func (in *places) check(t *testing.T, n int, s ...byte) {
	want := utf8.Valid(s)
	for range n {
		b, at := in.bufs[in.next], in.at[in.next]
		if in.next++; in.next == len(in.bufs) {
			in.next = 0
		}
		if copy(b[at:], s); validText(b) != want || validNarrow(b) != want {
			t.Fatalf("% x at %d in %q: valid %v, and %v without wide words, want %v", s, at, b, validText(b), validNarrow(b), want)
		}
	}
}

// skipIfRace is for enumerations in one goroutine.
func skipIfRace(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing runs beside it, and it is ten times as slow")
	}
}

// edges are the bytes at which the rules of RFC 3629 change.
var edges = []byte{0, 'a', 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xd0, 0xdf,
	0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff}

// TestValidTextSequences: all sequences of one, two and three bytes. (Without a
// lead byte in front the last two, or all three, say the same at the edges.)
func TestValidTextSequences(t *testing.T) {
	skipIfRace(t)
	one, two, three := placesFor(1), placesFor(2), placesFor(3)
	for a := range 256 {
		one.check(t, len(one.bufs), byte(a))
		for b := range 256 {
			two.check(t, 7, byte(a), byte(b))
			if a < 0xc0 || testing.Short() {
				for _, c := range edges {
					three.check(t, 1, byte(a), byte(b), c)
				}
				continue
			}
			for c := range 256 {
				three.check(t, 1, byte(a), byte(b), byte(c))
			}
		}
	}
}

// TestValidTextEdges: all sequences of bytes at the edges of the rules, three of
// them at every place.
func TestValidTextEdges(t *testing.T) {
	skipIfRace(t)
	three, four := placesFor(3), placesFor(4)
	every := len(three.bufs)
	if testing.Short() {
		every = 5
	}
	for _, a := range edges {
		for _, b := range edges {
			for _, c := range edges {
				three.check(t, every, a, b, c)
				for _, d := range edges {
					four.check(t, 3, a, b, c, d)
				}
			}
		}
	}
}

// TestValidTextCodePoints: every code point, and every number that is none.
func TestValidTextCodePoints(t *testing.T) {
	skipIfRace(t)
	one, two, three, four := placesFor(1), placesFor(2), placesFor(3), placesFor(4)
	low := func(r int) byte { return 0x80 | byte(r)&0x3f }
	for r := range 0x200000 {
		switch {
		case r < 0x80:
			one.check(t, 5, byte(r))
			two.check(t, 5, 0xc0|byte(r>>6), low(r)) // too long
			three.check(t, 5, 0xe0, low(r>>6), low(r))
			four.check(t, 5, 0xf0, 0x80, low(r>>6), low(r))
		case r < 0x800:
			two.check(t, 5, 0xc0|byte(r>>6), low(r))
			three.check(t, 5, 0xe0, low(r>>6), low(r))
			four.check(t, 5, 0xf0, 0x80, low(r>>6), low(r))
		case r < 0x10000:
			three.check(t, 5, 0xe0|byte(r>>12), low(r>>6), low(r)) // also the surrogates
			four.check(t, 1, 0xf0, low(r>>12), low(r>>6), low(r))
		default:
			if testing.Short() && r&0x3f > 1 && r&0x3f != 0x3f {
				continue
			}
			four.check(t, 1, 0xf0|byte(r>>18), low(r>>12), low(r>>6), low(r)) // also beyond 10FFFF
		}
	}
}

// firstBad is the index of the first byte after which no text can be valid;
// len(p) if there is none.
func firstBad(p []byte) int {
	for i := 0; i < len(p); {
		if r, n := utf8.DecodeRune(p[i:]); r != utf8.RuneError || n > 1 {
			i += n
			continue
		}
		for k := 1; i+k <= len(p); k++ {
			if utf8.FullRune(p[i : i+k]) {
				return i + k - 1
			}
		}
		break // cut off
	}
	return len(p)
}

// checkPieces: a text in two pieces fails with the piece that has the first bad
// byte, and not before.
func checkPieces(t *testing.T, p []byte, bad, cut int) {
	t.Helper()
	var u UTF8
	if got, want := u.Add(p[:cut]), bad >= cut; got != want {
		t.Fatalf("% x: %v for the first %d, bad is %d", p, got, cut, bad)
	} else if !got {
		return
	}
	if got, want := u.Add(p[cut:]), bad == len(p); got != want {
		t.Fatalf("% x: %v behind the first %d, bad is %d", p, got, cut, bad)
	}
	if bad == len(p) && u.Complete() != utf8.Valid(p) {
		t.Fatalf("% x cut at %d: complete %v", p, cut, u.Complete())
	}
}

// TestUTF8FailsAtTheFirstBadByte: RFC 6455 8.1 text in pieces, cut everywhere,
// with each byte changed to one that may be wrong there.
func TestUTF8FailsAtTheFirstBadByte(t *testing.T) {
	for name, p := range texts(150) {
		for at := range p {
			if raceEnabled && at%11 != 0 {
				continue
			}
			was := p[at]
			for _, b := range edges {
				p[at] = b
				bad := firstBad(p)
				for _, cut := range []int{0, 1, at - 1, at, at + 1, at + 2, at + 3, len(p) - 1, (at * 7) % len(p)} {
					checkPieces(t, p, bad, max(0, min(cut, len(p))))
				}
				if at%8 == 0 { // a byte at a time
					var u UTF8
					i := 0
					for i < len(p) && u.Add(p[i:i+1]) {
						i++
					}
					if i != bad {
						t.Fatalf("%s: % x fails at %d, want %d", name, p, i, bad)
					}
				}
			}
			p[at] = was
		}
		for cut := range len(p) + 1 {
			checkPieces(t, p, firstBad(p), cut)
		}
	}
}

// TestTextTakesTheFastWay: of a long text of one script unicode/utf8 sees no more
// than the end, which is shorter than a step.
func TestTextTakesTheFastWay(t *testing.T) {
	for _, name := range []string{"ascii", "french", "russian", "two", "three", "one then ascii"} {
		p := texts(16 << 10)[name]
		if rest := skipFast(p); len(rest) >= 26 {
			t.Errorf("%s: %d of %d bytes are left", name, len(rest), len(p))
		}
		for n := range 64 { // wherever it begins
			if rest := skipFast(append([]byte(strings.Repeat("x", n)), p...)); len(rest) >= 26 {
				t.Errorf("%s behind %d bytes: %d of %d bytes are left", name, n, len(rest), len(p))
			}
		}
	}
}

// TestSkipTwoLeavesASCII: a single é must not make the ASCII behind it slow.
func TestSkipTwoLeavesASCII(t *testing.T) {
	p := []byte("é" + strings.Repeat("a", 10000))
	if rest := skipTwo(p); len(rest) < len(p)-130 {
		t.Errorf("skipTwo took %d bytes, nearly all ASCII", len(p)-len(rest))
	}
}

// FuzzText: validText agrees with unicode/utf8, and so do pieces, to the byte at
// which they fail.
func FuzzText(f *testing.F) {
	for _, p := range texts(100) {
		f.Add(p, 3)
	}
	f.Add([]byte{0xf4, 0x90, 0x80, 0x80}, 1)
	f.Add([]byte("漢字漢字漢字漢字漢字\xed\xa0\x80漢字漢字漢字漢字漢字漢字"), 30)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		if got, want := validText(p), utf8.Valid(p); got != want {
			t.Errorf("%q: %v, want %v", p, got, want)
		}
		if got, want := validNarrow(p), utf8.Valid(p); got != want {
			t.Errorf("%q: without wide words %v, want %v", p, got, want)
		}
		if rest := skipFast(p); !utf8.Valid(p[:len(p)-len(rest)]) {
			t.Errorf("%q: skipped to %q", p, rest)
		}
		checkPieces(t, p, firstBad(p), max(0, min(cut, len(p))))
	})
}

// scriptOf makes n bytes of words of up to most letters, like a script with spaces.
func scriptOf(n int, from, to rune, most int, space string) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for {
		for range 1 + r.IntN(most) {
			b = utf8.AppendRune(b, from+r.Int32N(to-from))
		}
		b = append(b, space...)
		if len(b) >= n {
			for !utf8.Valid(b[:n]) {
				n--
			}
			return b[:n]
		}
	}
}

// texts are about n bytes each.
func texts(n int) map[string][]byte {
	rep := func(s string) []byte {
		b := []byte(strings.Repeat(s, n/len(s)+1))
		k := n
		for !utf8.Valid(b[:k]) {
			k--
		}
		return b[:k]
	}
	return map[string][]byte{
		"ascii":          rep("The quick brown fox jumps over the lazy dog. "),
		"one then ascii": append([]byte("é"), rep("The quick brown fox ")[:n-2]...),
		"french":         rep("L'été dernier, le garçon naïf a mangé près de la forêt où les élèves étaient allés. "),
		"quotes":         rep("“Well,” said she, “this is not what I had in mind — but let us see.” And then it was over. "),
		"chat":           rep("lol that is so funny 😂😂 see you later 👍 we will be there at 8pm, do not be late 🎉 "),
		"russian":        scriptOf(n, 'а', 'я', 10, " "),
		"two":            rep("й"),
		"japanese":       rep("今日は2026年11月26日です。Goのプログラムを書いています。テストが100%通りました。"),
		"korean":         scriptOf(n, 0xac00, 0xd7a4, 5, " "),
		"hindi":          scriptOf(n, 0x904, 0x940, 7, " "),
		"three":          scriptOf(n, 0x800, 0xd800, 50, ""),
		"emoji":          rep("😀😂"),
		"mixed":          rep("aé漢😀é漢a😀漢漢éaa"),
	}
}

func BenchmarkText(b *testing.B) {
	for _, n := range []int{60, 125, 1024, 16 << 10} {
		all := texts(n)
		for _, name := range []string{"ascii", "one then ascii", "french", "quotes", "chat", "russian", "two", "japanese", "korean", "hindi", "three", "emoji", "mixed"} {
			text := all[name]
			for _, way := range []struct {
				name  string
				valid func([]byte) bool
			}{{"validText", validText}, {"narrow", validNarrow}, {"unicode", utf8.Valid}} {
				b.Run(fmt.Sprintf("size=%d/%s/%s", n, name, way.name), func(b *testing.B) {
					b.SetBytes(int64(len(text)))
					for b.Loop() {
						if !way.valid(text) {
							b.Fatal("not valid")
						}
					}
				})
			}
		}
	}
}
