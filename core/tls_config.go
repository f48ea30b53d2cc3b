package core

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// errNotTLS is for those who want something of a vhost's TLS that has none.
var errNotTLS = errors.New("core: this vhost does not speak TLS")

// vhostTLS is what a vhost has of TLS while it lives.
type vhostTLS struct {
	vh   *VirtualHost
	opt  TLS
	live atomic.Pointer[tls.Config] // what handshakes use; never nil, but without a certificate while that is missing
	hsts []byte                     // the value of the field; nil: none

	mu     sync.Mutex  // one reload at a time
	keeper *tls.Config // of session tickets; outlives live
}

// newVHostTLS checks t and loads what it names.
func newVHostTLS(vh *VirtualHost, t *TLS) (*vhostTLS, error) {
	v := &vhostTLS{vh: vh, opt: *t}
	err := error(nil)
	if v.hsts, err = hstsValue(t.HSTS); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	if err := v.load(t.IgnoreMissing); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return v, nil
}

// ReloadTLS reads the vhost's certificate and authorities anew: files, or Load.
// Handshakes that begin later use them; connections and session tickets stay
// good. On an error, as for a file that is missing, the old ones stay in use. It
// waits for the disk, or for Load. Any goroutine, but not from Load.
func (vh *VirtualHost) ReloadTLS() error {
	if vh.tls == nil {
		return errNotTLS
	}
	if err := vh.tls.load(false); err != nil {
		return fmt.Errorf("core: vhost %q: TLS: %w", vh.name, err)
	}
	return nil
}

// load makes live. With ignore, a certificate whose file does not exist leaves
// it without one.
func (v *vhostTLS) load(ignore bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	c, err := v.source()
	missing := ignore && v.opt.CertFile != "" && errors.Is(err, fs.ErrNotExist)
	if missing {
		v.vh.log.Warn("no certificate yet; handshakes fail until ReloadTLS finds one", "err", err)
		c, err = new(tls.Config), nil
	}
	if err != nil {
		return err
	}
	s, err := v.settings(c)
	if err != nil {
		return err
	}
	if err := s.apply(c); err != nil {
		return err
	}
	if missing {
		c.SessionTicketsDisabled = true // a ticket would do without a certificate
	}
	v.keeper = s.keeper
	v.live.Store(c)
	return nil
}

// source returns a Config of our own with the certificates.
func (v *vhostTLS) source() (*tls.Config, error) {
	o := &v.opt
	n := 0
	for _, given := range []bool{o.CertFile != "" || o.KeyFile != "", len(o.Cert) > 0 || len(o.Key) > 0, o.Config != nil, o.Load != nil} {
		if given {
			n++
		}
	}
	switch {
	case n != 1:
		return nil, fmt.Errorf("exactly one of CertFile, Cert, Config and Load names the certificate; there are %d", n)
	case o.CertFile == "" && o.KeyFile != "":
		return nil, errors.New("there is a KeyFile without a CertFile")
	case len(o.Cert) == 0 && len(o.Key) > 0:
		return nil, errors.New("there is a Key without a Cert")
	case o.CertFile != "":
		return single(loadFiles(o.CertFile, o.KeyFile))
	case len(o.Cert) > 0:
		return single(loadBytes(o.Cert, o.Key))
	}
	c := o.Config
	if o.Load != nil {
		err := v.vh.guarded("Load", func() (err error) { c, err = o.Load(v.vh); return err })
		if err != nil {
			return nil, fmt.Errorf("from Load: %w", err)
		}
	}
	if c == nil || len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
		return nil, errors.New("the Config has no certificate")
	}
	return c.Clone(), nil
}

func single(cert tls.Certificate, err error) (*tls.Config, error) {
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}, nil
}

// serverSettings are a vhost's options, read once, to be put on Configs.
type serverSettings struct {
	tlsRules
	auth     tls.ClientAuthType
	cas      *x509.CertPool
	noResume bool
	offLoop  OffLoop
	keeper   *tls.Config
}

