package ws

import (
	"crypto/subtle"
	"encoding/binary"
)

// wideFrom is the length from which XORBytes over an expanded key beats words of
// eight bytes; see BenchmarkMask.
const wideFrom = 512

// Mask masks or unmasks b in place (RFC 6455 5.3); pos is how many bytes of the
// payload came before b.
func Mask(key [4]byte, pos int, b []byte) { maskFrom(key, uint8(pos&3), b) }

// maskFrom masks b and returns the rotation for what follows.
func maskFrom(key [4]byte, pos uint8, b []byte) uint8 {
	next := uint8((int(pos) + len(b)) & 3)
	if len(b) == 0 {
		return next
	}
	k32 := uint32(key[pos&3]) | uint32(key[(pos+1)&3])<<8 | uint32(key[(pos+2)&3])<<16 | uint32(key[(pos+3)&3])<<24
	k := uint64(k32)<<32 | uint64(k32)
	if len(b) >= wideFrom {
		b = maskWide(k, b)
	}
	maskWords(k, b)
	return next
}

// maskWords masks b with the key, twice in k, by words of eight bytes.
func maskWords(k uint64, b []byte) {
	for len(b) >= 32 {
		w := b[:32:32]
		binary.LittleEndian.PutUint64(w, binary.LittleEndian.Uint64(w)^k)
		binary.LittleEndian.PutUint64(w[8:], binary.LittleEndian.Uint64(w[8:])^k)
		binary.LittleEndian.PutUint64(w[16:], binary.LittleEndian.Uint64(w[16:])^k)
		binary.LittleEndian.PutUint64(w[24:], binary.LittleEndian.Uint64(w[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k)
		k >>= 8
	}
}

// expanded is the size of the expanded key: what one XORBytes call handles.
const expanded = 512

// maskWide masks whole multiples of eight bytes and returns the rest.
func maskWide(k uint64, b []byte) []byte {
	var wide [expanded]byte
	n := min(len(b)&^7, expanded)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(wide[i:], k)
	}
	for len(b) >= 8 {
		m := min(len(b)&^7, expanded)
		subtle.XORBytes(b[:m], b[:m], wide[:m])
		b = b[m:]
	}
	return b
}
