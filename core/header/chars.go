package header

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
