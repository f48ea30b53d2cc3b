package core

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"reflect"

	"anyloop/core/tlsio"
)

// covers reports whether o lets this key sign on a worker.
func (o OffLoop) covers(key crypto.PrivateKey) bool {
	if key == nil || o == OffLoopNone {
		return false
	}
	switch key.(type) {
	case *ecdsa.PrivateKey, ed25519.PrivateKey:
		return o == OffLoopAll
	}
	return true
}

// wrap returns cert with a key that signs on a worker, if o says so and the
// handshake of ctx can wait for it.
func (o OffLoop) wrap(ctx context.Context, cert *tls.Certificate) *tls.Certificate {
	if s := tlsio.From(ctx); s != nil && o.covers(cert.PrivateKey) {
		return s.OffLoop(cert)
	}
	return cert
}

// chooseServer moves c's choice of a certificate to GetCertificate, which alone
// knows the connection. It chooses as crypto/tls does, which must find no
// Certificates: with some, it does not always ask GetCertificate.
func (o OffLoop) chooseServer(c *tls.Config) {
	certs, user := c.Certificates, c.GetCertificate
	c.Certificates = nil
	c.GetCertificate = func(chi *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if user != nil && (len(certs) == 0 || chi.ServerName != "") {
			cert, err := user(chi)
			if err != nil {
				return nil, err
			}
			if cert != nil {
				return o.wrap(chi.Context(), cert), nil
			}
		}
		if len(certs) == 0 {
			return nil, nil // crypto/tls sends the alert unrecognized_name
		}
		best := &certs[0]
		for i := range certs {
			if len(certs) > 1 && chi.SupportsCertificate(&certs[i]) == nil {
				best = &certs[i]
				break
			}
		}
		return o.wrap(chi.Context(), best), nil
	}
}

// chooseClient is chooseServer for what a client shows of itself.
func (o OffLoop) chooseClient(c *tls.Config) {
	certs, user := c.Certificates, c.GetClientCertificate
	if user == nil && len(certs) == 0 {
		return
	}
	c.GetClientCertificate = func(cri *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if user != nil {
			cert, err := user(cri)
			if cert == nil || err != nil {
				return cert, err
			}
			return o.wrap(cri.Context(), cert), nil
		}
		for i := range certs {
			if cri.SupportsCertificate(&certs[i]) == nil {
				return o.wrap(cri.Context(), &certs[i]), nil
			}
		}
		return new(tls.Certificate), nil // we have none
	}
}

// ticketKeeper returns the Config whose EncryptTicket and DecryptTicket make and
// open a vhost's session tickets: it has the keys that were given, in TicketKeys
// or in base. Without any, have goes on, or else one begins whose keys are its own and
// change daily.
func ticketKeeper(keys [][32]byte, base, have *tls.Config) *tls.Config {
	if len(keys) == 0 && ownTicketKeys(base) {
		k := base.Clone()
		k.SessionTicketsDisabled = false
		return k
	}
	if have != nil {
		return have
	}
	// Not a clone: it would share the automatic keys of a Config that has
	// been used before, and so would the next vhost with that Config.
	k := &tls.Config{Rand: base.Rand, Time: base.Time}
	if len(keys) > 0 {
		k.SetSessionTicketKeys(keys)
	}
	return k
}

// ownTicketKeys reports whether SetSessionTicketKeys was called on c, which no
// one else uses. Only the length of an unexported field tells; a test holds
// that it does.
func ownTicketKeys(c *tls.Config) bool {
	f := reflect.ValueOf(c).Elem().FieldByName("sessionTicketKeys")
	return f.Kind() == reflect.Slice && f.Len() > 0
}
