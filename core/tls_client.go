package core

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// clientSessions is how many servers a client keeps a session of.
const clientSessions = 64

// dialTLS is a ClientTLS that has been read: what is alike for all servers.
type dialTLS struct {
	opt  ClientTLS
	base *tls.Config
}

// prepare reads t, its files included; nil is the zero value. It costs
// milliseconds, where forHost costs a microsecond, and what it returns keeps the
// sessions for later handshakes.
func (t *ClientTLS) prepare() (*dialTLS, error) {
	if t == nil {
		t = &ClientTLS{}
	}
	d := &dialTLS{opt: *t, base: new(tls.Config)}
	if t.Config != nil {
		d.base = t.Config.Clone()
	}
	if err := d.load(); err != nil {
		return nil, fmt.Errorf("ClientTLS: %w", err)
	}
	return d, nil
}

func (d *dialTLS) load() error {
	t, c := &d.opt, d.base
	rules, err := newTLSRules(t.MinVersion, t.MaxVersion, t.Ciphers, t.Curves, t.ALPN)
	if err != nil {
		return err
	}
	if err := rules.apply(c); err != nil {
		return err
	}
	if t.RootCAFile != "" {
		if c.RootCAs, err = loadPool(t.RootCAFile, nil); err != nil {
			return fmt.Errorf("RootCAFile: %w", err)
		}
	}
	switch {
	case t.CertFile != "":
		cert, err := loadFiles(t.CertFile, t.KeyFile)
		if err != nil {
			return err
		}
		c.Certificates, c.GetClientCertificate = []tls.Certificate{cert}, nil
	case t.KeyFile != "":
		return errors.New("there is a KeyFile without a CertFile")
	default:
		if c.Certificates, err = withLeaves(c.Certificates); err != nil {
			return err
		}
	}
	t.OffLoop.chooseClient(c)
	switch {
	case t.NoResumption:
		c.ClientSessionCache = nil
	case c.ClientSessionCache == nil:
		c.ClientSessionCache = tls.NewLRUClientSessionCache(clientSessions)
	}
	return nil
}

// forHost returns the Config for a handshake with host: a name or an IP address.
func (d *dialTLS) forHost(host string) *tls.Config {
	c := d.base.Clone()
	if c.ServerName == "" {
		c.ServerName = serverName(host)
	}
	t := &d.opt
	switch {
	case c.InsecureSkipVerify:
	case t.Insecure:
		c.InsecureSkipVerify = true
	case c.ServerName == "" && !t.SkipHostname: // crypto/tls refuses
	case t.AllowSelfSigned || t.SkipHostname || t.AllowExpired:
		check := serverCheck{roots: c.RootCAs, name: c.ServerName, now: c.Time,
			selfSigned: t.AllowSelfSigned, anyTime: t.AllowExpired}
		if t.SkipHostname {
			check.name = ""
		}
		c.InsecureSkipVerify = true
		c.VerifyConnection = check.then(c.VerifyConnection)
	}
	return c
}

// serverName is host as certificates have it: without final dot, brackets and
// zone.
func serverName(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	if strings.Contains(host, ":") {
		host, _, _ = strings.Cut(host, "%")
	}
	return strings.TrimSuffix(host, ".")
}

// then returns a VerifyConnection that makes the check and then asks user, as
// crypto/tls does with its own.
func (k serverCheck) then(user func(tls.ConnectionState) error) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		chains, err := k.chains(state.PeerCertificates)
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		if user == nil {
			return nil
		}
		state.VerifiedChains = chains
		return user(state)
	}
}
