package tlsio

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
)

// TestResumption: tickets arrive after the handshake in TLS 1.3, split at every
// byte, and are good for a second one.
func TestResumption(t *testing.T) {
	each(t, func(t *testing.T, u suite, m mode) {
		sc, cc := u.configs()
		cc.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for i, cut := range []chop{single, whole, single} {
			server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
			exchange(server, client, whole, cut)
			server.must(t)
			client.must(t)
			for _, e := range []*side{server, client} {
				if got := e.s.State().DidResume; got != (i > 0) || e.s.Resumed() != got {
					t.Errorf("connection %d: resumed %v", i, got)
				}
			}
			client.write([]byte("ping"))
			exchange(server, client, single, single)
			if string(server.got) != "ping" {
				t.Errorf("got %q", server.got)
			}
		}
	})
}

func TestALPN(t *testing.T) {
	each(t, func(t *testing.T, u suite, m mode) {
		sc, cc := u.configs()
		sc.NextProtos, cc.NextProtos = []string{"h2", "http/1.1"}, []string{"http/1.1"}
		server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
		exchange(server, client, whole, whole)
		server.must(t)
		client.must(t)
		if a, b := server.s.State().NegotiatedProtocol, client.s.State().NegotiatedProtocol; a != "http/1.1" || b != a {
			t.Errorf("chose %q, %q", a, b)
		}
		cc.NextProtos = []string{"spdy"}
		server, client = newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
		exchange(server, client, single, single)
		wantAlert(t, server.err, 120, true)
		wantAlert(t, client.err, 120, false)
	})
}

// What either side says when it refuses the other, and what the other hears.
func TestAlerts(t *testing.T) {
	for _, c := range []struct {
		name             string
		change           func(u suite, sc, cc *tls.Config)
		code13, code12   uint8
		sentByServer     bool
		clientOpensFirst bool // TLS 1.3: the client is complete before it hears of it
	}{
		{"client distrusts us", func(_ suite, sc, cc *tls.Config) { cc.RootCAs = x509.NewCertPool() }, 42, 42, false, false},
		{"no client certificate", func(_ suite, sc, cc *tls.Config) { sc.ClientAuth = tls.RequireAndVerifyClientCert }, 116, 40, true, true},
		{"unknown client", func(_ suite, sc, cc *tls.Config) {
			sc.ClientAuth = tls.RequireAndVerifyClientCert
			cc.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs().stranger, nil }
		}, 48, 48, true, true},
		{"our last word", func(_ suite, sc, cc *tls.Config) {
			sc.VerifyConnection = func(tls.ConnectionState) error { return errors.New("not you") }
		}, 42, 42, true, true},
		{"no common version", func(u suite, sc, cc *tls.Config) {
			v := uint16(tls.VersionTLS12 + tls.VersionTLS13 - int(u.version))
			cc.MinVersion, cc.MaxVersion, cc.CipherSuites = v, v, nil
		}, 70, 70, true, false},
		{"no certificate", func(_ suite, sc, cc *tls.Config) {
			sc.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("gone") }
		}, 80, 80, true, false},
	} {
		for _, u := range []suite{suites()[0], suites()[2]} {
			for _, m := range modes {
				t.Run(c.name+"/"+u.name+"/"+m.String(), func(t *testing.T) {
					sc, cc := u.configs()
					c.change(u, sc, cc)
					server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
					exchange(server, client, single, single)
					code := c.code13
					if u.version == tls.VersionTLS12 {
						code = c.code12
					}
					wantAlert(t, server.err, code, c.sentByServer)
					wantAlert(t, client.err, code, !c.sentByServer)
					if client.done != (c.clientOpensFirst && u.version == tls.VersionTLS13) || server.done {
						t.Errorf("complete: client %v, server %v", client.done, server.done)
					}
				})
			}
		}
	}
}

func TestAlertText(t *testing.T) {
	cause := errors.New("x509: no")
	for _, c := range []struct {
		a    Alert
		want string
	}{
		{Alert{Code: 48, Sent: true}, "tls: sent alert 48 (unknown certificate authority)"},
		{Alert{Code: 40}, "tls: received alert 40 (handshake failure)"},
		{Alert{Code: 42, Sent: true, Err: cause}, "tls: sent alert 42 (bad certificate): x509: no"},
		{Alert{Code: 77}, "tls: received alert 77 (alert(77))"},
	} {
		if got := c.a.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if !errors.Is(&Alert{Err: cause}, cause) {
		t.Error("the cause is lost")
	}
}

// After close_notify nothing is written; and the other half stays open.
func TestCloseNotify(t *testing.T) {
	each(t, func(t *testing.T, u suite, m mode) {
		server, client := pair(t, u, m)
		if out := client.s.CloseNotify(nil); len(out) > 0 {
			t.Error("close_notify before the handshake")
		}
		if _, err := client.s.Write(nil, []byte("x")); err != ErrNotComplete {
			t.Errorf("Write before the handshake: %v", err)
		}
		if _, _, err := client.s.Read(nil, client.p); err != ErrNotComplete {
			t.Errorf("Read before the handshake: %v", err)
		}
		exchange(server, client, whole, whole)
		client.out = client.s.CloseNotify(client.out)
		if len(client.out) == 0 || len(client.s.CloseNotify(nil)) > 0 {
			t.Error("close_notify is said once")
		}
		if out, err := client.s.Write(nil, []byte("x")); err != ErrClosed || len(out) > 0 {
			t.Errorf("Write after close_notify: %v", err)
		}
		server.write([]byte("not yet"))
		exchange(server, client, single, single)
		if string(client.got) != "not yet" || client.err != nil || server.err == nil {
			t.Errorf("half-closed: got %q, %v; the server heard %v", client.got, client.err, server.err)
		}
		server.out = server.s.CloseNotify(server.out)
		exchange(server, client, single, single)
		if _, n, err := client.s.Read(nil, client.p); n != 0 || err != client.err || err == nil {
			t.Errorf("Read after the end: %d, %v", n, err)
		}
		client.s.Feed([]byte("more"))
		if client.s.Buffered() != 0 || client.s.Ready() {
			t.Error("fed after the end")
		}
	})
}

// After a fatal alert close_notify is not sent.
func TestNoCloseNotifyAfterAlert(t *testing.T) {
	for _, m := range modes {
		server, client := open(t, suites()[0], m)
		client.write([]byte("x"))
		client.out[7] ^= 1
		exchange(server, client, whole, whole)
		wantAlert(t, server.err, 20, true)
		wantAlert(t, client.err, 20, false)
		if len(server.s.CloseNotify(nil))+len(client.s.CloseNotify(nil)) > 0 {
			t.Error("close_notify after a fatal alert")
		}
		_, err := server.s.Write(nil, []byte("x"))
		wantAlert(t, err, 20, true)
	}
}
