package flate

import (
	"encoding/binary"
	"math/bits"
)

// Tables is what decoding needs only while it goes on: the codes of the block at
// hand, 9 KiB. One serves any number of inflaters, one after the other: each knows
// whether its codes are still there and otherwise makes them again. The zero value
// is ready. It belongs to one thread.
type Tables struct {
	codes   codes
	clens   [1 << clenBits]uint32
	lengths [maxLit + maxDist + 8]uint8 // and room for a word written at the end
	serial  uint64                      // of the block whose codes these are
}

// NewTables returns Tables on the heap.
func NewTables() *Tables { return new(Tables) }

const (
	maxLit  = 286 // literals, end of block, lengths
	maxDist = 30
	numClen = 19
	maxCode = 15 // bits

	litBits  = 10 // looked up at once
	distBits = 8
	clenBits = 7 // all there are
	litMask  = 1<<litBits - 1
	distMask = 1<<distBits - 1
)

// codes are the two codes of a block, as tables that the next bits index. A code
// longer than that has its rest in a subtable behind. The most that complete codes
// of 288 and 32 symbols can need is 1334 and 402 entries (zlib's enough.c).
type codes struct {
	lit  [1536]uint32
	dist [512]uint32
}

// An entry of a table: bits 0 to 5 say how many bits of input it uses, 8 to 11 how
// many of them are code, the rest being extra bits; from bit 16 on is the literal
// or what to add to the extra bits. In a subtable's place: its index bits and its
// start.
const (
	literal     = 1 << 31
	exceptional = 1 << 15 // subtable, endOfBlock or no meaning
	subtable    = 1 << 14
	endOfBlock  = 1 << 13
)

// What symbols mean: entries without their code's length.
var (
	litMeaning  = litMeanings()
	distMeaning = distMeanings()
	clenMeaning = clenMeanings()
	fixed       = fixedCodes()
)

// litMeanings is RFC 1951 3.2.5: groups of four lengths, each with one more extra
// bit than the group before.
func litMeanings() (m [288]uint32) {
	for i := range 256 {
		m[i] = literal | uint32(i)<<16
	}
	m[256] = exceptional | endOfBlock
	base := uint32(3)
	for i := 257; i < 285; i++ {
		extra := uint32(max(i-261, 0) / 4)
		m[i] = base<<16 | extra
		base += 1 << extra
	}
	m[285] = 258 << 16
	m[286], m[287] = exceptional, exceptional
	return m
}

// distMeanings: the same for distances, in groups of two.
func distMeanings() (m [32]uint32) {
	base := uint32(1)
	for i := range maxDist {
		extra := uint32(max(i-2, 0) / 2)
		m[i] = base<<16 | extra
		base += 1 << extra
	}
	m[30], m[31] = exceptional, exceptional
	return m
}

func clenMeanings() (m [numClen]uint32) {
	for i := range m {
		m[i] = uint32(i) << 16
	}
	m[16] |= 2
	m[17] |= 3
	m[18] |= 7
	return m
}

// fixedCodes is RFC 1951 3.2.6.
func fixedCodes() (c codes) {
	var l [288]uint8
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		default:
			l[i] = 8
		}
	}
	buildTable(c.lit[:], litBits, l[:], litMeaning[:])
	for i := range 32 {
		l[i] = 5
	}
	buildTable(c.dist[:], distBits, l[:32], distMeaning[:])
	return c
}

// buildClens makes the code of the code lengths.
func (t *Tables) buildClens(packed uint64) bool {
	var l [numClen]uint8
	for i := range l {
		l[i] = uint8(packed >> (3 * i) & 7)
	}
	return buildTable(t.clens[:], clenBits, l[:], clenMeaning[:])
}

// build makes the codes of a block from t.lengths.
func (t *Tables) build(nlit uint16, ndist uint8) bool {
	l := t.lengths[:nlit+uint16(ndist)]
	return buildTable(t.codes.lit[:], litBits, l[:nlit], litMeaning[:]) &&
		buildTable(t.codes.dist[:], distBits, l[nlit:], distMeaning[:])
}

