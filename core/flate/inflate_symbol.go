package flate

import "encoding/binary"

// symbols decodes until the block ends or something is missing: quickly while
// there is plenty of both, else with care.
func (z *Inflater) symbols(c *codes, r *run) bool {
	in := z.state
	for z.state == in {
		if len(r.src)-r.i >= 8 && len(r.dst)-r.w >= fastRoom {
			z.fast(c, r)
			if z.err != nil {
				return false
			}
			if z.state == stHeader {
				z.endBlock()
			}
		} else if !z.symbol(c, r) || z.state == in+1 && !(z.distance(c, r) && z.owed(r)) {
			return false
		}
	}
	return true
}

// symbol decodes one literal, length or end of block, if its bits and the room for
// a literal are there.
func (z *Inflater) symbol(c *codes, r *run) bool {
	if z.n < 20 {
		z.fill(r)
	}
	e, used := c.lit[z.acc&litMask], uint32(0)
	if e&subtable != 0 {
		used = litBits
		e = c.lit[e>>16+uint32(z.acc>>litBits)&(1<<(e>>8&15)-1)]
	}
	k := uint8(used + e&63)
	if k > z.n {
		return false
	}
	switch {
	case e&literal != 0:
		if r.w == len(r.dst) {
			z.full = true
			return false
		}
		r.dst[r.w] = byte(e >> 16)
		r.w++
		z.take(k)
	case e&exceptional == 0:
		z.rem = uint16(e>>16) + uint16(value(z.acc>>used, e))
		z.take(k)
		z.state++
	case e&endOfBlock != 0:
		z.take(k)
		z.endBlock()
	default:
		return z.fail(ErrSymbol)
	}
	return true
}

// value is the extra bits of entry e.
func value(acc uint64, e uint32) uint32 {
	return uint32(acc&(1<<(e&63)-1)) >> (e >> 8 & 15)
}

// distance decodes the distance of a match.
func (z *Inflater) distance(c *codes, r *run) bool {
	if z.n < 28 {
		z.fill(r)
	}
	e, used := c.dist[z.acc&distMask], uint32(0)
	if e&subtable != 0 {
		used = distBits
		e = c.dist[e>>16+uint32(z.acc>>distBits)&(1<<(e>>8&15)-1)]
	}
	k := uint8(used + e&63)
	if k > z.n {
		return false
	}
	if e&exceptional != 0 {
		return z.fail(ErrSymbol)
	}
	z.dist = uint16(e>>16 + value(z.acc>>used, e))
	z.take(k)
	z.state++
	return true
}

// owed copies what there is room for of a match. Its distance is looked at each
// time: the history may have been forgotten.
func (z *Inflater) owed(r *run) bool {
	d := int(z.dist)
	if !z.reaches(d, r.w-r.start) {
		return z.fail(ErrDistance)
	}
	k := min(int(z.rem), len(r.dst)-r.w)
	z.copyMatch(r.dst, r.start, r.w, d, k)
	r.w += k
	z.rem -= uint16(k)
	if z.rem > 0 {
		z.full = true
		return false
	}
	z.state -= 2
	return true
}

// fastRoom is the room that fast wants: two literals, the longest match and what
// copyNear may write beyond it.
const fastRoom = 2 + 258 + slack

// fast decodes while 8 bytes of input and fastRoom of output are there. A refill
// leaves at least 56 bits: enough for three short literals, or two and a length.
// The bits of acc above n are those that follow, not zero.
func (z *Inflater) fast(c *codes, r *run) {
	src, dst, i, w := r.src, r.dst, r.i, r.w
	acc, n := z.acc, uint(z.n)
	for len(src)-i >= 8 && len(dst)-w >= fastRoom {
		acc |= binary.LittleEndian.Uint64(src[i:]) << (n & 63)
		i += int((63 - n) >> 3)
		n |= 56
		e := c.lit[acc&litMask]
		for k := 0; e&literal != 0 && k < 2; k++ {
			acc, n = acc>>(e&63), n-uint(e&63)
			dst[w] = byte(e >> 16)
			w++
			e = c.lit[acc&litMask]
		}
		if e&subtable != 0 {
			acc, n = acc>>litBits, n-litBits
			e = c.lit[e>>16+uint32(acc)&(1<<(e>>8&15)-1)]
		}
		k, length := uint(e&63), int(e>>16&0x7fff)+int(value(acc, e))
		acc, n = acc>>(k&63), n-k
		if e&literal != 0 {
			dst[w] = byte(e >> 16)
			w++
			continue
		}
		if e&exceptional != 0 {
			if e&endOfBlock == 0 {
				z.err = ErrSymbol
			}
			z.state = stHeader
			break
		}
		if n < 28 {
			if len(src)-i < 8 {
				z.rem = uint16(length)
				z.state++
				break
			}
			acc |= binary.LittleEndian.Uint64(src[i:]) << (n & 63)
			i += int((63 - n) >> 3)
			n |= 56
		}
		if e = c.dist[acc&distMask]; e&subtable != 0 {
			acc, n = acc>>distBits, n-distBits
			e = c.dist[e>>16+uint32(acc)&(1<<(e>>8&15)-1)]
		}
		k = uint(e & 63)
		d := int(e>>16) + int(value(acc, e))
		acc, n = acc>>(k&63), n-k
		if e&exceptional != 0 {
			z.err = ErrSymbol
			break
		}
		if !z.match(dst, r.start, w, d, length) {
			break
		}
		w += length
	}
	r.i, r.w, z.n, z.acc = i, w, uint8(n), acc&(1<<(n&63)-1)
}

// match copies a match for which, and for slack more, there is room.
func (z *Inflater) match(dst []byte, start, w, d, length int) bool {
	switch {
	case !z.reaches(d, w-start):
		z.err = ErrDistance
		return false
	case d <= w-start:
		copyNear(dst, w, d, length)
	case z.copyFar(dst, w, d-(w-start), length):
	default:
		z.copyMatch(dst, start, w, d, length)
	}
	return true
}
