package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"anyloop/core"
)

// secureDial is a way to dial a server over TLS, and what comes of it.
type secureDial struct {
	name   string
	server *tls.Config // nil: it does not speak TLS
	tls    core.ClientTLS
	do     func(g *guest, c *served) // what the server does; nil: a handshake
	want   func(error) bool          // nil: it is connected
}

func as[E error](err error) bool { var e E; return errors.As(err, &e) }

func saying(text string) func(error) bool {
	return func(err error) bool { return err != nil && strings.Contains(err.Error(), text) }
}

// secureDials are the ways. Each of the server's certificates has one fault.
func (s *scene) secureDials(caFile, certFile, keyFile string) []secureDial {
	with := func(c tls.Certificate, edit ...func(*tls.Config)) *tls.Config {
		cfg := &tls.Config{Certificates: []tls.Certificate{c}}
		for _, e := range edit {
			e(cfg)
		}
		return cfg
	}
	began, letGo := make(chan struct{}), make(chan struct{})
	held := func(_ *core.Conn, ev core.TLSEvent) error { // a handshake that begins when its server has gone
		if ev.Kind == core.TLSStart {
			close(began)
			<-letGo
		}
		return nil
	}
	a, good := ours(), ours().leaf
	trust := &tls.Config{RootCAs: a.pool}
	expired := with(a.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "localhost"))
	elsewhere := with(a.issue(nil, "elsewhere"))
	stranger := with(newAuthority().issue(nil, "localhost"))
	self := with(selfSigned("localhost"))
	asks := with(good, func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, a.pool })
	newer := with(good, func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 })
	older := with(good, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	return []secureDial{
		{"a name that is right", with(good), core.ClientTLS{RootCAFile: caFile}, nil, nil},
		{"TLS 1.2", older, core.ClientTLS{Config: trust}, nil, nil},
		{"a certificate of ours", asks, core.ClientTLS{Config: trust, CertFile: certFile, KeyFile: keyFile}, nil, nil},
		{"another name, allowed", elsewhere, core.ClientTLS{Config: trust, SkipHostname: true}, nil, nil},
		{"expired, allowed", expired, core.ClientTLS{Config: trust, AllowExpired: true}, nil, nil},
		{"self-signed, allowed", self, core.ClientTLS{AllowSelfSigned: true}, nil, nil},
		{"anything", stranger, core.ClientTLS{Insecure: true}, nil, nil},

		{"another name", elsewhere, core.ClientTLS{Config: trust}, nil, as[x509.HostnameError]},
		{"expired", expired, core.ClientTLS{Config: trust}, nil, as[x509.CertificateInvalidError]},
		{"self-signed", self, core.ClientTLS{Config: trust}, nil, as[x509.UnknownAuthorityError]},
		{"an authority that is nobody", stranger, core.ClientTLS{RootCAFile: caFile}, nil, as[x509.UnknownAuthorityError]},
		{"no certificate of ours", asks, core.ClientTLS{Config: trust}, nil, saying("certificate required")},
		{"no version in common", newer, core.ClientTLS{Config: trust, MaxVersion: tls.VersionTLS12}, nil, saying("protocol version")},
		{"no TLS", nil, core.ClientTLS{Config: trust}, func(_ *guest, c *served) { io.WriteString(c, "HTTP/1.1 400 No\r\n\r\n") }, saying("tls")},
		{"a server that ends", nil, core.ClientTLS{Config: trust}, func(_ *guest, c *served) { s.no(c.closeWrite()) }, saying("closed the connection")},
		{"a server that resets", nil, core.ClientTLS{Config: trust}, func(_ *guest, c *served) { c.r.ReadByte(); reset(c) }, caused(syscall.ECONNRESET)},
		{"a server that resets at once", nil, core.ClientTLS{Config: trust, Info: held}, func(_ *guest, c *served) { s.wait(began, "the handshake begins"); reset(c); close(letGo) }, caused(syscall.ECONNRESET)},
		{"dropped", nil, core.ClientTLS{Config: trust}, func(g *guest, _ *served) { s.with(g.conn, func(c *core.Conn) { s.no(c.Drop()) }) }, caused(core.ErrDrop)},
	}
}

// tlsDial: clients of the loop check their servers' certificates, unless they are
// told not to, and are told of each way in which a handshake fails.
func tlsDial(s *scene) error {
	dir := s.t.TempDir()
	file := func(name string, b []byte) string {
		s.must(os.WriteFile(filepath.Join(dir, name), b, 0o600))
		return filepath.Join(dir, name)
	}
	ca, _ := pemOf(tls.Certificate{Certificate: [][]byte{ours().cert.Raw}, PrivateKey: ours().key})
	cert, key := pemOf(ours().issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "us"))
	if err := s.up(echoing(), core.Limits{AnswerTimeout: -1, FinTimeout: time.Hour}); err != nil {
		return err
	}
	for i, k := range s.secureDials(file("ca.pem", ca), file("cert.pem", cert), file("key.pem", key)) {
		s.securely(i%s.threads, k)
	}
	return s.afresh(func(s *scene) error {
		if err := s.up(echoing(), core.Limits{AnswerTimeout: 100 * time.Millisecond}); err != nil {
			return err
		}
		s.securely(s.threads-1, secureDial{"a server that is mute", nil, core.ClientTLS{}, func(*guest, *served) {}, limited("AnswerTimeout")})
		return nil
	})
}

func (s *scene) securely(thread int, k secureDial) {
	s.t.Helper()
	p := s.plainAs("tcp", "127.0.0.1:0", k.server)
	defer p.close()
	_, port, _ := net.SplitHostPort(p.ln.Addr().String())
	g := s.guest(thread, core.Dial{URL: "wss://localhost:" + port + "/", Addr: p.ln.Addr().String(), TLS: &k.tls})
	if k.want == nil {
		c := p.accept()
		s.is(g, k.name)
		s.says(g, c, "hello")
		s.goodbye(g, c, k.name, true)
		return
	}
	c := p.next()
	if k.do != nil {
		k.do(g, c)
	} else {
		c.next() // the handshake: it fails, or what follows it does
	}
	s.was(g, k.name, k.want)
	if err := c.rest(); k.do != nil && err != nil && !strings.Contains(err.Error(), "before its end") { // before it came the ClientHello
		s.t.Errorf("%s: %v", k.name, err)
	}
}
