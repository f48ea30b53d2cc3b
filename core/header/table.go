package header

import (
	"errors"
	"iter"
	"math"
)

// ErrTooLarge says that a field would exceed the table's bounds (status 431).
var ErrTooLarge = errors.New("header: fields too large")

// The bounds of a Table that was told none.
const (
	DefaultBytes  = 4096 // of names and values together; libwebsockets' size, too
	DefaultFields = 128
)

// keepBytes is how large a buffer survives Reset. A pool would otherwise grow to
// as many of the largest headers as it has tables.
const keepBytes = 4 * DefaultBytes

// Table holds the fields of one message ("ah", allocated headers) in one buffer
// of bounded size, in the order in which they came, repeated ones included.
// Names are stored in lower case. It is meant to be pooled: Reset keeps the
// memory. The zero value is ready, with the default bounds.
type Table struct {
	buf       []byte // names and values, end to end
	line      []byte // see Line
	fields    []span
	maxBytes  int // 0: not told yet
	maxFields int
	index     index
}

// span is where a field lies in the buffer.
type span struct{ name, value, end uint32 }

// Init sets the bounds: maxBytes of all names and values together (bytes; 0:
// 4096, negative: none), maxFields (0: 128, negative: none). Memory grows as it
// is needed.
func (t *Table) Init(maxBytes, maxFields int) {
	t.maxBytes, t.maxFields = bound(maxBytes, DefaultBytes), bound(maxFields, DefaultFields)
}

// bound keeps "none" within what a span can say.
func bound(n, zero int) int {
	switch {
	case n == 0:
		return zero
	case n < 0 || n > math.MaxInt32:
		return math.MaxInt32
	}
	return n
}

// Reset forgets the fields and keeps the memory, unless it has grown far beyond
// the defaults. All slices that the table gave out are void.
func (t *Table) Reset() {
	t.buf, t.line = emptied(t.buf), emptied(t.line)
	t.fields = t.fields[:0]
	t.index.has, t.index.twice = 0, 0
	if cap(t.fields) > 4*DefaultFields {
		t.fields = nil
	}
}

func emptied(b []byte) []byte {
	if cap(b) > keepBytes {
		return nil
	}
	return b[:0]
}

// Add appends a field, copying both parts; it does not judge them. ErrTooLarge
// if the field does not fit, and then nothing has changed.
func (t *Table) Add(name, value []byte) error {
	if t.maxBytes == 0 {
		t.Init(0, 0)
	}
	if len(t.fields) >= t.maxFields || len(name)+len(value) > t.maxBytes-len(t.buf) {
		return ErrTooLarge
	}
	at := len(t.buf)
	t.buf = append(t.buf, name...)
	mid := len(t.buf)
	toLower(t.buf[at:mid])
	if n := nameOf(t.buf[at:mid]); n != NoName {
		t.index.note(n, len(t.fields))
	}
	t.buf = append(t.buf, value...)
	t.fields = append(t.fields, span{uint32(at), uint32(mid), uint32(len(t.buf))})
	return nil
}

// Fold continues the last field's value: a space, and more, which is copied and
// not judged (RFC 9112 5.2). An empty value takes no space. ErrTooLarge if it does
// not fit, and if there is no field, and then nothing has changed.
func (t *Table) Fold(more []byte) error {
	if len(t.fields) == 0 || len(more)+1 > t.maxBytes-len(t.buf) {
		return ErrTooLarge
	}
	s := &t.fields[len(t.fields)-1]
	if s.end > s.value {
		t.buf = append(t.buf, ' ')
	}
	t.buf = append(t.buf, more...)
	s.end = uint32(len(t.buf))
	return nil
}

func (t *Table) is(s span, name string) bool { return string(t.buf[s.name:s.value]) == name }

func (t *Table) value(s span) []byte { return t.buf[s.value:s.end:s.end] }

// Get returns the first value of a field, nil if there is none; an empty value
// is not nil. name is in lower case. Valid until Reset.
func (t *Table) Get(name string) []byte {
	v, _ := t.Fragment(name, 0)
	return v
}

// Fragment returns the i-th value of a field, counted from 0. name is in lower
// case. Valid until Reset.
func (t *Table) Fragment(name string, i int) (value []byte, ok bool) {
	for _, s := range t.fields {
		if t.is(s, name) {
			if i == 0 {
				return t.value(s), true
			}
			i--
		}
	}
	return nil, false
}

// Values yields every value of a field in order. name is in lower case. Valid
// until Reset.
func (t *Table) Values(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, s := range t.fields {
			if t.is(s, name) && !yield(t.value(s)) {
				return
			}
		}
	}
}

// AppendJoined appends all values of a field to dst as one; ok is false, and dst
// as it was, if there are none. name is in lower case.
func (t *Table) AppendJoined(dst []byte, name string) (joined []byte, ok bool) {
	// RFC 9110 5.3: a recipient may combine the lines "by appending each
	// subsequent field line value to the initial field line value in order,
	// separated by a comma (",") and optional whitespace".
	sep := ", "
	if name == "cookie" {
		sep = "; " // RFC 9113 8.2.3, which splits them: rejoin with "; "
	}
	for v := range t.Values(name) {
		if ok {
			dst = append(dst, sep...)
		}
		dst = append(dst, v...)
		ok = true
	}
	return dst, ok
}

// Len returns the number of fields.
func (t *Table) Len() int { return len(t.fields) }

// At returns the i-th field, counted from 0 and below Len. Valid until Reset.
func (t *Table) At(i int) (name, value []byte) {
	s := t.fields[i]
	return t.buf[s.name:s.value:s.value], t.value(s)
}

// Bytes returns how much of the bound on bytes is in use.
func (t *Table) Bytes() int { return len(t.buf) }

// Line returns the table's second buffer, for what belongs to the message but is
// no field: a parser keeps the request line there, and bounds it. Reset empties
// it.
func (t *Table) Line() *[]byte { return &t.line }
