package flate

import (
	"encoding/binary"
	"slices"
)

// blockTokens is how many literals and matches a block has at most: enough for
// its own codes to pay, few enough that they fit the data.
const blockTokens = 1 << 14

// A token is a literal's value, encEnd, or a match: encMatch, its length less 3
// in eight bits above the fifteen of its distance less 1.
const (
	encMatch = 1 << 31
	encSlack = 300 // tokens past blockTokens: a run of bytes put off, and the end
)

// encoder turns tokens into blocks. What it writes for one call of a Deflater
// begins and ends on a whole byte.
type encoder struct {
	out  []byte
	acc  uint64 // bits not yet in out, the first lowest
	n    uint   // how many
	src  []byte
	done int // src[:done] is written, or held
	held int // src[held:done] is to be written as it is: see hold

	tokens []uint32
	count  int

	lit     [encLits]uint16
	dist    [encDists]uint16
	litLen  [encLits]uint8
	distLen [encDists]uint8
	litCode [encLits]encCode
	dstCode [encDists]encCode
	nLit    int
	nDist   int

	lens    [encLits + encDists]uint8  // of both, as they are described
	steps   [encLits + encDists]uint16 // code lengths as they are written: symbol, extra bits above bit 8
	nSteps  int
	step    [encNoCode]uint16
	stepLen [encNoCode]uint8

	keys, work [encLits + 1]uint32
}

func (e *encoder) begin(dst, src []byte) {
	if e.tokens == nil {
		e.tokens = make([]uint32, blockTokens+encSlack)
	}
	e.out, e.src, e.acc, e.n, e.done, e.held, e.count = dst, src, 0, 0, 0, 0, 0
}

func (e *encoder) full() bool { return e.count >= blockTokens }

func (e *encoder) literal(b byte) {
	e.tokens[e.count] = uint32(b)
	e.count++
}

func (e *encoder) match(length, dist int) {
	e.tokens[e.count] = encMatch | uint32(length-3)<<15 | uint32(dist-1)
	e.count++
}

// unliteral takes the last token back if it is a literal.
func (e *encoder) unliteral() bool {
	if e.count == 0 || e.tokens[e.count-1] >= encMatch {
		return false
	}
	e.count--
	return true
}

// finish writes what is left and the sync flush, and gives up both slices.
func (e *encoder) finish() []byte {
	e.endBlock(len(e.src))
	e.release()
	e.out = slices.Grow(e.out, 16)
	e.put(0, 3)
	e.align()
	out := append(e.out, 0, 0, 0xff, 0xff)
	e.out, e.src = nil, nil
	return out
}

// endBlock writes src up to end, which the tokens since the last block stand
// for, in the shortest of the three ways.
func (e *encoder) endBlock(end int) {
	if e.count == 0 {
		return
	}
	e.tokens[e.count] = encEnd
	e.count++
	size, extra := e.tally()
	dynamic := false
	if e.mayPay(size, extra) {
		if n := e.codes() + extra; n < size {
			size, dynamic = n, true
		}
	}
	switch {
	case size+3 >= e.storedBits(end-e.done):
		e.done = end
	case dynamic:
		e.release()
		e.out = slices.Grow(e.out, size/8+16)
		e.put(2<<1, 3)
		e.header()
		e.write(&e.litCode, &e.dstCode)
		e.done, e.held = end, end
	default:
		e.release()
		e.out = slices.Grow(e.out, size/8+16)
		e.put(1<<1, 3)
		e.write(&encFixedLit, &encFixedDist)
		e.done, e.held = end, end
	}
	e.count = 0
}

// tally counts the symbols of the block. It returns the bits they take in the
// fixed codes and how many of them are extra bits, the same in any code.
func (e *encoder) tally() (fixed, extra int) {
	clear(e.lit[:])
	clear(e.dist[:])
	for _, t := range e.tokens[:e.count] {
		if t < encMatch {
			e.lit[t]++
			fixed += int(encFixedLit[t].len())
			continue
		}
		l, d := encLenSym[t>>15&255], encDistSymbol(t&0x7fff)
		e.lit[257+int(l)]++
		e.dist[d]++
		extra += int(encLenExtra[l] + encDistExtra[d])
		fixed += int(encFixedLit[257+int(l)].len()) + 5
	}
	return fixed + extra, extra
}

// mayPay tells whether codes of the block's own are worth trying: whether they
// seem to be shorter than size bits, of which extra are the same in any code. To
// make them costs more than to compress a small message. The symbols take their
// entropy, and the description of the codes, as measured on messages of several
// kinds, at least 50 bits and 4.5 for each symbol.
func (e *encoder) mayPay(size, extra int) bool {
	if e.count >= len(encEntropy) {
		return true
	}
	need := encEntropy[e.count] + 16*(50+extra)
	dists := 0
	for _, f := range e.lit[:] {
		if f > 0 {
			need += 72 - encEntropy[f]
		}
	}
	for _, f := range e.dist[:] {
		if f > 0 {
			need += 72 - encEntropy[f]
			dists += int(f)
		}
	}
	return need+encEntropy[dists] < 16*(size-size/10)
}

// codes makes the block's own codes and returns the bits that their description
// and the symbols take, without the three that begin a block.
func (e *encoder) codes() int {
	encLengths(e.litLen[:], e.lit[:], 15, e.keys[:], e.work[:])
	encLengths(e.distLen[:], e.dist[:], 15, e.keys[:], e.work[:])
	size := 0
	for s, l := range e.litLen[:] {
		size += int(e.lit[s]) * int(l)
	}
	for s, l := range e.distLen {
		size += int(e.dist[s]) * int(l)
	}
	e.nLit, e.nDist = encLits, encDists
	for e.litLen[e.nLit-1] == 0 {
		e.nLit--
	}
	for e.distLen[e.nDist-1] == 0 {
		e.nDist--
	}
	n := copy(e.lens[:], e.litLen[:e.nLit])
	n += copy(e.lens[n:], e.distLen[:e.nDist])
	return size + e.describe(e.lens[:n])
}

