package core

import (
	"crypto/tls"
	"errors"
	"strings"

	"anyloop/core/tlsio"
)

var (
	errMixedTLS = errors.New("the vhosts of one address speak TLS all or none")
	errPlain    = &TransportError{Op: "tls", Err: errors.New("the peer does not speak TLS")}
)

// speak settles with the first vhost of the site whether TLS is spoken on it.
func (s *site) speak(vh *VirtualHost) error {
	switch {
	case s.first() != nil && s.tls != (vh.tls != nil):
		return errMixedTLS
	case vh.tls != nil && s.base == nil:
		s.tls, s.base = true, &tls.Config{GetConfigForClient: s.configFor}
	}
	return nil
}

// configFor is asked by the handshake, once it knows the name that the client
// wants (RFC 6066 3).
func (s *site) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	l := tlsio.From(hello.Context()).Owner().(*link)
	vh := s.match(hello.ServerName)
	if vh == nil {
		return nil, ErrStopped
	}
	l.own().setVHost(vh)
	t := l.tls()
	t.vh, t.info = vh, vh.tls.opt.Info
	return vh.tls.forConn(l, hello)
}

// named reports whether a Host value is one of vh's names, instead of coming to it
// because it is nobody's.
func (s *site) named(vh *VirtualHost, host string) bool {
	n, name := s.names.Load(), hostName(host)
	if found := n.exact[name]; found != nil {
		return found == vh
	}
	for _, sf := range n.suffix {
		if strings.HasSuffix(name, sf.dotted) {
			return sf.vh == vh
		}
	}
	return false
}

// asksClients reports whether connections of this vhost may have had to show a
// certificate, or to please a callback that decides about connections.
func (v *vhostTLS) asksClients() bool {
	c := v.live.Load()
	return v.opt.VerifyClient != nil || c.ClientAuth != tls.NoClientCert || c.VerifyConnection != nil ||
		c.VerifyPeerCertificate != nil || c.GetConfigForClient != nil
}
