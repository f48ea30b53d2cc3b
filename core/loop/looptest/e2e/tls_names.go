package e2e

import (
	"crypto/tls"
	"io"
	"os"
	"path/filepath"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// naming answers requests with a name.
func naming(name string) core.VHost {
	return core.VHost{Name: name, Protocols: []core.Protocol{{Name: "h",
		HTTP: core.HTTPFunc(func(_ *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
			return w.Respond(200, nil, []byte(name))
		})}}}
}

// tlsNames: two vhosts on one port have a certificate each; the name that a client
// asks TLS for picks it, and Host the vhost that serves.
func tlsNames(s *scene) error {
	addr, err := client.FreePort() // vhosts share a port by its number
	s.must(err)
	s.host.Listen = addr
	second := naming("second")
	second.Addr = s.host.Listen
	second.TLS = &core.TLS{Config: &tls.Config{Certificates: []tls.Certificate{ours().issue(nil, "second")}}}
	s.beside = []core.VHost{second}
	if err := s.up(naming("test"), core.Limits{}); err != nil {
		return err
	}
	for range 2 * s.threads {
		for _, k := range []struct{ asks, shown, host, served string }{
			{"test", "test", "test", "test"},
			{"second", "second", "second", "second"},
			{"SECOND", "second", "second:80", "second"},
			{"test", "test", "second", "second"},
			{"other", "test", "other", "test"},
			{"", "test", "", "test"},
		} {
			c := s.speaking(&tls.Config{ServerName: k.asks, InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.CurveP256}})
			_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+k.host+"\r\nConnection: close\r\n\r\n")
			s.must(err)
			s.body(c, "GET", 200, k.served)
			if shown := shownBy(c); shown != k.shown {
				s.t.Errorf("who asks for %q is shown the certificate of %q", k.asks, shown)
			}
			if rest, err := gone(c); rest != "" || err != nil {
				s.t.Errorf("%q, %v", rest, err)
			}
		}
	}
	return nil
}

// speaking connects a client that speaks TLS in its own way.
func (s *scene) speaking(cfg *tls.Config) *client.Conn {
	s.t.Helper()
	c, err := client.DialTLS(s.addr, s.host.Bound, cfg, client.AsMade)
	s.must(err)
	s.owns(c)
	return c
}

// shownBy is the name in the certificate that the server has shown.
func shownBy(c *client.Conn) string {
	return c.TLS().ConnectionState().PeerCertificates[0].Subject.CommonName
}

// tlsReload: a new certificate is shown to those who come later; who is there
// stays, and so does the certificate if the files are no good.
func tlsReload(s *scene) error {
	dir := s.t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write := func(cert, key []byte) {
		s.must(os.WriteFile(certFile, cert, 0o600))
		s.must(os.WriteFile(keyFile, key, 0o600))
	}
	write(pemOf(ours().issue(nil, "first", "test")))
	vh := echoing()
	vh.TLS = &core.TLS{CertFile: certFile, KeyFile: keyFile}
	if err := s.up(vh, core.Limits{}); err != nil {
		return err
	}
	var all []*client.Conn
	shows := func(want string) {
		s.t.Helper()
		for range 2 * s.threads {
			c := s.ws()
			if shown := shownBy(c); shown != want {
				s.t.Errorf("the certificate of %q is shown, not that of %q", shown, want)
			}
			all = append(all, c)
		}
		for _, c := range all {
			s.must(c.Echo(ws.Text, []byte("still here")))
		}
	}
	shows("first")
	write(pemOf(ours().issue(nil, "later", "test")))
	s.no(s.eng.VHost("test").ReloadTLS())
	shows("later")
	write([]byte("no certificate"), []byte("no key"))
	if err := s.eng.VHost("test").ReloadTLS(); err == nil {
		s.t.Errorf("files without a certificate are taken")
	}
	shows("later")
	s.must(os.Remove(certFile))
	if err := s.eng.VHost("test").ReloadTLS(); err == nil {
		s.t.Errorf("a file that is not there is taken")
	}
	shows("later")
	return nil
}
