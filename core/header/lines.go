package header

import "slices"

// longName is the longest name that AddLines takes.
const longName = 64

// AddLines adds the field lines at the front of p (RFC 9112 5) that are whole, as
// they should be, and within the bounds, which nearly all are, in one pass over
// each, and returns how many bytes they were. What is left is the end of the
// fields, or incomplete, or wrong: the caller finds out which.
func (t *Table) AddLines(p []byte) (n int) {
	for n < len(p) {
		size := t.addLine(p[n:])
		if size == 0 {
			break
		}
		n += size
	}
	return n
}

// addLine is AddLines for one; 0 if it does not take it.
func (t *Table) addLine(p []byte) (size int) {
	at := len(t.buf)
	if len(t.fields) >= t.maxFields {
		return 0
	}
	if cap(t.buf)-at < longName {
		t.buf = slices.Grow(t.buf, longName)
	}
	i := lowerName(t.buf[at:at+longName], p)
	if i == 0 || i >= len(p) || p[i] != ':' {
		return 0
	}
	v := i + 1
	if v < len(p) && p[v] == ' ' {
		v++
	}
	for v < len(p) && (p[v] == ' ' || p[v] == '\t') {
		v++
	}
	end := v + ValueEnd(p[v:])
	if size = end; size < len(p) && p[size] == '\r' {
		size++
	}
	if size == len(p) || p[size] != '\n' {
		return 0
	}
	for end > v && (p[end-1] == ' ' || p[end-1] == '\t') {
		end--
	}
	if i+end-v > t.maxBytes-at {
		return 0
	}
	mid := at + i
	t.buf = append(t.buf[:mid], p[v:end]...)
	if id := nameOf(t.buf[at:mid]); id != NoName {
		t.index.note(id, len(t.fields))
	}
	t.fields = append(t.fields, span{uint32(at), uint32(mid), uint32(len(t.buf))})
	return size + 1
}

// lowerName copies the token at the front of src to dst, in lower case, as far as
// there is room, and returns its length. On its own, its loop stays in registers.
//
//go:noinline
func lowerName(dst, src []byte) int {
	src = src[:min(len(src), len(dst))]
	dst = dst[:len(src)]
	for i, c := range src {
		c = lowerToken[c]
		if c == 0 {
			return i
		}
		dst[i] = c
	}
	return len(src)
}
