package flate

import (
	"math"
	"math/bits"
	"slices"
)

const (
	encLits   = 286 // literals, the end of a block, lengths
	encDists  = 30
	encEnd    = 256 // the symbol that ends a block
	encNoCode = 19  // symbols that describe code lengths
)

// encCode is a Huffman code as it is written: the first bit lowest, the length
// above bit 16.
type encCode uint32

func (c encCode) bits() uint64 { return uint64(c & 0xffff) }
func (c encCode) len() uint    { return uint(c >> 16) }

// How lengths, from 3, and distances, from 1, are cut into symbols and extra
// bits (RFC 1951 3.2.5): what a symbol begins at, and how many bits follow it.
var (
	encLenBase   [encLits - 257]uint16 // less 3
	encLenExtra  [encLits - 257]uint8
	encDistBase  [encDists]uint16 // less 1
	encDistExtra [encDists]uint8

	encLenSym  [256]uint8 // by length less 3
	encDistSym [512]uint8 // by distance less 1: below 256 itself, else 256 + its upper bits

	encEntropy [512]int // n times log2 n in sixteenths of a bit

	encFixedLit  [encLits]encCode
	encFixedDist [encDists]encCode
)

// encOrder is the order in which the lengths of the code for code lengths come.
var encOrder = [encNoCode]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func init() {
	at := 0
	for s := range encLenBase {
		if s >= 8 && s < 28 {
			encLenExtra[s] = uint8(s/4 - 1)
		}
		encLenBase[s] = uint16(at)
		for range 1 << encLenExtra[s] {
			encLenSym[at] = uint8(s)
			at = min(at+1, 255)
		}
	}
	encLenBase[28] = 255 // length 258 has a symbol of its own
	encLenSym[255] = 28
	at = 0
	for s := range encDistBase {
		if s >= 4 {
			encDistExtra[s] = uint8(s/2 - 1)
		}
		encDistBase[s] = uint16(at)
		for d := at; d < at+1<<encDistExtra[s]; d++ {
			if d < 256 {
				encDistSym[d] = uint8(s)
			} else {
				encDistSym[256+d>>7] = uint8(s)
			}
		}
		at += 1 << encDistExtra[s]
	}
	for n := range encEntropy {
		if n > 0 {
			encEntropy[n] = int(16 * float64(n) * math.Log2(float64(n)))
		}
	}
	var lens [288]uint8
	for s := range lens {
		switch {
		case s < 144:
			lens[s] = 8
		case s < 256:
			lens[s] = 9
		case s < 280:
			lens[s] = 7
		default:
			lens[s] = 8
		}
	}
	var all [288]encCode
	encAssign(all[:], lens[:])
	copy(encFixedLit[:], all[:])
	for s := range encFixedDist {
		encFixedDist[s] = encCode(bits.Reverse16(uint16(s))>>11) | 5<<16
	}
}

func encDistSymbol(d uint32) uint8 { // d is the distance less 1
	if d < 256 {
		return encDistSym[d]
	}
	return encDistSym[256+d>>7&255]
}

// encLengths gives each symbol that occurs a code length of at most limit bits
// and every other one 0. At least two symbols get one, so that the code is
// complete: some inflaters refuse any other. keys and work are
// longer than freq.
func encLengths(lens []uint8, freq []uint16, limit int, keys, work []uint32) {
	n := 0
	for s, f := range freq {
		lens[s] = 0
		keys[n] = uint32(f)<<9 | uint32(s)
		if f > 0 {
			n++
		}
	}
	for s := uint32(0); n < 2; s++ {
		if freq[s] == 0 {
			keys[n] = 1<<9 | s
			n++
		}
	}
	keys, work = keys[:n], work[:n]
	encSort(keys, work)
	for i, k := range keys {
		work[i] = k >> 9
	}
	var count [64]int // codes of each length; the deepest tree of 2^16 is far below 64
	encDepths(&count, work)
	for i := len(count) - 1; i > limit; i-- {
		count[limit] += count[i]
		count[i] = 0
	}
	total := 0
	for i := 1; i <= limit; i++ {
		total += count[i] << (limit - i)
	}
	for ; total > 1<<limit; total-- { // move a leaf down beside one of the longest
		count[limit]--
		i := limit - 1
		for count[i] == 0 {
			i--
		}
		count[i]--
		count[i+1] += 2
	}
	i := 0
	for l := limit; l > 0; l-- {
		for range count[l] {
			lens[keys[i]&511] = uint8(l)
			i++
		}
	}
}

// encSort sorts keys; the symbols of small messages occur a few times each, and
// are counted into place.
func encSort(keys, work []uint32) {
	var at [33]uint16
	for i, k := range keys {
		f := k >> 9
		if f >= uint32(len(at)) {
			slices.Sort(keys)
			return
		}
		at[f]++
		work[i] = k
	}
	sum := uint16(0)
	for f, n := range at {
		at[f] = sum
		sum += n
	}
	for _, k := range work[:len(keys)] {
		keys[at[k>>9]] = k
		at[k>>9]++
	}
}

// encDepths counts the leaves at each depth of the Huffman tree for the
// weights a, at least two and rising, which it overwrites: the in-place method
// of Moffat and Katajainen.
func encDepths(count *[64]int, a []uint32) {
	n := len(a)
	a[0] += a[1]
	root, leaf := 0, 2
	for next := 1; next < n-1; next++ {
		a[next] = 0
		for range 2 {
			if leaf >= n || root < next && a[root] < a[leaf] {
				a[next] += a[root]
				a[root] = uint32(next) // its parent
				root++
			} else {
				a[next] += a[leaf]
				leaf++
			}
		}
	}
	a[n-2] = 0 // depths of the inner nodes, from the root down
	for i := n - 3; i >= 0; i-- {
		a[i] = a[a[i]] + 1
	}
	inner := n - 2
	for depth, open := 0, 1; open > 0; depth++ {
		used := 0
		for inner >= 0 && int(a[inner]) == depth {
			used++
			inner--
		}
		count[depth] += open - used
		open = 2 * used
	}
}

// encAssign gives the canonical codes for lengths (RFC 1951 3.2.2). A symbol
// without a length gets no bits, by the same steps: a branch would be guessed
// wrong at every other symbol.
func encAssign(codes []encCode, lens []uint8) {
	var count, next [16]uint16
	for _, l := range lens {
		count[l&15]++
	}
	count[0] = 0
	for l := 1; l < 15; l++ {
		next[l+1] = (next[l] + count[l]) << 1
	}
	codes = codes[:len(lens)]
	for s, l := range lens {
		l &= 15
		codes[s] = encCode(bits.Reverse16(next[l])>>(16-l)) | encCode(l)<<16
		next[l]++
	}
}
