package ws

import "encoding/binary"

// Mask masks or unmasks b in place (RFC 6455 5.3); pos is how many bytes of the
// payload came before b.
func Mask(key [4]byte, pos int, b []byte) { maskLooking(key, uint8(pos&3), b) }

// maskLooking masks b and returns the rotation for what follows, and whether it
// saw that what b became is all ASCII: where that costs nothing, it looks.
func maskLooking(key [4]byte, pos uint8, b []byte) (next uint8, ascii bool) {
	next = uint8((int(pos) + len(b)) & 3)
	if len(b) == 0 {
		return next, false
	}
	k := uint32(key[pos&3]) | uint32(key[(pos+1)&3])<<8 | uint32(key[(pos+2)&3])<<16 | uint32(key[(pos+3)&3])<<24
	if len(b) >= wideFrom {
		if ascii, done := maskWide(k, b); done {
			return next, ascii
		}
	}
	maskWords(uint64(k)<<32|uint64(k), b)
	return next, false
}

// wideFrom is the length from which maskWide is worth a call; see BenchmarkMask.
const wideFrom = 192

// maskWords masks b with the key, twice in k, by words of eight bytes. Each of
// its steps is one instruction on memory; the last ones need no loop.
func maskWords(k uint64, b []byte) {
	le := binary.LittleEndian
	b = b[:len(b):len(b)] // the compiler need not keep a capacity
	for len(b) >= 64 {
		w := b[:64:64]
		le.PutUint64(w, le.Uint64(w)^k)
		le.PutUint64(w[8:], le.Uint64(w[8:])^k)
		le.PutUint64(w[16:], le.Uint64(w[16:])^k)
		le.PutUint64(w[24:], le.Uint64(w[24:])^k)
		le.PutUint64(w[32:], le.Uint64(w[32:])^k)
		le.PutUint64(w[40:], le.Uint64(w[40:])^k)
		le.PutUint64(w[48:], le.Uint64(w[48:])^k)
		le.PutUint64(w[56:], le.Uint64(w[56:])^k)
		b = b[64:]
	}
	if len(b) >= 32 {
		w := b[:32:32]
		le.PutUint64(w, le.Uint64(w)^k)
		le.PutUint64(w[8:], le.Uint64(w[8:])^k)
		le.PutUint64(w[16:], le.Uint64(w[16:])^k)
		le.PutUint64(w[24:], le.Uint64(w[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		le.PutUint64(b, le.Uint64(b)^k)
		b = b[8:]
	}
	if len(b) >= 4 {
		le.PutUint32(b, le.Uint32(b)^uint32(k))
		b = b[4:]
	}
	if len(b) >= 2 {
		le.PutUint16(b, le.Uint16(b)^uint16(k))
		b = b[2:]
		k >>= 16
	}
	if len(b) > 0 {
		b[0] ^= byte(k)
	}
}
