package deflate

import "anyloop/core/header"

// extension is one element of a Sec-WebSocket-Extensions list.
type extension struct {
	name  []byte // part of the field
	known bool   // it is permessage-deflate, and what follows holds
	has   uint8  // the parameters that it has
	// The values of the windows; 0 if there is none.
	serverBits, clientBits int
	// The first thing that is wrong with the parameters, and which one it is.
	fault string
	param []byte
}

// Parameters in extension.has.
const (
	hasServerNoTakeover = 1 << iota
	hasClientNoTakeover
	hasServerBits
	hasClientBits
)

// scanner takes a field's value apart (RFC 6455 9.1):
//
//	extension-list  = 1#( token *( ";" extension-param ) )
//	extension-param = token [ "=" ( token / quoted-string ) ]
//
// White space may be between any two of these (RFC 2616 2.1, which RFC 6455
// builds on), and elements of the list may be empty.
type scanner struct {
	rest []byte
	bad  bool // the field does not follow the grammar; nothing more is read
}

// next returns the next extension of the list, until ok is false. Whether it is
// an offer or an answer decides what its parameters may be.
func (s *scanner) next(offer bool) (e extension, ok bool) {
	for s.eat(',') {
	}
	if s.bad || len(s.rest) == 0 {
		return e, false
	}
	e.name = s.token()
	// Names are compared as they are: one in other letters is not ours, which
	// costs compression at worst.
	e.known = string(e.name) == Name
	for !s.bad && s.eat(';') {
		name := s.token()
		var v value
		if !s.bad && s.eat('=') {
			s.value(&v)
		}
		if !s.bad && e.known {
			e.take(name, &v, offer)
		}
	}
	if !s.bad && len(s.rest) > 0 && s.rest[0] != ',' {
		s.bad = true
	}
	return e, !s.bad
}

// eat takes the byte c, and white space on both sides of where it is.
func (s *scanner) eat(c byte) bool {
	s.skip()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	s.skip()
	return true
}

func (s *scanner) skip() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

func (s *scanner) token() []byte {
	n := 0
	for n < len(s.rest) && header.IsTokenChar(s.rest[n]) {
		n++
	}
	t := s.rest[:n]
	s.rest = s.rest[n:]
	s.bad = s.bad || n == 0
	return t
}

// value is a parameter's value. No legal one has more than two bytes, so no more
// are kept; n counts them all.
type value struct {
	b [2]byte
	n int
}

func (v *value) add(c byte) {
	if v.n < len(v.b) {
		v.b[v.n] = c
	}
	v.n++
}

// value takes a token, quoted or not. RFC 6455 9.1: "When using the quoted-string
// syntax variant, the value after quoted-string unescaping MUST conform to the
// 'token' ABNF."
func (s *scanner) value(v *value) {
	if len(s.rest) == 0 || s.rest[0] != '"' {
		for _, c := range s.token() {
			v.add(c)
		}
		return
	}
	for i := 1; i < len(s.rest); i++ {
		c := s.rest[i]
		if c == '"' {
			s.rest = s.rest[i+1:]
			s.bad = v.n == 0
			return
		}
		if c == '\\' && i+1 < len(s.rest) {
			i++
			c = s.rest[i]
		}
		if !header.IsTokenChar(c) {
			break
		}
		v.add(c)
	}
	s.bad = true
}

// bits reads a window. RFC 7692 7.1.2: "a decimal integer value without leading
// zeroes between 8 to 15, inclusive".
func (v *value) bits() (bits int, ok bool) {
	switch {
	case v.n == 1 && (v.b[0] == '8' || v.b[0] == '9'):
		return int(v.b[0] - '0'), true
	case v.n == 2 && v.b[0] == '1' && v.b[1] >= '0' && v.b[1] <= '5':
		return 10 + int(v.b[1]-'0'), true
	}
	return 0, false
}

// take judges a parameter of permessage-deflate.
func (e *extension) take(name []byte, v *value, offer bool) {
	var bit uint8
	var window *int
	switch string(name) {
	case serverNoTakeover:
		bit = hasServerNoTakeover
	case clientNoTakeover:
		bit = hasClientNoTakeover
	case serverBits:
		bit, window = hasServerBits, &e.serverBits
	case clientBits:
		bit, window = hasClientBits, &e.clientBits
	default:
		e.wrong(name, "unknown parameter")
		return
	}
	if e.has&bit != 0 {
		e.wrong(name, "parameter given twice")
		return
	}
	e.has |= bit
	switch {
	case window == nil:
		if v.n > 0 {
			e.wrong(name, "value for a parameter that has none")
		}
	case v.n == 0 && offer && bit == hasClientBits:
		// RFC 7692 7.1.2.2: in an offer it may go without, as a hint that the
		// client lets itself be asked.
	case v.n == 0:
		e.wrong(name, "no value for parameter")
	default:
		var ok bool
		if *window, ok = v.bits(); !ok {
			e.wrong(name, "value not from 8 to 15 for parameter")
		}
	}
}

func (e *extension) wrong(name []byte, what string) {
	if e.fault == "" {
		e.fault, e.param = what, name
	}
}
