package ws

import "unicode/utf8"

// UTF8 checks UTF-8 piece by piece (RFC 3629): it carries the beginning of a
// character that a piece cut off. The decoder uses one; what an extension has to
// unpack first is checked by whoever does. The zero value is ready.
type UTF8 struct {
	part [3]byte
	n    uint8 // bytes of part
}

// Complete reports whether no character is cut off.
func (s *UTF8) Complete() bool { return s.n == 0 }

// Add checks a piece, and fails at the first byte that cannot be.
func (s *UTF8) Add(p []byte) bool {
	if s.n > 0 {
		var ok bool
		if p, ok = s.finish(p); !ok {
			return false
		}
	}
	whole, ok := wholeRunes(p)
	if !ok || !validText(p[:whole]) {
		return false
	}
	if rest := p[whole:]; len(rest) > 0 {
		s.n = uint8(copy(s.part[:], rest))
	}
	return true
}

// finish completes the character that was cut off.
func (s *UTF8) finish(p []byte) ([]byte, bool) {
	var c [4]byte
	n := copy(c[:], s.part[:s.n])
	for len(p) > 0 {
		c[n] = p[0]
		n++
		p = p[1:]
		if utf8.FullRune(c[:n]) {
			r, size := utf8.DecodeRune(c[:n])
			s.n = 0
			return p, size == n && (r != utf8.RuneError || size == 3)
		}
	}
	if !canBegin(c[:n]) {
		return p, false
	}
	s.n = uint8(copy(s.part[:], c[:n]))
	return p, true
}

// wholeRunes returns the length of p without a character that its end cuts off;
// ok is false if what is cut off cannot become one.
func wholeRunes(p []byte) (n int, ok bool) {
	for i := 1; i <= min(3, len(p)); i++ {
		c := p[len(p)-i]
		if c < 0x80 {
			return len(p), true
		}
		if utf8.RuneStart(c) {
			if tail := p[len(p)-i:]; !utf8.FullRune(tail) {
				return len(p) - i, canBegin(tail)
			}
			return len(p), true
		}
	}
	return len(p), true // validText says what is wrong
}

// canBegin reports whether an incomplete sequence may still become a character.
// FullRune is true as soon as that is impossible.
func canBegin(p []byte) bool { return !utf8.FullRune(p) }
