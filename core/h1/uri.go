package h1

import (
	"bytes"
	"iter"
)

// Normalize appends the decoded, normalised path of a request target to dst, and
// returns the query, what follows the first '?' (nil if there is none), as it
// was sent. ErrURI (403) for an incomplete percent-encoding anywhere, an encoded
// NUL in the path, and a path that does not begin with a slash once decoded.
//
// Percent-encodings are decoded before dots are looked at, so "%2e%2e%2f" is
// "../". "//" becomes "/", "/./" becomes "/", "/x/../" becomes "/", a final "/."
// or "/.." leaves its slash; above the root there is nothing but the root.
func Normalize(dst, target []byte) (path, query []byte, err error) {
	raw := target
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		raw, query = target[:i], target[i+1:]
	}
	if !validEscapes(raw) || !validEscapes(query) {
		return dst, nil, ErrURI
	}
	mark := len(dst)
	dst, ok := appendDecoded(dst, raw, false)
	if !ok || len(dst) == mark || dst[mark] != '/' {
		return dst[:mark], nil, ErrURI
	}
	p := dst[mark:]
	n := removeDots(p, query != nil)
	return dst[:mark+n], query, nil
}

// validEscapes: every '%' has two hexadecimal digits behind it.
func validEscapes(p []byte) bool {
	for i := 0; i < len(p); i++ {
		if p[i] == '%' && (i+2 >= len(p) || !isHex(p[i+1]) || !isHex(p[i+2])) {
			return false
		}
	}
	return true
}

// appendDecoded decodes escapes, and in arguments '+' as a space. ok is false on
// an encoded NUL.
func appendDecoded(dst, p []byte, arg bool) (out []byte, ok bool) {
	ok = true
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '%' && i+2 < len(p) && isHex(p[i+1]) && isHex(p[i+2]):
			c = unhex(p[i+1])<<4 | unhex(p[i+2])
			i += 2
			if c == 0 {
				ok = false
			}
		case c == '+' && arg:
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst, ok
}

// removeDots normalises p in place and returns its new length. It works on
// segments: what stands between two slashes.
func removeDots(p []byte, query bool) int {
	n := 1 // p[0] is the root's slash
	for i := 1; i < len(p); {
		j := i
		for j < len(p) && p[j] != '/' {
			j++
		}
		seg, last := p[i:j], j == len(p)
		switch {
		case len(seg) == 0:
		case len(seg) == 1 && seg[0] == '.' && !(last && query):
			// A "." right before the '?' counts as a name, as in the
			// reference table; everywhere else it is this folder.
		case len(seg) == 2 && seg[0] == '.' && seg[1] == '.':
			n = parent(p[:n])
		default:
			n += copy(p[n:], seg)
			if !last {
				p[n] = '/'
				n++
			}
		}
		i = j + 1
	}
	return n
}

// parent returns the length of p without its last segment; p ends with a slash.
func parent(p []byte) int {
	n := len(p) - 1
	for n > 0 && p[n-1] != '/' {
		n--
	}
	return max(n, 1)
}

// Args yields the arguments of a query, decoded: split at '&' and ';', '+' read
// as a space, an encoded '=' in a name turned into '_' so that it cannot pass for
// the real one. The slices are the caller's.
func Args(query []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for len(query) > 0 {
			part := query
			if i := bytes.IndexAny(query, "&;"); i >= 0 {
				part, query = query[:i], query[i+1:]
			} else {
				query = nil
			}
			if len(part) == 0 {
				continue
			}
			rawName, rawValue, _ := bytes.Cut(part, []byte{'='})
			name, _ := appendDecoded(nil, rawName, true)
			for i, c := range name {
				if c == '=' {
					name[i] = '_'
				}
			}
			value, _ := appendDecoded(nil, rawValue, true)
			if !yield(name, value) {
				return
			}
		}
	}
}

// Arg returns the first argument of that name, decoded.
func Arg(query []byte, name string) ([]byte, bool) {
	for n, v := range Args(query) {
		if string(n) == name {
			return v, true
		}
	}
	return nil, false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
