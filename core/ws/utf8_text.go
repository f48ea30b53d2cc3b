package ws

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// high is the bit that is set in every byte of a character but ASCII.
const high = 0x8080808080808080

// validText is utf8.Valid, and several times as fast for what is not ASCII.
func validText(p []byte) bool {
	if len(p) < 128 { // often all ASCII, and then a call costs more
		if p = skipASCII(p); len(p) < 32 {
			return utf8.Valid(p)
		}
	}
	if len(p) >= wideText {
		if valid, done := validWide(p); done {
			return valid
		}
	}
	return validNarrow(p)
}

// What unicode/utf8 gets to check when no fast way gets further: at first little,
// for the next characters may be regular again.
const minSlow, maxSlow = 64, 1024

// validNarrow is validText without wide words: several times as fast as
// unicode/utf8 for text of one script, ASCII with two-byte characters in any
// mixture (Latin, Greek, Cyrillic, Hebrew, Arabic) and runs of three-byte ones
// (the rest of the BMP).
func validNarrow(p []byte) bool {
	for slow := minSlow; ; slow = min(2*slow, maxSlow) {
		rest := skipFast(p)
		if len(p)-len(rest) > slow {
			slow = minSlow
		}
		if p = rest; len(p) <= slow {
			return utf8.Valid(p)
		}
		n := slow
		for n > slow-3 && !utf8.RuneStart(p[n]) {
			n--
		}
		if !utf8.Valid(p[:n]) {
			return false
		}
		p = p[n:]
	}
}

// skipFast returns what of p is left when no fast way gets further, from the
// beginning of a character on. All before it is valid.
func skipFast(p []byte) []byte {
	for {
		p = skipASCII(p)
		if len(p) == 0 {
			return p
		}
		before := len(p)
		if p[0] < 0xe0 {
			p = skipTwo(p)
		} else {
			p = skipThree(p)
		}
		if len(p) == before {
			return p
		}
	}
}

// skipASCII returns p from its first byte on that is not ASCII; nil or nothing of
// p if there is none.
func skipASCII(all []byte) []byte {
	p := all[:len(all):len(all)] // the compiler need not keep a capacity
	le := binary.LittleEndian
	for len(p) > 32 { // not >=: an empty rest would need care
		w := p[:32:32]
		if (le.Uint64(w)|le.Uint64(w[8:])|le.Uint64(w[16:])|le.Uint64(w[24:]))&high != 0 {
			break
		}
		p = p[32:]
	}
	for len(p) > 8 {
		if n := le.Uint64(p) & high; n != 0 {
			return p[bits.TrailingZeros64(n)/8:]
		}
		p = p[8:]
	}
	if len(all) >= 8 { // the last word, with bytes that were seen in front
		p = all[len(all)-8:]
		n := le.Uint64(p) & high
		if n == 0 {
			return nil
		}
		return p[bits.TrailingZeros64(n)/8:]
	}
	if len(p) >= 4 && (le.Uint32(p)|le.Uint32(p[len(p)-4:]))&(high>>32) == 0 {
		return nil
	}
	for len(p) > 0 && p[0] < 0x80 {
		p = p[1:]
	}
	return p
}

// skipTwo skips pairs of words of one- and two-byte characters. It stops also
// when it saw only ASCII for a while: skipASCII is faster.
func skipTwo(all []byte) []byte {
	p := all[:len(all):len(all)]
	le := binary.LittleEndian
	var lead, seen uint64 // lead bytes of the word before; all bytes of late
	for len(p) >= 16 {
		a, b := le.Uint64(p), le.Uint64(p[8:])
		badA, leadA := oneOrTwo(a, lead)
		badB, leadB := oneOrTwo(b, leadA)
		if (badA|badB)&high != 0 {
			break
		}
		p, lead = p[16:], leadB
		seen |= a | b
		if len(p)&0x30 == 0 { // every fourth time
			if seen&high == 0 {
				break
			}
			seen = 0
		}
	}
	cut := int(lead >> 63) // the last byte begins a character
	return all[len(all)-len(p)-cut:]
}

// oneOrTwo has the high bit set in lead for every byte that begins a two-byte
// character, C2 to DF, and in bad for every byte of w that may not stand where it
// does among one- and two-byte characters; before is lead of the word before.
func oneOrTwo(w, before uint64) (bad, lead uint64) {
	const not7, toC2 = ^uint64(high), 0x3e3e3e3e3e3e3e3e // 0x42+0x3e = 0x80
	lead = w & (w&not7 + toC2) &^ (w << 2)               // not E0 to FF, which have 0x20
	due := lead<<8 | before>>56                          // a continuation byte must be here
	return due ^ w ^ lead | due&(w<<1), lead             // and must not have 0x40
}

// skipThree skips three-byte characters, eight at a time: four words with two in
// each.
func skipThree(p []byte) []byte {
	const (
		form, want = 0xc0c0f0_c0c0f0, 0x8080e0_8080e0 // 1110xxxx 10xxxxxx 10xxxxxx
		pick       = 0x00200f_00200f                  // what tells the forbidden ones:
		surrogate  = 0x00200d_00200d                  // ED A0..BF; E0 80..9F, too long a form, is 0
		carry, top = 0x007fff_007fff, 0x008000_008000 // x+carry has top unless x is 0
	)
	p = p[:len(p):len(p)]
	le := binary.LittleEndian
	for len(p) >= 26 {
		w := p[:26:26]
		a, b, c, d := le.Uint64(w), le.Uint64(w[6:]), le.Uint64(w[12:]), le.Uint64(w[18:])
		bad := (a&form ^ want) | (b&form ^ want) | (c&form ^ want) | (d&form ^ want)
		a, b, c, d = a&pick, b&pick, c&pick, d&pick
		ok := (a + carry) & (b + carry) & (c + carry) & (d + carry) &
			(a ^ surrogate + carry) & (b ^ surrogate + carry) & (c ^ surrogate + carry) & (d ^ surrogate + carry)
		if bad != 0 || ok&top != top {
			break
		}
		p = p[24:]
	}
	return p
}
