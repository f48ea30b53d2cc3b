package core

// toVHost goes to the vhost that the request names; false if that is not to be had
// on this connection.
func (r *h1Role) toVHost(l *link) bool {
	c := l.own()
	vh := r.site.match(string(r.req.head.Host()))
	switch {
	case vh == nil:
	case r.misdirected(l, vh):
		return false
	case vh != c.vh():
		r.unroute(l) // its handler is the other vhost's
		c.setVHost(vh)
	}
	return true
}

// route sees that r.h is the handler for mount m: the old one if successive
// requests hit the same mount, else a new one.
func (r *h1Role) route(l *link, m *mounted) bool {
	c := l.own()
	var b *binding
	switch {
	case m != nil && m.HTTP != nil:
	case m != nil:
		b = m.bind
	case len(c.vh().bindings) > 0 && c.vh().bindings[0].proto.HTTP != nil:
		b = c.vh().bindings[0]
	default:
		r.unroute(l)
		return false
	}
	if b != nil && !b.inited {
		r.unroute(l)
		return false
	}
	if r.h != nil && r.mount == m && r.bind == b && (b == nil || c.bound() == b) {
		return true
	}
	r.unroute(l)
	r.mount, r.bind = m, b
	if b != nil {
		c.bind(b)
	}
	c.calling("HTTP")
	if b != nil {
		r.h = b.proto.HTTP(c)
	} else {
		r.h = m.HTTP(c)
	}
	c.called()
	if r.h == nil {
		return false
	}
	c.introduce(r.h)
	c.flags |= cfOpened
	return true
}

// unroute lets the handler go.
func (r *h1Role) unroute(l *link) {
	if r.h == nil {
		return
	}
	c := l.own()
	c.flags &^= cfAsked | cfUnchoke | cfOpened
	c.closed(c.cause())
	r.h, r.mount, r.bind = nil, nil, nil
	c.unbind()
	c.stopTimer()
}
