package header

import (
	"encoding/binary"
	"math/bits"
)

// Text is what the checks look at: either kind of text, without a copy.
type Text interface{ string | []byte }

// The classes of bytes.
const (
	// RFC 9110 5.6.2: tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" /
	// "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA
	charToken = 1 << iota
	// RFC 9110 5.5: field-vchar = VCHAR / obs-text; and SP, HTAB between them
	charValue
)

// chars has the classes that each byte belongs to.
var chars = func() (t [256]byte) {
	for c := range t {
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= charValue
		}
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			t[c] |= charToken
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= charToken
	}
	return t
}()

// lower maps ASCII letters to lower case and leaves the rest.
var lower = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

// lowerToken maps the bytes of tokens to lower case, and others to 0.
var lowerToken = func() (t [256]byte) {
	for c := range t {
		if chars[c]&charToken != 0 {
			t[c] = lower[c]
		}
	}
	return t
}()

// IsTokenChar reports whether c may stand in a token.
func IsTokenChar(c byte) bool { return chars[c]&charToken != 0 }

// IsToken reports whether b is a token, so fit for a field name or a method (RFC
// 9110 5.1, 9.1). An empty one is not.
func IsToken[T Text](b T) bool {
	for i := 0; i < len(b); i++ {
		if chars[b[i]]&charToken == 0 {
			return false
		}
	}
	return len(b) > 0
}

// IsValue reports whether b has only bytes that a field value may have: no
// control bytes but the tab (RFC 9110 5.5). An empty one has.
func IsValue[T Text](b T) bool {
	for i := 0; i < len(b); i++ {
		if chars[b[i]]&charValue == 0 {
			return false
		}
	}
	return true
}

// A word is eight bytes, looked at together.
const (
	ones  = 0x0101010101010101 // in every byte of a word
	highs = 0x80 * ones
)

// ValueEnd returns how many bytes at the front of b a field value may have: up to
// the first control byte that is no tab.
func ValueEnd(b []byte) int {
	i := 0
	for len(b)-i >= 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		del := w ^ 0x7f*ones
		found := ((w-' '*ones)&^w | (del-ones)&^del) & highs // the lowest is one; above it there may be more than are
		if found == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(found) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && chars[b[i]]&charValue != 0 {
		i++
	}
	return i
}

// toLower maps the ASCII letters in b to lower case.
func toLower(b []byte) {
	n := len(b)
	if n < 8 {
		for i, c := range b {
			b[i] = lower[c]
		}
		return
	}
	for i := 0; i+8 < n; i += 8 {
		lowerWord(b[i:])
	}
	lowerWord(b[n-8:]) // which may overlap with the one before
}

func lowerWord(b []byte) {
	binary.LittleEndian.PutUint64(b, lowerCase(binary.LittleEndian.Uint64(b)))
}

// lowerCase is lower for the bytes of a word.
func lowerCase(w uint64) uint64 {
	low := w &^ highs
	upper := ((low + (0x80-'A')*ones) ^ (low + (0x7f-'Z')*ones)) &^ w & highs
	return w | upper>>2
}

// EqualFold reports whether b is want, ignoring ASCII case; want is in lower
// case.
func EqualFold(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if lower[c] != want[i] {
			return false
		}
	}
	return true
}
