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
	if err := r.readTransfer(t); err != nil {
		return err
	}
	r.readConnection(t)
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

// readLength: one field, digits only. A list, even of equal values, is refused:
// it is what smuggling looks like.
func (r *Request) readLength(t *header.Table, lim *Limits) error {
	v, ok := t.Fragment("content-length", 0)
	if !ok {
		return nil
	}
	if _, twice := t.Fragment("content-length", 1); twice || len(v) == 0 || len(v) > 19 {
		return ErrContentLength
	}
	n := int64(0)
	for _, c := range v {
		if !isDigit(c) || n > (1<<63-1-9)/10 {
			return ErrContentLength
		}
		n = n*10 + int64(c-'0')
	}
	if _, te := t.Fragment("transfer-encoding", 0); te {
		return ErrSmuggling
	}
	if n > lim.body() {
		return ErrBodySize
	}
	r.ContentLength = n
	return nil
}

// readTransfer: only "chunked", once and last (RFC 9112 6.1).
func (r *Request) readTransfer(t *header.Table) error {
	v, ok := t.Fragment("transfer-encoding", 0)
	if !ok {
		return nil
	}
	if r.Minor < 1 {
		return ErrTransfer // RFC 9112 6.1: a faulty framing in HTTP/1.0
	}
	if _, twice := t.Fragment("transfer-encoding", 1); twice {
		return ErrTransfer
	}
	for tok := range header.Tokens(v) {
		if r.Chunked {
			return ErrTransfer // chunked is not last, or twice
		}
		if !header.EqualFold(tok, "chunked") {
			return ErrTransferCode
		}
		r.Chunked = true
	}
	if !r.Chunked {
		return ErrTransfer
	}
	return nil
}

// readConnection: RFC 9112 9.3 for keep-alive, RFC 6455 4.2.1 for the upgrade.
func (r *Request) readConnection(t *header.Table) {
	closes, keeps, upgrades := false, false, false
	for v := range t.Values("connection") {
		closes = closes || header.HasToken(v, "close")
		keeps = keeps || header.HasToken(v, "keep-alive")
		upgrades = upgrades || header.HasToken(v, "upgrade")
	}
	r.KeepAlive = !closes && (r.Minor >= 1 || keeps)
	if !upgrades || r.Minor < 1 {
		return
	}
	for v := range t.Values("upgrade") {
		if header.HasToken(v, "websocket") {
			r.UpgradeWS = true
		}
	}
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
