package core

import (
	"errors"
	"fmt"
	"strings"
)

// bindRaw finds the protocols of connections that are not, or may not be, HTTP.
func (vh *VirtualHost) bindRaw() error {
	for _, w := range []struct {
		option, name string
		to           **binding
	}{{"RawOnly", vh.cfg.RawOnly, &vh.rawOnly}, {"RawFallback", vh.cfg.RawFallback, &vh.rawFallback}} {
		if w.name == "" {
			continue
		}
		if *w.to = vh.rawNamed(w.name); *w.to == nil {
			return fmt.Errorf("%s %q: %w with Raw", w.option, w.name, plain{ErrUnknownProtocol})
		}
	}
	switch t := vh.cfg.TLS; {
	case vh.rawOnly != nil && vh.rawFallback != nil:
		return errors.New("RawOnly and RawFallback exclude each other")
	case t != nil && t.Plain == PlainRaw && vh.raw() == nil:
		return errors.New("PlainRaw needs RawFallback or RawOnly")
	}
	return nil
}

// rawNamed returns the protocol of that name if it has Raw.
func (vh *VirtualHost) rawNamed(name string) *binding {
	if b := vh.byName[name]; b != nil && b.proto.Raw != nil {
		return b
	}
	return nil
}

// raw returns the protocol of raw connections, nil if there is none.
func (vh *VirtualHost) raw() *binding {
	if vh.rawOnly != nil {
		return vh.rawOnly
	}
	return vh.rawFallback
}

// plainRole returns what a connection begins with where TLS is not spoken, or is
// already: what the first vhost of the address says.
func (th *Thread) plainRole(s *site) peerRole {
	vh := s.first()
	switch {
	case vh == nil:
	case vh.rawOnly != nil:
		return newRaw(vh.rawOnly)
	case vh.rawFallback != nil:
		return &guessRole{site: s}
	}
	return th.newH1(s)
}

// guessRole waits for the first bytes of a connection that may speak HTTP:
//
//	waiting --a method and a space--> (h1 role)
//	waiting --anything else---------> (raw role), with all bytes so far
type guessRole struct {
	baseRole
	site  *site
	since int64 // when it was accepted
}

func (*guessRole) name() string { return "guess" }

func (r *guessRole) accepted(l *link) {
	r.since = l.th.now()
	l.arm(phaseHandshake, l.own().limits().HandshakeTimeout)
}

func (r *guessRole) input(l *link, p []byte) int {
	switch looksLike(p) {
	case mayBeHTTP:
		return 0
	case isHTTP:
		h := l.th.newH1(r.site)
		h.since = r.since // its limit is running
		l.role = h
	default:
		r.turnRaw(l)
	}
	if l.is(lfDoomed) {
		return len(p)
	}
	return l.role.input(l, p)
}

// turnRaw: it is not HTTP.
func (r *guessRole) turnRaw(l *link) {
	vh := r.site.first()
	if vh == nil || vh.rawFallback == nil {
		l.doom(ErrStopped) // the vhost that took them is gone
		return
	}
	l.own().setVHost(vh)
	l.disarm()
	l.role = newRaw(vh.rawFallback)
}

// eof: half a method is none.
func (r *guessRole) eof(l *link) {
	if len(l.tail()) == 0 {
		l.quit(l.peerGone())
		return
	}
	if r.turnRaw(l); !l.is(lfDoomed) {
		l.resumeInput()
	}
}

func (r *guessRole) expire(l *link) {
	l.doom(&LimitError{"HandshakeTimeout", l.own().limits().HandshakeTimeout})
}

type likeness uint8

const (
	mayBeHTTP likeness = iota
	isHTTP
	isRaw
)

// rawMethods are what a connection begins with that speaks HTTP, HTTP/2 included
// (RFC 9113 3.4).
var rawMethods = [...]string{"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE ", "PRI "}

// looksLike says what a connection is that begins with p.
func looksLike(p []byte) likeness {
	for _, m := range rawMethods {
		n := min(len(p), len(m))
		if !strings.HasPrefix(m, string(p[:n])) {
			continue
		}
		if n == len(m) {
			return isHTTP
		}
		return mayBeHTTP
	}
	return isRaw
}
