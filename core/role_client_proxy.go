package core

import (
	"net/url"

	"anyloop/core/h1"
)

// askProxy begins to talk to the proxy.
func (r *clientRole) askProxy(l *link) {
	b := l.outbuf(600)
	out, err := r.appendProxyRequest(*b)
	if err != nil {
		r.fail(l, err)
		return
	}
	*b = out
	r.state = clSocks
	if r.proxy.Scheme == "http" {
		r.state = clTunnel
		r.parser = h1.ResponseParser{Method: h1.CONNECT}
	}
}

// appendProxyRequest writes what a proxy is told first; dst is returned as it was with an
// error.
func (r *clientRole) appendProxyRequest(dst []byte) ([]byte, error) {
	host := r.url.Hostname()
	port, _ := portOf(r.url, defaultPort(r.url))
	user, pass := credentials(r.proxy)
	if r.proxy.Scheme != "http" {
		if err := r.socks.Init(host, port, user, pass); err != nil {
			return dst, err
		}
		return r.socks.Append(dst), nil
	}
	to, err := h1.AppendAuthority(nil, host, port, 0)
	if err != nil {
		return dst, err
	}
	out, err := h1.AppendConnect(dst, string(to), user, pass)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func credentials(u *url.URL) (user, pass string) {
	if u.User != nil {
		pass, _ = u.User.Password()
		user = u.User.Username()
	}
	return user, pass
}
