// Package h1 parses and frames HTTP/1.x requests and responses (RFC 9112), for
// either side: bytes in, events and bytes out. It does no I/O and reads no clock. Everything resumes at
// every byte boundary.
package h1

import (
	"anyloop/core/header"
)

// Method is a request method.
type Method uint8

// The methods with a meaning of their own here; Other is any other token.
const (
	Other Method = iota
	GET
	HEAD
	POST
	PUT
	DELETE
	OPTIONS
	PATCH
	CONNECT
	TRACE
)

var methodNames = [...]string{"", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"}

// Limits bounds a message. A zero field is its default, -1 none.
type Limits struct {
	MaxLine   int   // bytes of the request or status line; 8192
	MaxHeader int   // bytes of names and values, the Table's bound; 4096
	MaxFields int   // fields, the Table's bound; 128
	MaxBody   int64 // bytes; 100 MiB
}

func (l *Limits) line() int {
	switch {
	case l.MaxLine == 0:
		return 8192
	case l.MaxLine < 0:
		return 1 << 30
	}
	return l.MaxLine
}

func (l *Limits) header() int {
	switch {
	case l.MaxHeader == 0:
		return 4096
	case l.MaxHeader < 0:
		return 1 << 30
	}
	return l.MaxHeader
}

func (l *Limits) body() int64 {
	switch {
	case l.MaxBody == 0:
		return 100 << 20
	case l.MaxBody < 0:
		return 1<<63 - 1
	}
	return l.MaxBody
}

// Request is what the parser makes of a request's head. Its byte slices lie in
// the header.Table, valid until that is Reset.
type Request struct {
	Method        Method
	Minor         int   // of HTTP/1.x
	ContentLength int64 // -1: none given
	Chunked       bool
	KeepAlive     bool // as far as the request says
	Expect100     bool
	UpgradeWS     bool // Upgrade: websocket, and Connection names it

	method, target, path, query, host []byte
}

// MethodName returns the method as it was sent.
func (r *Request) MethodName() string {
	if r.Method != Other {
		return methodNames[r.Method]
	}
	return string(r.method)
}

// Path returns the path, decoded and normalised; see Normalize.
func (r *Request) Path() []byte { return r.path }

// RawQuery returns what follows the first '?', as it was sent.
func (r *Request) RawQuery() []byte { return r.query }

// Target returns the request target as it was sent.
func (r *Request) Target() []byte { return r.target }

// Host returns the Host field, or the authority of an absolute target (RFC 9112
// 3.2.2).
func (r *Request) Host() []byte { return r.host }

// Parser parses one request's head. Use a fresh (zero) one for each request.
type Parser struct {
	lines
	state parserState
	blank int // empty lines passed before the request line
	err   error
}

type parserState uint8

const (
	inLine parserState = iota
	inFields
	atEnd
)

// maxBlank is how many empty lines a client may send before a request (RFC 9112
// 2.2: at least one SHOULD be ignored).
const maxBlank = 4

// Next consumes whole lines of p. done tells that the head is complete, n is
// then where the body begins. An incomplete line is not consumed: present it
// again, from its first byte, with more behind it. What it has looked at it does
// not look at again, so a sender of single bytes costs no more than one of whole
// lines. An error is final.
func (ps *Parser) Next(p []byte, r *Request, t *header.Table, lim *Limits) (done bool, n int, err error) {
	if ps.err != nil {
		return false, 0, ps.err
	}
	for {
		if ps.state == inFields && ps.seen == 0 {
			n += t.AddLines(p[n:])
			if len(p)-n >= 2 && p[n] == '\r' && p[n+1] == '\n' {
				ps.state = atEnd
				ps.err = r.finish(t, lim)
				return ps.err == nil, n + 2, ps.err
			}
		}
		line, size, ok := ps.next(p[n:])
		if !ok {
			if err := ps.tooLong(len(p)-n, p[n:], lim); err != nil {
				ps.err = err
				return false, n, err
			}
			return false, n, nil
		}
		done, err := ps.take(line, r, t, lim)
		n += size
		if err != nil {
			ps.err = err
			return false, n, err
		}
		if done {
			ps.state = atEnd
			return true, n, nil
		}
	}
}

// tooLong bounds an incomplete line, and finds at its first impossible byte what
// is not HTTP.
func (ps *Parser) tooLong(n int, p []byte, lim *Limits) error {
	if ps.state == inLine {
		if err := startsLikeRequest(p); err != nil {
			return err
		}
		if n > lim.line()+1 { // the last byte may be the CR
			return ErrLineTooLong
		}
		return nil
	}
	return fieldTooLong(n, lim)
}

// maxMethod bounds the token that may be a method.
const maxMethod = 32

// startsLikeRequest checks the method and the space behind it, as far as they
// are there.
func startsLikeRequest(p []byte) error {
	for i, c := range p {
		if header.IsTokenChar(c) && i < maxMethod {
			continue
		}
		if c == ' ' && i > 0 || (c == '\r' || c == '\n') && i == 0 {
			return nil
		}
		return ErrNotHTTP
	}
	return nil
}

func (ps *Parser) take(line []byte, r *Request, t *header.Table, lim *Limits) (done bool, err error) {
	if ps.state == inLine {
		if len(line) == 0 {
			if ps.blank++; ps.blank > maxBlank {
				return false, ErrNotHTTP
			}
			return false, nil
		}
		if len(line) > lim.line() {
			if err := startsLikeRequest(line); err != nil {
				return false, err
			}
			return false, ErrLineTooLong
		}
		ps.state = inFields
		r.ContentLength = -1
		return false, r.parseLine(line, t)
	}
	if len(line) == 0 {
		return true, r.finish(t, lim)
	}
	return false, parseField(line, t)
}
