package h1

import (
	"bytes"

	"anyloop/core/header"
)

// finish reads what the fields say about the message itself, and refuses what
// two readers could read differently.
func (r *Request) finish(t *header.Table, lim *Limits) error {
	if err := r.readHost(t); err != nil {
		return err
	}
	if err := r.readLength(t, lim); err != nil {
		return err
	}
	var err error
	if r.Chunked, err = transferChunked(t, r.Minor); err != nil {
		return err
	}
	r.KeepAlive, r.UpgradeWS = connection(t, r.Minor)
	return r.readExpect(t)
}

// readHost: RFC 9112 3.2: "A server MUST respond with a 400 (Bad Request) status
// code to any HTTP/1.1 request message that lacks a Host header field and to any
// request message that contains more than one Host header field line or a Host
// header field with an invalid field value."
func (r *Request) readHost(t *header.Table) error {
	host := t.First(header.Host)
	switch {
	case host == nil && r.Minor >= 1:
		return ErrHost
	case t.Twice(header.Host):
		return ErrHost
	case host != nil && !validHost(host):
		return ErrHost
	case r.host == nil:
		// An absolute target's authority wins over Host (RFC 9112 3.2.2).
		r.host = host
	}
	return nil
}

// validHost: uri-host [ ":" port ] (RFC 9110 7.2); empty is allowed.
func validHost(h []byte) bool {
	rest := h
	if len(h) > 0 && h[0] == '[' {
		i := bytes.IndexByte(h, ']')
		if i < 0 {
			return false
		}
		for _, c := range h[1:i] {
			if !isHex(c) && c != ':' && c != '.' {
				return false
			}
		}
		rest = h[i+1:]
		if len(rest) > 0 && rest[0] != ':' {
			return false
		}
	}
	for i, c := range rest {
		if !hostChars[c] {
			return c == ':' && validPort(rest[i+1:])
		}
	}
	return true
}

func validPort(p []byte) bool {
	for _, c := range p {
		if !isDigit(c) {
			return false
		}
	}
	return len(p) <= 5
}

// hostChars has what a name may be of: unreserved, sub-delims and "%" (RFC 3986
// 3.2.2), and "_" as used.
var hostChars = func() (t [256]bool) {
	for c := range t {
		t[c] = isDigit(byte(c)) || 'a' <= c|0x20 && c|0x20 <= 'z'
	}
	for _, c := range "-._~!$&'()*+,;=%" {
		t[c] = true
	}
	return t
}()

func (r *Request) readLength(t *header.Table, lim *Limits) error {
	n, err := contentLength(t)
	switch {
	case err != nil:
		return err
	case n > lim.body():
		return ErrBodySize
	}
	r.ContentLength = n
	return nil
}

// contentLength returns -1 without the field. One field, digits only: a list,
// even of equal values, is refused, as it is what smuggling looks like.
func contentLength(t *header.Table) (int64, error) {
	v := t.First(header.ContentLength)
	if v == nil {
		return -1, nil
	}
	if t.Twice(header.ContentLength) || len(v) == 0 || len(v) > 19 {
		return -1, ErrContentLength
	}
	n := int64(0)
	for _, c := range v {
		if !isDigit(c) || n > (1<<63-1-9)/10 {
			return -1, ErrContentLength
		}
		n = n*10 + int64(c-'0')
	}
	if t.Has(header.TransferEncoding) {
		return -1, ErrSmuggling
	}
	return n, nil
}

// transferChunked: only "chunked", once and last (RFC 9112 6.1).
func transferChunked(t *header.Table, minor int) (chunked bool, err error) {
	v := t.First(header.TransferEncoding)
	if v == nil {
		return false, nil
	}
	if minor < 1 {
		return false, ErrTransfer // RFC 9112 6.1: a faulty framing in HTTP/1.0
	}
	if t.Twice(header.TransferEncoding) {
		return false, ErrTransfer
	}
	for tok := range header.Tokens(v) {
		if chunked {
			return false, ErrTransfer // chunked is not last, or twice
		}
		if !header.EqualFold(tok, "chunked") {
			return false, ErrTransferCode
		}
		chunked = true
	}
	if !chunked {
		return false, ErrTransfer
	}
	return true, nil
}

// connection reads RFC 9112 9.3 for keep-alive, and RFC 6455 4.1 and 4.2.1 for
// the upgrade; both peers say it alike.
func connection(t *header.Table, minor int) (keep, upgradeWS bool) {
	var says connTokens
	if v := t.First(header.Connection); !t.Twice(header.Connection) {
		says = connectionTokens(v)
	} else {
		for v := range t.Values("connection") {
			says |= connectionTokens(v)
		}
	}
	keep = says&saysClose == 0 && (minor >= 1 || says&saysKeep != 0)
	if says&saysUpgrade == 0 || minor < 1 {
		return keep, false
	}
	if v := t.First(header.Upgrade); !t.Twice(header.Upgrade) {
		return keep, header.EqualFold(v, "websocket") || header.HasToken(v, "websocket")
	}
	for v := range t.Values("upgrade") {
		if header.HasToken(v, "websocket") {
			upgradeWS = true
		}
	}
	return keep, upgradeWS
}

// connTokens is what Connection says.
type connTokens uint8

const (
	saysClose connTokens = 1 << iota
	saysKeep
	saysUpgrade
)

func connectionTokens(v []byte) (says connTokens) {
	switch { // as most say it
	case len(v) == 0:
		return 0
	case header.EqualFold(v, "upgrade"):
		return saysUpgrade
	case header.EqualFold(v, "keep-alive"):
		return saysKeep
	}
	for tok := range header.Tokens(v) {
		switch {
		case header.EqualFold(tok, "close"):
			says |= saysClose
		case header.EqualFold(tok, "keep-alive"):
			says |= saysKeep
		case header.EqualFold(tok, "upgrade"):
			says |= saysUpgrade
		}
	}
	return says
}

func (r *Request) readExpect(t *header.Table) error {
	v := t.First(header.Expect)
	if v == nil || r.Minor < 1 {
		return nil // RFC 9110 10.1.1: ignored from an HTTP/1.0 client
	}
	if !header.EqualFold(v, "100-continue") {
		return ErrExpect
	}
	r.Expect100 = true
	return nil
}
