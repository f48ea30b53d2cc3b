package header

import "bytes"

// lower maps ASCII letters to lower case and leaves the rest.
var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			t[i] = byte(i) + 'a' - 'A'
		}
	}
	return t
}()

const (
	charToken = 1 << iota // RFC 9110 5.6.2: tchar
	charValue             // RFC 9110 5.5: field-vchar, SP, HTAB
)

var chars = func() (t [256]byte) {
	for i := range t {
		c := byte(i)
		if c >= '0' && c <= '9' || lower[c] >= 'a' && lower[c] <= 'z' || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0 {
			t[i] |= charToken
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[i] |= charValue
		}
	}
	return t
}()

// IsToken reports whether b is a token, so fit for a field name or method.
func IsToken[T string | []byte](b T) bool {
	for i := 0; i < len(b); i++ {
		if chars[b[i]]&charToken == 0 {
			return false
		}
	}
	return len(b) > 0
}

// IsTokenChar reports whether c may stand in a token.
func IsTokenChar(c byte) bool { return chars[c]&charToken != 0 }

// IsValue reports whether b has only bytes that a field value may have.
func IsValue[T string | []byte](b T) bool {
	for i := 0; i < len(b); i++ {
		if chars[b[i]]&charValue == 0 {
			return false
		}
	}
	return true
}

// Accepts reports whether an Accept-Encoding value takes a coding: by name or by
// "*", with a quality above 0 (RFC 9110 12.5.3). coding is in lower case.
func Accepts(value []byte, coding string) bool {
	q, ok := Quality(value, coding)
	return ok && q > 0
}

// Quality returns the quality that a list gives to a name, in thousandths; ok is
// false if neither the name nor "*" is in it.
func Quality(value []byte, name string) (q int, ok bool) {
	star, starOK := 0, false
	for el := range Tokens(value) {
		tok, params, _ := bytes.Cut(el, []byte{';'})
		tok = Trim(tok)
		switch {
		case EqualFold(tok, name):
			return quality(params), true
		case len(tok) == 1 && tok[0] == '*':
			star, starOK = quality(params), true
		}
	}
	return star, starOK
}

// quality reads "q=0.5" as 500; 1000 if there is none, 0 if it is malformed.
func quality(params []byte) int {
	params = Trim(params)
	if len(params) == 0 {
		return 1000
	}
	if len(params) < 3 || lower[params[0]] != 'q' || params[1] != '=' {
		return 1000
	}
	v := params[2:]
	if v[0] != '0' && v[0] != '1' || len(v) > 5 || len(v) > 1 && v[1] != '.' {
		return 0
	}
	q, scale := int(v[0]-'0')*1000, 100
	for _, c := range v[min(2, len(v)):] {
		if c < '0' || c > '9' {
			return 0
		}
		q += int(c-'0') * scale
		scale /= 10
	}
	return min(q, 1000)
}
