package core

// answerPlain answers a request that came without TLS where TLS is spoken, and
// reports whether it has.
func (r *h1Role) answerPlain(l *link) bool {
	req := r.req
	r.keep = false
	host := string(req.head.Host())
	if r.plain != PlainRedirect || host == "" {
		r.respondError(l, 400, "This port speaks TLS: use https.")
		return true
	}
	w := &req.w
	r.drop = true
	w.live = true
	w.Redirect(301, "https://"+host+string(req.head.Target()))
	w.live = false
	r.failClose(l)
	return true
}

// misdirected reports whether a request is for a vhost that this connection must
// not reach: one that is strict about its names, or one that asks for certificates
// which this connection was not asked for (RFC 9110 15.5.20).
func (r *h1Role) misdirected(l *link, vh *VirtualHost) bool {
	if vh.cfg.StrictHost && !r.site.named(vh, string(r.req.head.Host())) {
		return true
	}
	if !l.is(lfTLS) { // the first vhost's PlainServe is not the word of one that asks
		return r.site.tls && r.plain == PlainServe && vh.tls.asksClients() && vh.tls.opt.Plain != PlainServe
	}
	shown := l.tls().vh
	return shown != vh && (vh.cfg.StrictHost || vh.tls.asksClients())
}

// appendHSTS writes strict-transport-security, unless the handler did.
func (l *link) appendHSTS(dst []byte, h Header) []byte {
	vh := l.own().vh()
	if vh.tls == nil || vh.tls.hsts == nil || !l.is(lfTLS) || h.has("strict-transport-security") {
		return dst
	}
	dst = append(dst, "strict-transport-security: "...)
	dst = append(dst, vh.tls.hsts...)
	return append(dst, '\r', '\n')
}