// buildTable makes the table of the canonical code with these lengths, root bits
// wide, and reports whether there is such a code. A code must be complete, but for
// two kinds: none at all and a single one of one bit. (The standard library draws
// the same line.)
func buildTable(table []uint32, root int, lengths []uint8, meaning []uint32) bool {
	var b builder
	b.table, b.root = table, root
	b.counts(lengths)
	space, used := 0, 0
	var next [maxCode + 2]uint16
	for l := 1; l <= maxCode; l++ {
		space = space<<1 + int(b.count[l])
		used += int(b.count[l])
		next[l+1] = next[l] + b.count[l]
	}
	for s := 0; s < len(lengths); s++ {
		l := lengths[s]
		if l == 0 {
			if s+8 <= len(lengths) && binary.LittleEndian.Uint64(lengths[s:]) == 0 {
				s += 7
			}
			continue
		}
		b.sorted[next[l]] = meaning[s]
		next[l]++
	}
	switch {
	case used == 0:
		b.degenerate(exceptional, exceptional)
	case used == 1 && b.count[1] == 1:
		b.degenerate(entry(b.sorted[0], 1), entry(exceptional, 1))
	case space != 1<<maxCode:
		return false
	default:
		b.short()
	}
	return true
}

// entry adds the code's length to a meaning.
func entry(meaning uint32, length int) uint32 {
	return meaning + uint32(length)<<8 + uint32(length)
}

// builder fills a table: the symbols in the order of their codes, and how many
// there are of each length.
type builder struct {
	table  []uint32
	root   int
	count  [maxCode + 1]uint16
	sorted [288]uint32
}

// counts counts the lengths, in two places by turns: equal ones in a row would
// wait for each other. Words of zeros, of which there are many, are skipped.
func (b *builder) counts(lengths []uint8) {
	var odd [maxCode + 1]uint16
	for ; len(lengths) >= 8; lengths = lengths[8:] {
		v := binary.LittleEndian.Uint64(lengths)
		if v == 0 {
			continue
		}
		for range 4 {
			b.count[v&maxCode]++
			odd[v>>8&maxCode]++
			v >>= 16
		}
	}
	for _, l := range lengths {
		b.count[l]++
	}
	for l, c := range odd {
		b.count[l] += c
	}
	b.count[0] = 0
}

// degenerate is the table where the first bit says it all.
func (b *builder) degenerate(zero, one uint32) {
	for i := 0; i < 1<<b.root; i += 2 {
		b.table[i], b.table[i+1] = zero, one
	}
}

// successor returns the code after c among those of that length, both with their
// first bit lowest as they are in the input. The last code has none.
func successor(c, length int) int {
	bit := 1 << (bits.Len(uint(c^(1<<length-1))) - 1)
	return c&(bit-1) | bit
}

// short enters the codes of up to root bits, shortest first, into a table that
// doubles with each bit: an entry that stands is thereby repeated for whatever
// follows it. The code is complete, so one of all ones comes last.
func (b *builder) short() {
	c, s, size := 0, 0, 1
	for l := 1; l <= b.root; l++ {
		copy(b.table[size:2*size], b.table[:size])
		size *= 2
		for range b.count[l] {
			b.table[c] = entry(b.sorted[s], l)
			s++
			if c == 1<<l-1 {
				for ; size < 1<<b.root; size *= 2 {
					copy(b.table[size:2*size], b.table[:size])
				}
				return
			}
			c = successor(c, l)
		}
	}
	b.long(c, s)
}

// long enters the codes beyond root bits, from code c and symbol s on: one subtable
// for all that begin alike, as wide as they fill it.
func (b *builder) long(c, s int) {
	mask := 1<<b.root - 1
	end, start, prefix := mask+1, 0, -1
	for l := b.root + 1; l <= maxCode; l++ {
		for left := int(b.count[l]); left > 0; left-- {
			if c&mask != prefix {
				prefix, start = c&mask, end
				width, space := l-b.root, left
				for space < 1<<width {
					width++
					space = space<<1 + int(b.count[b.root+width])
				}
				end = start + 1<<width
				b.table[prefix] = uint32(start)<<16 | exceptional | subtable | uint32(width)<<8 | uint32(b.root)
			}
			e := entry(b.sorted[s], l-b.root)
			s++
			for i := start + c>>b.root; i < end; i += 1 << (l - b.root) {
				b.table[i] = e
			}
			if c != 1<<l-1 {
				c = successor(c, l)
			}
		}
	}
}
