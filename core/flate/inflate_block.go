package flate

import "encoding/binary"

// run is one call: where it reads and writes.
type run struct {
	dst, src []byte
	start    int // of what this call produces
	w        int // next byte of dst
	i        int // next byte of src
}

// fill takes bytes of src into acc, as many as fit below 64 bits.
func (z *Inflater) fill(r *run) {
	if len(r.src)-r.i >= 8 {
		z.acc |= binary.LittleEndian.Uint64(r.src[r.i:]) << (z.n & 63)
		r.i += int((63 - z.n) >> 3)
		z.n |= 56
		z.acc &= 1<<(z.n&63) - 1
		return
	}
	for z.n < 56 && r.i < len(r.src) {
		z.acc |= uint64(r.src[r.i]) << (z.n & 63)
		r.i++
		z.n += 8
	}
}

// need reports whether k bits, at most 56, are there.
func (z *Inflater) need(r *run, k uint8) bool {
	if z.n < k {
		z.fill(r)
	}
	return z.n >= k
}

// take returns the next k bits, which are there.
func (z *Inflater) take(k uint8) uint {
	v := uint(z.acc & (1<<(k&63) - 1))
	z.acc >>= k & 63
	z.n -= k
	return v
}

// run decodes until something is missing: input, room or sense.
func (z *Inflater) run(t *Tables, r *run) {
	z.full = false
	if z.err != nil {
		return
	}
	if z.state >= stLengths {
		z.restore(t)
	}
	for z.step(t, r) && z.err == nil {
	}
	if z.state >= stLengths && z.err == nil {
		z.keep(t)
	}
}

// step is one piece of a block; it reports false when it cannot go on.
func (z *Inflater) step(t *Tables, r *run) bool {
	switch z.state {
	case stHeader:
		return z.header(r)
	case stSize:
		return z.size(r)
	case stStored:
		return z.stored(r)
	case stCounts:
		return z.counts(r)
	case stClens:
		return z.codeLengthCodes(t, r)
	case stLengths:
		return z.codeLengths(t, r)
	case stFixed:
		return z.symbols(&fixed, r)
	case stFixedDist:
		return z.distance(&fixed, r)
	case stDynamic:
		return z.symbols(&t.codes, r)
	case stDynamicDist:
		return z.distance(&t.codes, r)
	default:
		return z.owed(r)
	}
}

// fail ends the stream.
func (z *Inflater) fail(err error) bool {
	z.err = err
	return false
}

func (z *Inflater) header(r *run) bool {
	if !z.need(r, 3) {
		return false
	}
	z.final = z.take(1) == 1
	switch z.take(2) {
	case 0:
		z.take(z.n & 7)
		z.state = stSize
	case 1:
		z.state = stFixed
	case 2:
		z.state = stCounts
	default:
		return z.fail(ErrBlockType)
	}
	return true
}

// endBlock goes on to the next block; after a final one, at the next byte.
func (z *Inflater) endBlock() {
	z.state = stHeader
	if z.final {
		z.take(z.n & 7)
	}
}

func (z *Inflater) size(r *run) bool {
	if !z.need(r, 32) {
		return false
	}
	n, inverse := z.take(16), z.take(16)
	if n != inverse^0xffff {
		return z.fail(ErrStored)
	}
	z.rem, z.state = uint16(n), stStored
	return true
}

// stored moves bytes: those in acc first.
func (z *Inflater) stored(r *run) bool {
	for z.rem > 0 && z.n > 0 {
		if r.w == len(r.dst) {
			z.full = true
			return false
		}
		r.dst[r.w] = byte(z.take(8))
		r.w++
		z.rem--
	}
	k := copy(r.dst[r.w:], r.src[r.i:min(len(r.src), r.i+int(z.rem))])
	r.w, r.i, z.rem = r.w+k, r.i+k, z.rem-uint16(k)
	if z.rem == 0 {
		z.endBlock()
		return true
	}
	// There is input left only if there is no room. It is not taken, so it is
	// the caller's to give again.
	z.full = r.i < len(r.src)
	return false
}

func (z *Inflater) counts(r *run) bool {
	if !z.need(r, 14) {
		return false
	}
	z.nlit, z.ndist, z.nclen = uint16(z.take(5)+257), uint8(z.take(5)+1), uint8(z.take(4)+4)
	if z.nlit > maxLit || z.ndist > maxDist {
		return z.fail(ErrCodes)
	}
	z.clens, z.read, z.packed, z.state = 0, 0, 0, stClens
	return true
}

// codeLengthOrder is how the lengths of the code length codes come (RFC 1951 3.2.7).
var codeLengthOrder = [numClen]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (z *Inflater) codeLengthCodes(t *Tables, r *run) bool {
	for z.read < uint16(z.nclen) {
		if !z.need(r, 3) {
			return false
		}
		z.clens |= uint64(z.take(3)) << (3 * codeLengthOrder[z.read])
		z.read++
	}
	z.claim(t)
	if !t.buildClens(z.clens) {
		return z.fail(ErrCodes)
	}
	z.read, z.state = 0, stLengths
	return true
}

func (z *Inflater) codeLengths(t *Tables, r *run) bool {
	total := z.nlit + uint16(z.ndist)
	for z.read < total {
		if z.n < 14 {
			z.fill(r)
		}
		e := t.clens[z.acc&(1<<clenBits-1)]
		if uint8(e&63) > z.n {
			return false
		}
		if e&exceptional != 0 {
			return z.fail(ErrCodes)
		}
		extra := value(z.acc, e)
		z.take(uint8(e & 63))
		sym := uint16(e >> 16)
		if sym < 16 {
			t.lengths[z.read] = uint8(sym)
			z.read++
			continue
		}
		if !z.repeat(t, sym, uint16(extra), total) {
			return z.fail(ErrCodes)
		}
	}
	if !t.build(z.nlit, z.ndist) {
		return z.fail(ErrCodes)
	}
	z.state = stDynamic
	return true
}

// repeat is one of the three symbols for several lengths.
func (z *Inflater) repeat(t *Tables, sym, extra, total uint16) bool {
	var v uint8
	k := extra + 3
	switch sym {
	case 16:
		if z.read == 0 {
			return false
		}
		v = t.lengths[z.read-1]
	case 18:
		k += 8
	}
	if z.read+k > total {
		return false
	}
	word := uint64(v) * 0x0101010101010101
	for i := z.read; i < z.read+k; i += 8 {
		binary.LittleEndian.PutUint64(t.lengths[i:], word)
	}
	z.read += k
	return true
}
