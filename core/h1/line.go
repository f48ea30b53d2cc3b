package h1

import (
	"bytes"

	"anyloop/core/header"
)

func indexLF(p []byte) int { return bytes.IndexByte(p, '\n') }

// lines cuts whole lines out of what is there so far.
type lines struct {
	seen int // bytes of an incomplete line that have no LF
}

// next returns the next whole line without its end; size counts the end.
func (ls *lines) next(p []byte) (line []byte, size int, ok bool) {
	from := min(ls.seen, len(p))
	i := indexLF(p[from:])
	if i < 0 {
		ls.seen = len(p)
		return nil, 0, false
	}
	ls.seen = 0
	i += from
	line = p[:i]
	// RFC 9112 2.2: "a recipient MAY recognize a single LF as a line
	// terminator and ignore any preceding CR".
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, i + 1, true
}

// fieldTooLong bounds an incomplete field line of n bytes.
func fieldTooLong(n int, lim *Limits) error {
	if n > lim.header()+4 {
		return ErrHeaderSize
	}
	return nil
}

// parseLine reads "method SP request-target SP HTTP-version" (RFC 9112 3).
func (r *Request) parseLine(line []byte, t *header.Table) error {
	if err := startsLikeRequest(line); err != nil {
		return err
	}
	// RFC 9112 3: method, one SP, target, one SP, version.
	sp := bytes.IndexByte(line, ' ')
	last := len(line) - len(" HTTP/x.y")
	if sp <= 0 || last <= sp+1 || line[last] != ' ' {
		return lineError(line, ErrRequestLine)
	}
	method, target := line[:sp], line[sp+1:last]
	major, minor, ok := parseVersion(line[last+1:])
	clean, simple := checkTarget(target)
	switch {
	case !ok || !clean && bytes.IndexByte(target, ' ') >= 0:
		return lineError(line, ErrRequestLine)
	case major != 1:
		return lineError(line, ErrVersion)
	case !clean:
		return lineError(line, ErrTarget)
	}
	r.Minor, r.Method = minor, methodOf(method)
	buf := t.Line()
	*buf = append(append((*buf)[:0], method...), target...)
	r.method, r.target = (*buf)[:sp:sp], (*buf)[sp:len(*buf):len(*buf)]
	if simple && r.Method != CONNECT {
		r.path = r.target
		return nil
	}
	return r.parseTarget(buf)
}

// lineError is the error of a line that is wrong for the reason of err.
func lineError(line []byte, err error) error {
	if bytes.IndexByte(line, '\r') >= 0 {
		return ErrBareCR
	}
	return err
}

func methodOf(b []byte) Method {
	for m := GET; m <= TRACE; m++ {
		if string(b) == methodNames[m] {
			return m
		}
	}
	return Other
}

// checkTarget reports whether a target is clean, without blanks and control bytes,
// and simple: a path that Normalize leaves as it is, with no query.
func checkTarget(target []byte) (clean, simple bool) {
	simple = target[0] == '/'
	slash := false // the last byte was one
	for _, c := range target {
		switch {
		case c <= ' ' || c == 0x7f:
			return false, false
		case c == '/' || c == '.':
			simple = simple && !slash // "//", "/.x" and "/..": for Normalize
			slash = c == '/'
		case c == '%' || c == '?':
			simple = false
		default:
			slash = false
		}
	}
	return true, simple
}

// parseVersion reads "HTTP/x.y" (RFC 9112 2.3). A minor version above 1 counts
// as 1: what it adds may be ignored (RFC 9110 2.5).
func parseVersion(v []byte) (major, minor int, ok bool) {
	if len(v) != 8 || string(v[:5]) != "HTTP/" || v[6] != '.' || !isDigit(v[5]) || !isDigit(v[7]) {
		return 0, 0, false
	}
	return int(v[5] - '0'), min(int(v[7]-'0'), 1), true
}

// parseTarget takes the four forms of RFC 9112 3.2 apart. The normalised path is
// appended to the line's buffer.
func (r *Request) parseTarget(buf *[]byte) error {
	target := r.target
	switch {
	case r.Method == CONNECT:
		r.host, r.path = target, target // authority-form
		return nil
	case r.Method == OPTIONS && len(target) == 1 && target[0] == '*':
		r.path = target
		return nil
	}
	hostAt := 0
	if rest, host, at, ok := cutAbsolute(target); ok {
		if !validHost(host) || len(host) == 0 {
			return ErrHost
		}
		r.host, target, hostAt = host, rest, at
	}
	mark := len(*buf)
	out, query, err := Normalize(*buf, target)
	if err != nil {
		return err
	}
	if &out[0] != &(*buf)[0] {
		// The buffer moved: what was cut from it must move along.
		n := len(r.method)
		r.method, r.target = out[:n:n], out[n:mark:mark]
		if len(r.host) > 0 {
			r.host = r.target[hostAt : hostAt+len(r.host)]
		}
	}
	*buf = out
	r.path = out[mark:]
	if query != nil {
		r.query = r.target[len(r.target)-len(query):]
	}
	return nil
}

// cutAbsolute splits "http://host/path" (RFC 9112 3.2.2), with the place of the
// host in it; an empty path is "/".
func cutAbsolute(target []byte) (rest, host []byte, at int, ok bool) {
	for _, scheme := range []string{"http://", "https://"} {
		if len(target) > len(scheme) && header.EqualFold(target[:len(scheme)], scheme) {
			a := target[len(scheme):]
			i := bytes.IndexAny(a, "/?")
			switch {
			case i < 0:
				return []byte("/"), a, len(scheme), true
			case a[i] == '?':
				return append([]byte("/"), a[i:]...), a[:i], len(scheme), true
			}
			return a[i:], a[:i], len(scheme), true
		}
	}
	return nil, nil, 0, false
}

// parseField reads "field-name ":" OWS field-value OWS" (RFC 9112 5).
func parseField(line []byte, t *header.Table) error {
	if line[0] == ' ' || line[0] == '\t' {
		// RFC 9112 5.2: "A server that receives an obs-fold in a request
		// message MUST either reject the message ... or replace".
		return ErrFold
	}
	i := bytes.IndexByte(line, ':')
	// RFC 9112 5.1: "No whitespace is allowed between the field name and
	// colon"; IsToken refuses it.
	if i <= 0 || !header.IsToken(line[:i]) {
		return ErrField
	}
	value := header.Trim(line[i+1:])
	if !header.IsValue(value) {
		if bytes.IndexByte(value, '\r') >= 0 {
			return ErrBareCR
		}
		return ErrField
	}
	if err := t.Add(line[:i], value); err != nil {
		return ErrHeaderSize
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