// settings reads the options. base is what they will be put on; the certificates
// that it has are looked at.
func (v *vhostTLS) settings(base *tls.Config) (s *serverSettings, err error) {
	o := &v.opt
	s = &serverSettings{auth: o.ClientAuth, cas: o.ClientCAs, noResume: o.NoResumption, offLoop: o.OffLoop}
	if s.tlsRules, err = newTLSRules(o.MinVersion, o.MaxVersion, o.Ciphers, o.Curves, o.ALPN); err != nil {
		return nil, err
	}
	if o.ClientCAFile != "" {
		if s.cas, err = loadPool(o.ClientCAFile, o.ClientCAs); err != nil {
			return nil, fmt.Errorf("ClientCAFile: %w", err)
		}
	}
	if base.Certificates, err = withLeaves(base.Certificates); err != nil {
		return nil, err
	}
	for _, c := range base.Certificates {
		warnDates(v.vh.log, c.Leaf, v.vh.eng.clock())
	}
	s.keeper = ticketKeeper(o.TicketKeys, base, v.keeper)
	return s, nil
}

// apply puts the settings on top of c, which is ours.
func (s *serverSettings) apply(c *tls.Config) error {
	if err := s.tlsRules.apply(c); err != nil {
		return err
	}
	if err := s.applyClientAuth(c); err != nil {
		return err
	}
	if s.noResume {
		c.SessionTicketsDisabled = true
	}
	if c.WrapSession == nil {
		c.WrapSession = s.keeper.EncryptTicket
	}
	if c.UnwrapSession == nil {
		c.UnwrapSession = s.keeper.DecryptTicket
	}
	s.offLoop.chooseServer(c)
	if c.GetConfigForClient != nil {
		c.GetConfigForClient = s.another(c.GetConfigForClient)
	}
	return nil
}

func (s *serverSettings) applyClientAuth(c *tls.Config) error {
	if s.auth != tls.NoClientCert {
		c.ClientAuth = s.auth
	}
	if s.cas != nil {
		c.ClientCAs = s.cas
	}
	switch {
	case c.ClientAuth < tls.NoClientCert || c.ClientAuth > tls.RequireAndVerifyClientCert:
		return fmt.Errorf("ClientAuth %d is unknown", c.ClientAuth)
	case c.ClientAuth >= tls.VerifyClientCertIfGiven && c.ClientCAs == nil:
		// crypto/tls would trust all the authorities of the system.
		return fmt.Errorf("ClientAuth %v needs ClientCAs or ClientCAFile", c.ClientAuth)
	case s.cas != nil && c.ClientAuth == tls.NoClientCert:
		return errors.New("ClientCAs without ClientAuth: no certificate is asked for")
	}
	return nil
}

// another wraps a user's GetConfigForClient: the settings are put on what it
// returns, anew for each handshake.
func (s *serverSettings) another(user func(*tls.ClientHelloInfo) (*tls.Config, error)) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(chi *tls.ClientHelloInfo) (*tls.Config, error) {
		given, err := user(chi)
		if given == nil || err != nil {
			return nil, err
		}
		c := given.Clone()
		return c, s.apply(c)
	}
}

// forConn returns the Config for the handshake of l that chi begins: live, unless
// a user's GetConfigForClient has another or VerifyClient wants to know the conn.
func (v *vhostTLS) forConn(l *link, chi *tls.ClientHelloInfo) (*tls.Config, error) {
	c := v.live.Load()
	if c.GetConfigForClient != nil {
		own, err := c.GetConfigForClient(chi)
		if err != nil {
			return nil, err
		}
		if own != nil {
			c = own
		}
	}
	if v.opt.VerifyClient == nil {
		return c, nil
	}
	c = c.Clone()
	user := c.VerifyConnection
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if user != nil {
			if err := user(state); err != nil {
				return err
			}
		}
		return v.opt.VerifyClient(l.own(), &state)
	}
	return c, nil
}

// hstsValue returns the value of strict-transport-security (RFC 6797 6.1).
func hstsValue(d time.Duration) ([]byte, error) {
	switch {
	case d == 0:
		return nil, nil
	case d < time.Second:
		return nil, fmt.Errorf("HSTS %v: it is 0, or at least a second", d)
	}
	return strconv.AppendInt([]byte("max-age="), int64(d/time.Second), 10), nil
}