// describe puts code lengths into steps (RFC 1951 3.2.7) and returns the bits
// of the whole description.
func (e *encoder) describe(lens []uint8) int {
	e.nSteps = 0
	clear(e.step[:])
	size := 0
	add := func(sym, extra, bits int) {
		e.steps[e.nSteps] = uint16(sym | extra<<8)
		e.nSteps++
		e.step[sym]++
		size += bits
	}
	for i := 0; i < len(lens); {
		l, run := int(lens[i]), 1
		for i+run < len(lens) && lens[i+run] == lens[i] {
			run++
		}
		i += run
		if l != 0 {
			add(l, 0, 0)
			run--
		}
		for run >= 3 {
			switch {
			case l != 0:
				n := min(run, 6)
				add(16, n-3, 2)
				run -= n
			case run < 11:
				add(17, run-3, 3)
				run = 0
			default:
				n := min(run, 138)
				add(18, n-11, 7)
				run -= n
			}
		}
		for ; run > 0; run-- {
			add(l, 0, 0)
		}
	}
	encLengths(e.stepLen[:], e.step[:], 7, e.keys[:], e.work[:])
	for s, l := range e.stepLen {
		size += int(e.step[s]) * int(l)
	}
	return size + 5 + 5 + 4 + 3*e.stepsUsed()
}

// stepsUsed is how many of encOrder have to be described.
func (e *encoder) stepsUsed() int {
	n := encNoCode
	for n > 4 && e.stepLen[encOrder[n-1]] == 0 {
		n--
	}
	return n
}

// header makes the codes from their lengths and writes the description.
func (e *encoder) header() {
	encAssign(e.litCode[:], e.litLen[:e.nLit])
	encAssign(e.dstCode[:], e.distLen[:e.nDist])
	var codes [encNoCode]encCode
	encAssign(codes[:], e.stepLen[:])
	used := e.stepsUsed()
	e.put(uint64(e.nLit-257)|uint64(e.nDist-1)<<5|uint64(used-4)<<10, 14)
	for _, s := range encOrder[:used] {
		e.put(uint64(e.stepLen[s]), 3)
	}
	for _, s := range e.steps[:e.nSteps] {
		c := codes[s&255]
		e.put(c.bits(), c.len())
		switch s & 255 {
		case 16:
			e.put(uint64(s>>8), 2)
		case 17:
			e.put(uint64(s>>8), 3)
		case 18:
			e.put(uint64(s>>8), 7)
		}
	}
}

// write writes the tokens; out has room for them and eight bytes more.
func (e *encoder) write(lit *[encLits]encCode, dist *[encDists]encCode) {
	at, out := len(e.out), e.out[:cap(e.out)]
	acc, n := e.acc, e.n
	for _, t := range e.tokens[:e.count] {
		if t < encMatch {
			c := lit[t]
			acc |= c.bits() << (n & 63)
			n += c.len()
		} else { // at most 7+15+5+15+13 bits
			l, d := t>>15&255, t&0x7fff
			s := encLenSym[l]
			c := lit[257+int(s)]
			acc |= c.bits() << (n & 63)
			n += c.len()
			acc |= uint64(l-uint32(encLenBase[s])) << (n & 63)
			n += uint(encLenExtra[s])
			s = encDistSymbol(d)
			c = dist[s]
			acc |= c.bits() << (n & 63)
			n += c.len()
			acc |= uint64(d-uint32(encDistBase[s])) << (n & 63)
			n += uint(encDistExtra[s])
		}
		binary.LittleEndian.PutUint64(out[at:], acc)
		at += int(n >> 3)
		acc >>= n &^ 7 & 63
		n &= 7
	}
	e.out, e.acc, e.n = out[:at], acc, n
}

// storedBits is what the n bytes of a block take as they are. Only a message of
// one block is charged what it takes exactly. Otherwise a block that compresses
// has to pay for the header of the held bytes that may follow it when there were
// held ones before: so the bound on growth holds whatever blocks alternate.
func (e *encoder) storedBits(n int) int {
	switch {
	case n == len(e.src):
		return 8*n + 40*((n+65534)/65535)
	case e.held < e.done:
		return 8*n - 40
	}
	return 8 * n
}

// release writes the bytes that are held: one header for up to 65535 of them,
// however many blocks they were.
func (e *encoder) release() {
	for e.held < e.done {
		n := min(e.done-e.held, 65535)
		e.out = slices.Grow(e.out, n+8)
		e.put(0, 3)
		e.align()
		e.out = append(e.out, byte(n), byte(n>>8), byte(^n), byte(^n>>8))
		e.out = append(e.out, e.src[e.held:e.held+n]...)
		e.held += n
	}
}

// put adds n bits, at most 48.
func (e *encoder) put(v uint64, n uint) {
	e.acc |= v << e.n
	e.n += n
	for e.n >= 8 {
		e.out = append(e.out, byte(e.acc))
		e.acc >>= 8
		e.n -= 8
	}
}

// align fills the last byte.
func (e *encoder) align() {
	if e.n > 0 {
		e.out = append(e.out, byte(e.acc))
		e.acc, e.n = 0, 0
	}
}
