// Package header keeps the header fields of one message, and reads the lists
// and tokens in their values (RFC 9110 5).
package header

import (
	"bytes"
	"errors"
	"iter"
)

// ErrTooLarge says that a field would exceed the table's bounds (status 431).
var ErrTooLarge = errors.New("header: fields too large")

const (
	defaultBytes  = 4096
	defaultFields = 128
)

// Table holds the fields of one message in one buffer of bounded size. Names
// are stored in lower case. It is meant to be pooled: Reset keeps the buffer.
// The zero value has the default bounds.
type Table struct {
	buf       []byte
	line      []byte
	fields    []span
	maxBytes  int
	maxFields int
}

// span is where a field lies in the buffer.
type span struct{ name, value, end int }

// Init sets the bounds: bytes of all names and values together (0: 4096,
// negative: none), number of fields (0: 128, negative: none).
func (t *Table) Init(maxBytes, maxFields int) {
	t.maxBytes, t.maxFields = maxBytes, maxFields
	if maxBytes == 0 {
		t.maxBytes = defaultBytes
	}
	if maxFields == 0 {
		t.maxFields = defaultFields
	}
}

// Reset forgets the fields and keeps the memory, unless it has grown far beyond
// the default.
func (t *Table) Reset() {
	t.fields = t.fields[:0]
	if cap(t.buf) > 4*defaultBytes {
		t.buf = nil
	}
	t.buf = t.buf[:0]
	if cap(t.line) > 4*defaultBytes {
		t.line = nil
	}
	t.line = t.line[:0]
}

// Add appends a field, copying both. ErrTooLarge if it does not fit.
func (t *Table) Add(name, value []byte) error {
	if t.maxBytes == 0 {
		t.Init(0, 0)
	}
	if t.maxFields > 0 && len(t.fields) >= t.maxFields ||
		t.maxBytes > 0 && len(t.buf)+len(name)+len(value) > t.maxBytes {
		return ErrTooLarge
	}
	s := span{name: len(t.buf), value: len(t.buf) + len(name)}
	for _, c := range name {
		t.buf = append(t.buf, lower[c])
	}
	t.buf = append(t.buf, value...)
	s.end = len(t.buf)
	t.fields = append(t.fields, s)
	return nil
}

// Get returns the first value of a field, nil if there is none; an empty value
// is not nil. name is in lower case. Valid until Reset.
func (t *Table) Get(name string) []byte {
	v, _ := t.Fragment(name, 0)
	return v
}

// Fragment returns the i-th value of a field, from 0. Valid until Reset.
func (t *Table) Fragment(name string, i int) ([]byte, bool) {
	for _, s := range t.fields {
		if string(t.buf[s.name:s.value]) == name {
			if i == 0 {
				return t.buf[s.value:s.end:s.end], true
			}
			i--
		}
	}
	return nil, false
}

// Len returns the number of fields.
func (t *Table) Len() int { return len(t.fields) }

// At returns the i-th field. Valid until Reset.
func (t *Table) At(i int) (name, value []byte) {
	s := t.fields[i]
	return t.buf[s.name:s.value:s.value], t.buf[s.value:s.end:s.end]
}

// Values yields every value of a field in order. Valid until Reset.
func (t *Table) Values(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, s := range t.fields {
			if string(t.buf[s.name:s.value]) == name && !yield(t.buf[s.value:s.end:s.end]) {
				return
			}
		}
	}
}

// AppendJoined appends all values of a field as one list: joined by ", ", cookies
// by "; " (RFC 9110 5.3, RFC 6265 4.2.1).
func (t *Table) AppendJoined(dst []byte, name string) ([]byte, bool) {
	sep := ", "
	if name == "cookie" {
		sep = "; "
	}
	found := false
	for v := range t.Values(name) {
		if found {
			dst = append(dst, sep...)
		}
		dst = append(dst, v...)
		found = true
	}
	return dst, found
}

// Bytes returns how much of the bound is used.
func (t *Table) Bytes() int { return len(t.buf) }

// EqualFold reports whether b is the token lower, ignoring ASCII case; lower is
// in lower case.
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

// HasToken reports whether a comma-separated list has the token, which is in
// lower case.
func HasToken(value []byte, token string) bool {
	for tok := range Tokens(value) {
		if EqualFold(tok, token) {
			return true
		}
	}
	return false
}

// Tokens yields the elements of a comma-separated list, without white space
// around them; empty ones are passed over (RFC 9110 5.6.1.2).
func Tokens(value []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(value) > 0 {
			tok := value
			if i := bytes.IndexByte(value, ','); i >= 0 {
				tok, value = value[:i], value[i+1:]
			} else {
				value = nil
			}
			if tok = Trim(tok); len(tok) > 0 && !yield(tok) {
				return
			}
		}
	}
}

// Trim removes optional white space (space and tab) at both ends.
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// Line returns the table's second buffer, for what belongs to the message but is
// no field: a parser keeps the request line there. Reset empties it.
func (t *Table) Line() *[]byte { return &t.line }
