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
	host, ok := t.Fragment("host", 0)
	if _, twice := t.Fragment("host", 1); twice {
		return ErrHost
	}
	switch {
	case !ok && r.Minor >= 1:
		return ErrHost
	case ok && !validHost(host):
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
	name, port, has := bytes.Cut(rest, []byte{':'})
	for _, c := range port {
		if !isDigit(c) {
			return false
		}
	}
	if has && len(port) > 5 {
		return false
	}
	for _, c := range name {
		// unreserved, sub-delims and "%" (RFC 3986 3.2.2), and "_" as used
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && bytes.IndexByte([]byte("-._~!$&'()*+,;=%"), c) < 0 {
			return false
		}
	}
	return true
}

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
	v, ok := t.Fragment("content-length", 0)
	if !ok {
		return -1, nil
	}
	if _, twice := t.Fragment("content-length", 1); twice || len(v) == 0 || len(v) > 19 {
		return -1, ErrContentLength
	}
	n := int64(0)
	for _, c := range v {
		if !isDigit(c) || n > (1<<63-1-9)/10 {
			return -1, ErrContentLength
		}
		n = n*10 + int64(c-'0')
	}
	if _, te := t.Fragment("transfer-encoding", 0); te {
		return -1, ErrSmuggling
	}
	return n, nil
}

// transferChunked: only "chunked", once and last (RFC 9112 6.1).
func transferChunked(t *header.Table, minor int) (chunked bool, err error) {
	v, ok := t.Fragment("transfer-encoding", 0)
	if !ok {
		return false, nil
	}
	if minor < 1 {
		return false, ErrTransfer // RFC 9112 6.1: a faulty framing in HTTP/1.0
	}
	if _, twice := t.Fragment("transfer-encoding", 1); twice {
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
	closes, keeps, upgrades := false, false, false
	for v := range t.Values("connection") {
		closes = closes || header.HasToken(v, "close")
		keeps = keeps || header.HasToken(v, "keep-alive")
		upgrades = upgrades || header.HasToken(v, "upgrade")
	}
	keep = !closes && (minor >= 1 || keeps)
	if !upgrades || minor < 1 {
		return keep, false
	}
	for v := range t.Values("upgrade") {
		if header.HasToken(v, "websocket") {
			upgradeWS = true
		}
	}
	return keep, upgradeWS
}

func (r *Request) readExpect(t *header.Table) error {
	v, ok := t.Fragment("expect", 0)
	if !ok || r.Minor < 1 {
		return nil // RFC 9110 10.1.1: ignored from an HTTP/1.0 client
	}
	if !header.EqualFold(v, "100-continue") {
		return ErrExpect
	}
	r.Expect100 = true
	return nil
}
