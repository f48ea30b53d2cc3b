package h1

import (
	"bytes"

	"anyloop/core/header"
)

// Response is what the parser makes of a response's head. Its byte slices lie in
// the header.Table, valid until that is Reset.
type Response struct {
	Minor  int // of HTTP/1.x
	Status int // 100 to 999; above 599 it counts as a 5xx (RFC 9110 15)
	// ContentLength is how many bytes of body follow: 0 also where there is no
	// body whatever the fields say (RFC 9112 6.3: to HEAD, with 1xx, 204 and
	// 304, behind a 2xx to CONNECT), -1 if the body is chunked or lasts until
	// the connection's end.
	ContentLength int64
	Chunked       bool // there is a body, and it is chunked
	KeepAlive     bool // as far as the response says
	UpgradeWS     bool // Upgrade: websocket, and Connection names it

	reason []byte
}

// Reason returns the reason phrase as it was sent, often empty. It means nothing
// to a program (RFC 9112 4).
func (r *Response) Reason() []byte { return r.reason }

// Interim reports whether another response to the same request follows (RFC 9110
// 15.2): 1xx, but not 101, behind which HTTP ends.
func (r *Response) Interim() bool { return r.Status < 200 && r.Status != 101 }

// UntilClose reports whether the end of the connection is the end of the body.
func (r *Response) UntilClose() bool { return !r.Chunked && r.ContentLength < 0 }

// ResponseParser parses the head of the response to one request. Use a fresh one
// for each request; the zero value will do unless the method is HEAD or CONNECT.
type ResponseParser struct {
	// Method is the request's: with HEAD and CONNECT there is no body.
	Method Method

	lines
	state   parserState
	interim int
	err     error
}

// maxInterim is how many interim responses may come before the final one.
const maxInterim = 16

// Skip goes on behind an interim response, and forgets its fields: call Next with
// the same request's Response and Table again. ErrInterim if there were too many.
func (ps *ResponseParser) Skip(r *Response, t *header.Table) error {
	if ps.interim++; ps.interim > maxInterim && ps.err == nil {
		ps.err = ErrInterim
	}
	t.Reset()
	*r = Response{}
	ps.state = inLine
	return ps.err
}

// Next consumes whole lines of p. done tells that the head is complete, n is
// then where the body begins, or after an Interim response the next one. An
// incomplete line is not consumed: present it again, from its first byte, with
// more behind it. An error is final. What is longer than lim allows is an error
// with a name: ErrStatusTooLong, ErrHeaderSize, ErrBodySize.
func (ps *ResponseParser) Next(p []byte, r *Response, t *header.Table, lim *Limits) (done bool, n int, err error) {
	for ps.err == nil {
		line, size, ok := ps.next(p[n:])
		if !ok {
			ps.err = ps.incomplete(p[n:], lim)
			return false, n, ps.err
		}
		n += size
		if done, ps.err = ps.take(line, r, t, lim); done && ps.err == nil {
			ps.state = atEnd
			return true, n, nil
		}
	}
	return false, n, ps.err
}

// incomplete bounds an incomplete line, and finds at its first impossible byte
// what is not HTTP.
func (ps *ResponseParser) incomplete(p []byte, lim *Limits) error {
	if ps.state != inLine {
		return fieldTooLong(len(p), lim)
	}
	switch {
	case !startsLikeResponse(p):
		return ErrNotResponse
	case len(p) > lim.line()+1: // the last byte may be the CR
		return ErrStatusTooLong
	}
	return nil
}

// startsLikeResponse compares with "HTTP/x.y", as far as it is there. No empty
// line is passed over: RFC 9112 2.2 lets only servers do that.
func startsLikeResponse(p []byte) bool {
	const form = "HTTP/0.0 "
	for i := 0; i < min(len(p), len(form)); i++ {
		if c := p[i]; c != form[i] && (form[i] != '0' || !isDigit(c)) {
			return false
		}
	}
	return true
}

func (ps *ResponseParser) take(line []byte, r *Response, t *header.Table, lim *Limits) (done bool, err error) {
	switch {
	case ps.state == inLine:
		if len(line) < len("HTTP/x.y ") || !startsLikeResponse(line) {
			return false, ErrNotResponse
		}
		if len(line) > lim.line() {
			return false, ErrStatusTooLong
		}
		ps.state = inFields
		r.ContentLength = -1
		return false, r.parseLine(line, t)
	case len(line) == 0:
		return true, r.finish(ps.Method, t, lim)
	case line[0] == ' ' || line[0] == '\t':
		return false, foldField(line, t)
	}
	return false, parseField(line, t)
}

// parseLine reads "HTTP-version SP status-code SP [ reason-phrase ]" (RFC 9112
// 4). The second space may be missing together with the phrase.
func (r *Response) parseLine(line []byte, t *header.Table) error {
	if bytes.IndexByte(line, '\r') >= 0 {
		return ErrBareCR
	}
	if len(line) < 12 || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return ErrStatusLine
	}
	major, minor, ok := parseVersion(line[:8])
	switch {
	case !ok:
		return ErrStatusLine
	case major != 1:
		return ErrVersion
	}
	r.Minor, r.Status = minor, 0
	for _, c := range line[9:12] {
		if !isDigit(c) {
			return ErrStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 {
		return ErrStatusLine
	}
	reason := line[min(len(line), 13):]
	if !header.IsValue(reason) {
		return ErrStatusLine
	}
	buf := t.Line()
	*buf = append((*buf)[:0], reason...)
	r.reason = (*buf)[:len(reason):len(reason)]
	return nil
}

// foldField: RFC 9112 5.2: "A user agent that receives an obs-fold in a response
// message that is not within a "message/http" container MUST replace each received
// obs-fold with one or more SP octets prior to interpreting the field value."
// Before the first field there is nothing to continue, and a line of nothing but
// white space continues nothing: they are refused.
func foldField(line []byte, t *header.Table) error {
	more := header.Trim(line)
	switch {
	case t.Len() == 0 || len(more) == 0:
		return ErrFold
	case bytes.IndexByte(more, '\r') >= 0:
		return ErrBareCR
	case !header.IsValue(more):
		return ErrField
	case t.Fold(more) != nil:
		return ErrHeaderSize
	}
	return nil
}

// finish reads what the fields say about the message itself (RFC 9112 6.3), and
// refuses what two readers could read differently.
func (r *Response) finish(m Method, t *header.Table, lim *Limits) error {
	r.KeepAlive, r.UpgradeWS = connection(t, r.Minor)
	if m == CONNECT && r.Status/100 == 2 {
		// RFC 9110 9.3.6: "A client MUST ignore any Content-Length or
		// Transfer-Encoding header fields received in a successful
		// response to CONNECT."
		r.ContentLength = 0
		return nil
	}
	n, err := contentLength(t)
	if err != nil {
		return err
	}
	if r.Chunked, err = transferChunked(t, r.Minor); err != nil {
		return err
	}
	if !BodyAllowed(m, r.Status) {
		r.ContentLength, r.Chunked = 0, false
		return nil
	}
	if n > lim.body() {
		return ErrBodySize
	}
	r.ContentLength = n
	r.KeepAlive = r.KeepAlive && !r.UntilClose()
	return nil
}
