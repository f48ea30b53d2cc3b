package core

import (
	"net/url"

	"anyloop/core/h1"
)

func (r *clientRole) askSocks(l *link) {
	port, _ := portOf(r.url, defaultPort(r.url))
	user, pass := credentials(r.proxy)
	if err := r.socks.Init(r.url.Hostname(), port, user, pass); err != nil {
		r.fail(l, err)
		return
	}
	r.state = clSocks
	b := l.outbuf(600)
	*b = r.socks.Append(*b)
}

func (r *clientRole) askTunnel(l *link) {
	port, _ := portOf(r.url, defaultPort(r.url))
	user, pass := credentials(r.proxy)
	to, err := h1.AppendAuthority(nil, r.url.Hostname(), port, 0)
	if err == nil {
		b := l.outbuf(600)
		*b, err = h1.AppendConnect(*b, string(to), user, pass)
	}
	if err != nil {
		r.fail(l, err)
		return
	}
	r.state = clTunnel
	r.parser = h1.ResponseParser{Method: h1.CONNECT}
}

func credentials(u *url.URL) (user, pass string) {
	if u.User != nil {
		pass, _ = u.User.Password()
		user = u.User.Username()
	}
	return user, pass
}
