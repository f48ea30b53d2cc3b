package header

import (
	"bytes"
	"iter"
)

// Tokens yields the elements of a comma-separated list without the white space
// around them. A comma inside a quoted string separates as well: the lists that
// steer the protocol (connection, upgrade, transfer-encoding, accept-encoding)
// have none. The slices are parts of value.
func Tokens(value []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(value) > 0 {
			tok := value
			if i := bytes.IndexByte(value, ','); i >= 0 {
				tok, value = value[:i], value[i+1:]
			} else {
				value = nil
			}
			// RFC 9110 5.6.1.2: "A recipient MUST parse and ignore a
			// reasonable number of empty list elements".
			if tok = Trim(tok); len(tok) > 0 && !yield(tok) {
				return
			}
		}
	}
}

// HasToken reports whether a comma-separated list has the token, which is in
// lower case; case is ignored.
func HasToken(value []byte, token string) bool {
	for tok := range Tokens(value) {
		if EqualFold(tok, token) {
			return true
		}
	}
	return false
}

// Trim returns b without the optional white space (space and tab) at both ends.
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
