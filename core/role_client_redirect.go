package core

import (
	"bytes"
	"fmt"
	"strings"
)

// notUpgraded: the server answered, but not with 101.
func (r *clientRole) notUpgraded(l *link, status int) {
	location := r.res.Header("location")
	reason := string(bytes.Clone(r.res.head.Reason()))
	switch status {
	case 301, 302, 303, 307, 308:
		r.redirect(l, status, location)
		return
	}
	r.refused(l, status, r.declined(status, reason))
}

// redirect goes where the server sends us, if we may.
func (r *clientRole) redirect(l *link, status int, location string) {
	if r.hops >= r.d.Redirects {
		r.refused(l, status, fmt.Errorf("the server answered %d, a redirect to %.128q; Dial.Redirects is %d", status, location, r.d.Redirects))
		return
	}
	to, err := r.url.Parse(location)
	if location == "" || err != nil {
		r.refused(l, status, fmt.Errorf("the server answered %d, a redirect to %.128q, which is no URL", status, location))
		return
	}
	if to, err = dialURL(to.String()); err != nil {
		r.refused(l, status, fmt.Errorf("the server answered %d, a redirect to %.128q: %w", status, location, err))
		return
	}
	if overTLS(r.url) && !overTLS(to) {
		r.refused(l, status, fmt.Errorf("the server answered %d, a redirect to %.128q, which would give up TLS", status, location))
		return
	}
	if !strings.EqualFold(to.Host, r.url.Host) {
		r.d.Header = withoutSecrets(r.d.Header)
		r.d.Addr, r.d.Host = "", "" // of the first host
	} else if to.User == nil {
		to.User = r.url.User
	}
	r.url = to
	r.hops++
	r.letGo(l)
	r.arm(l)
	r.start(l)
}

// withoutSecrets leaves out what only the first host is to know.
func withoutSecrets(h Header) (kept Header) {
	for _, f := range h {
		switch f.Name {
		case "authorization", "cookie", "proxy-authorization":
		default:
			kept = append(kept, f)
		}
	}
	return kept
}

// letGo closes the socket; the link lives on without one.
func (r *clientRole) letGo(l *link) {
	r.freeResponse(l)
	r.unreserve(l.own().vh())
	if l.is(lfTLS) {
		l.tls().end(l)
	}
	l.unwatch() // and notes that it is adrift
	if err := l.wireClose(); err != nil {
		l.th.eng.log.Debug("close", "fd", l.fd, "err", err)
	}
	l.fd = -1
	l.flags |= lfKeepFD | lfNoRead // there is nothing to read from
	l.flags &^= lfEOF | lfTxDead | lfHangup | lfAgain
	l.th.cork = l.th.cork[:0]
	l.empty()
}
