package header

import "bytes"

// Accepts reports whether an Accept-Encoding value takes a content coding, given
// in lower case: by name or by "*", with a quality above 0. "identity" is taken
// unless it is excluded (RFC 9110 12.5.3).
func Accepts(value []byte, coding string) bool {
	q, listed := Quality(value, coding)
	if !listed {
		// RFC 9110 12.5.3: "If the representation has no content coding,
		// then it is acceptable by default unless specifically excluded".
		return coding == "identity"
	}
	return q > 0
}

// Quality returns the quality that a list gives to a name in lower case, in
// thousandths (RFC 9110 12.4.2). The name itself decides before "*"; listed is
// false if the list has neither. A malformed quality counts as 0.
func Quality(value []byte, name string) (q int, listed bool) {
	star, hasStar := 0, false
	for el := range Tokens(value) {
		tok, params, _ := bytes.Cut(el, []byte{';'})
		tok = Trim(tok)
		switch {
		case sameCoding(tok, name):
			return weight(params), true
		case len(tok) == 1 && tok[0] == '*':
			star, hasStar = weight(params), true
		}
	}
	return star, hasStar
}

// sameCoding compares names. RFC 9110 8.4.1.3: "A recipient SHOULD consider
// "x-gzip" to be equivalent to "gzip"."; 8.4.1.1 says so of "x-compress".
func sameCoding(tok []byte, name string) bool {
	if name == "gzip" && EqualFold(tok, "x-gzip") || name == "compress" && EqualFold(tok, "x-compress") {
		return true
	}
	return EqualFold(tok, name)
}

// weight reads the quality among parameters, in thousandths: 1000 if there is
// none.
func weight(params []byte) int {
	for len(params) > 0 {
		p := params
		if i := bytes.IndexByte(params, ';'); i >= 0 {
			p, params = params[:i], params[i+1:]
		} else {
			params = nil
		}
		if p = Trim(p); len(p) >= 2 && lower[p[0]] == 'q' && p[1] == '=' {
			return qvalue(p[2:])
		}
	}
	return 1000
}

// qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
func qvalue(v []byte) int {
	if len(v) == 0 || len(v) > 5 || v[0] != '0' && v[0] != '1' || len(v) > 1 && v[1] != '.' {
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
	if q > 1000 {
		return 0
	}
	return q
}
