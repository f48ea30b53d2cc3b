package core

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestServerSources: a certificate from each of the four places serves, and Config is
// not changed.
func TestServerSources(t *testing.T) {
	ca := newTestCA(t)
	cert, certPEM, keyPEM := ca.leaf(t, "a.test")
	bare := tls.Certificate{Certificate: cert.Certificate, PrivateKey: cert.PrivateKey}
	config := &tls.Config{Certificates: []tls.Certificate{bare}, NextProtos: []string{"h2", "http/1.1"}}
	get := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }}
	for name, o := range map[string]TLS{
		"files":  {CertFile: inFile(t, "c", certPEM), KeyFile: inFile(t, "k", keyPEM)},
		"bytes":  {Cert: certPEM, Key: keyPEM},
		"Config": {Config: config},
		"get":    {Config: get},
		"Load":   {Load: func(*VirtualHost) (*tls.Config, error) { return config, nil }},
	} {
		srv, cli := serving(t, o).with(trusting(ca))
		if talks(t, srv, cli); cli.state.PeerCertificates[0].Equal(cert.Leaf) == false || srv.state.NegotiatedProtocol != "" {
			t.Errorf("%s: %v", name, cli.state)
		}
	}
	if config.Certificates[0].Leaf != nil || config.MinVersion != 0 || config.GetCertificate != nil || config.NextProtos[0] != "h2" {
		t.Error("the user's Config has been changed")
	}
}

// TestServerOptionErrors: what newVHostTLS refuses, and why.
func TestServerOptionErrors(t *testing.T) {
	ca := newTestCA(t)
	cert, certPEM, keyPEM := ca.leaf(t, "a.test")
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	load := func(c *tls.Config, err error) func(*VirtualHost) (*tls.Config, error) {
		return func(*VirtualHost) (*tls.Config, error) { return c, err }
	}
	for _, test := range []struct {
		o    TLS
		want string
	}{
		{TLS{}, "exactly one of CertFile, Cert, Config and Load names the certificate; there are 0"},
		{TLS{Config: config, Cert: certPEM}, "there are 2"},
		{TLS{Config: config, KeyFile: "k"}, "there are 2"},
		{TLS{KeyFile: "k"}, "KeyFile without a CertFile"},
		{TLS{Key: keyPEM}, "Key without a Cert"},
		{TLS{CertFile: "/does/not/exist"}, "no such file"},
		{TLS{IgnoreMissing: true, CertFile: inFile(t, "c", keyPEM)}, "failed to find certificate"},
		{TLS{Load: load(nil, errors.New("not today"))}, "from Load: not today"},
		{TLS{Load: load(nil, nil)}, "the Config has no certificate"},
		{TLS{IgnoreMissing: true, Load: load(nil, os.ErrNotExist)}, "file does not exist"},
		{TLS{Load: func(*VirtualHost) (*tls.Config, error) { panic("oops") }}, "panic in Load: oops"},
		{TLS{Config: &tls.Config{}}, "the Config has no certificate"},
		{TLS{Config: &tls.Config{Certificates: []tls.Certificate{{}}}}, "a certificate of Config is empty"},
		{TLS{Config: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{{1}}}}}}, "x509"},
		{TLS{Config: config, MinVersion: tls.VersionTLS11}, "only TLS 1.2 and 1.3"},
		{TLS{Config: config, Ciphers: []string{"x"}}, `unknown cipher "x"`},
		{TLS{Config: config, Curves: []string{"x"}}, `unknown curve "x"`},
		{TLS{Config: config, ALPN: []string{"h2"}}, "HTTP/2 is not built in"},
		{TLS{Config: config, ClientAuth: tls.RequireAndVerifyClientCert}, "needs ClientCAs"},
		{TLS{Config: config, ClientAuth: tls.VerifyClientCertIfGiven}, "needs ClientCAs"},
		{TLS{Config: config, ClientAuth: 99}, "ClientAuth 99"},
		{TLS{Config: config, ClientCAs: ca.pool()}, "ClientCAs without ClientAuth"},
		{TLS{Config: config, ClientCAFile: "/does/not/exist", ClientAuth: tls.RequestClientCert}, "ClientCAFile: open"},
		{TLS{CertFile: inFile(t, "both", append(certPEM, keyPEM...)), IgnoreMissing: true, ClientCAFile: "/does/not/exist", ClientAuth: tls.RequestClientCert}, "ClientCAFile: open"},
		{TLS{Config: config, ClientCAFile: inFile(t, "ca", keyPEM), ClientAuth: tls.RequestClientCert}, "no certificate in it"},
		{TLS{Config: config, HSTS: -time.Second}, "HSTS -1s"},
		{TLS{Config: config, HSTS: time.Second - 1}, "at least a second"},
	} {
		vh, _ := testVHost()
		v, err := newVHostTLS(vh, &test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "TLS: ") || v != nil {
			t.Errorf("%v; want %q", err, test.want)
		}
	}
}

// TestHSTS: the field's value.
func TestHSTS(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "", time.Second: "max-age=1", 90*time.Second + 1: "max-age=90", 182 * 24 * time.Hour: "max-age=15724800"} {
		if got, err := hstsValue(d); err != nil || string(got) != want {
			t.Errorf("%v: %q, %v", d, got, err)
		}
	}
}

// TestServerOptionsOnTheWire: versions, ciphers, curves and protocols are those
// that were chosen.
func TestServerOptionsOnTheWire(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leaf(t, "a.test")
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	v := serving(t, TLS{Config: config, MaxVersion: tls.VersionTLS12, Ciphers: []string{"ecdhe-ecdsa-aes256-gcm-sha384"}, Curves: []string{"secp384r1"}, ALPN: []string{"x"}})
	c := trusting(ca)
	c.NextProtos = []string{"y", "x"}
	srv, cli := v.with(c)
	talks(t, srv, cli)
	st := cli.state
	if st.Version != tls.VersionTLS12 || st.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 || st.CurveID != tls.CurveP384 || st.NegotiatedProtocol != "x" {
		t.Errorf("%x %s %v %q", st.Version, tls.CipherSuiteName(st.CipherSuite), st.CurveID, st.NegotiatedProtocol)
	}
	for name, edit := range map[string]func(*tls.Config){
		"handshake failure": func(c *tls.Config) {
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		},
		"no application protocol": func(c *tls.Config) { c.NextProtos = []string{"y"} },
		"protocol version":        func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 },
	} {
		c := trusting(ca)
		edit(c)
		if srv, cli := v.with(c); srv.done || cli.err == nil || !strings.Contains(cli.err.Error(), name) {
			t.Errorf("%s: %v, %v", name, srv.done, cli.err)
		}
	}
}

// TestClientAuth: each kind, with authorities from a pool, a file and both.
func TestClientAuth(t *testing.T) {
	ca, other := newTestCA(t), newTestCA(t)
	cert, _, _ := ca.leaf(t, "a.test")
	theirs, _, _ := other.leaf(t)
	file := inFile(t, "ca.pem", other.pem())
	ours, pool := inFile(t, "ours.pem", ca.pem()), other.pool()
	strangers, _, _ := newTestCA(t).leaf(t)
	for _, test := range []struct {
		o                  TLS
		none, ok, stranger bool
	}{
		{TLS{}, true, true, true},
		{TLS{ClientAuth: tls.RequestClientCert}, true, true, true},
		{TLS{ClientAuth: tls.RequireAnyClientCert}, false, true, true},
		{TLS{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: other.pool()}, true, true, false},
		{TLS{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAFile: file}, false, true, false},
		{TLS{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAFile: file, ClientCAs: ca.pool()}, false, true, false},
		{TLS{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAFile: ours, ClientCAs: pool}, false, true, false},
	} {
		test.o.Config = &tls.Config{Certificates: []tls.Certificate{cert}}
		v := serving(t, test.o)
		for _, with := range []struct {
			cert *tls.Certificate
			ok   bool
		}{{nil, test.none}, {&theirs, test.ok}, {&strangers, test.stranger}} {
			c := trusting(ca)
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if with.cert == nil {
					return &tls.Certificate{}, nil
				}
				return with.cert, nil
			}
			if srv, _ := v.with(c); srv.done != with.ok {
				t.Errorf("%v: certificate %v: passed %v, %v", test.o.ClientAuth, with.cert != nil, srv.done, srv.err)
			}
		}
	}
	if !pool.Equal(other.pool()) {
		t.Error("the user's pool has been changed")
	}
}

// TestVerifyClient: it has the last word, knows the conn, and is asked about
// resumed sessions too.
func TestVerifyClient(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leaf(t, "a.test")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var calls []string
		var seen *Conn
		refuse := error(nil)
		v := serving(t, TLS{
			Config: &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version, VerifyConnection: func(tls.ConnectionState) error {
				calls = append(calls, "config")
				return nil
			}},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(),
			VerifyClient: func(c *Conn, state *tls.ConnectionState) error {
				calls = append(calls, fmt.Sprint(state.DidResume, len(state.PeerCertificates), len(state.VerifiedChains)))
				seen = c
				return refuse
			},
		})
		c := trusting(ca)
		c.Certificates, c.ClientSessionCache = []tls.Certificate{cert}, tls.NewLRUClientSessionCache(1)
		for _, want := range []string{"[config false 1 1]", "[config true 1 1]"} {
			calls, seen = nil, nil
			srv, cli := v.with(c)
			talks(t, srv, cli)
			if fmt.Sprint(calls) != want || seen != srv.s.Owner().(*link).own() {
				t.Errorf("%v, conn %p", calls, seen)
			}
		}
		refuse = errors.New("not you")
		if srv, cli := v.with(c); srv.done || !errors.Is(srv.err, refuse) || !strings.Contains(fmt.Sprint(cli.err), "bad certificate") {
			t.Errorf("%v, %v", srv.err, cli.err)
		}
		if live := v.live.Load(); live.VerifyConnection(tls.ConnectionState{}) != nil {
			t.Error("VerifyClient of one conn is on the shared Config")
		}
	}
}

// TestConfigForClient: a user's GetConfigForClient is asked, and the options hold
// for what it returns as well.
func TestConfigForClient(t *testing.T) {
	ca := newTestCA(t)
	one, _, _ := ca.leaf(t, "a.test")
	two, _, _ := ca.leaf(t, "a.test")
	var next, used *tls.Config
	var fail error
	base := &tls.Config{Certificates: []tls.Certificate{one}}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return next, fail }
	asked := 0
	v := serving(t, TLS{Config: base, MaxVersion: tls.VersionTLS12, ALPN: []string{"x"}, OffLoop: OffLoopAll,
		VerifyClient: func(*Conn, *tls.ConnectionState) error { asked++; return nil }})
	for i, want := range []tls.Certificate{one, two} {
		c := trusting(ca)
		c.NextProtos = []string{"x"}
		srv, cli := v.with(c)
		talks(t, srv, cli)
		if st := cli.state; !st.PeerCertificates[0].Equal(want.Leaf) || st.Version != tls.VersionTLS12 || st.NegotiatedProtocol != "x" || srv.jobs != 1 || asked != i+1 {
			t.Errorf("handshake %d: %x %q, %d jobs, asked %d times", i, st.Version, st.NegotiatedProtocol, srv.jobs, asked)
		}
		used, next = next, &tls.Config{Certificates: []tls.Certificate{two}, NextProtos: []string{"y"}}
	}
	if used.MinVersion != 0 || used.GetCertificate != nil {
		t.Error("the user's Config has been changed")
	}
	next = &tls.Config{Certificates: []tls.Certificate{two}, MinVersion: tls.VersionTLS10}
	if srv, _ := v.with(trusting(ca)); srv.done || !strings.Contains(fmt.Sprint(srv.err), "TLS 1.0") {
		t.Errorf("a bad Config: %v", srv.err)
	}
	fail = errors.New("no Config")
	if srv, _ := v.with(trusting(ca)); !errors.Is(srv.err, fail) {
		t.Errorf("%v", srv.err)
	}
}

// TestForConnIsCheap: nothing is cloned where nothing is per connection.
func TestForConnIsCheap(t *testing.T) {
	cert, _, _ := newTestCA(t).leaf(t, "a.test")
	v := serving(t, TLS{Config: &tls.Config{Certificates: []tls.Certificate{cert}}})
	if c, err := v.forConn(nil, nil); c != v.live.Load() || err != nil {
		t.Errorf("%p, %v", c, err)
	}
}

// TestOffLoop: which keys sign on workers, on both sides, and that a certificate
// is chosen as crypto/tls does.
func TestOffLoop(t *testing.T) {
	ca := newTestCA(t)
	ec, _, _ := ca.leaf(t, "a.test")
	slow, _, _ := ca.leafOf(t, rsaKey(), nil, "a.test")
	foreign := ec
	foreign.PrivateKey = struct{ crypto.Signer }{ec.PrivateKey.(crypto.Signer)}
	other, _, _ := ca.leaf(t, "b.test")
	for _, test := range []struct {
		off  OffLoop
		cert tls.Certificate
		jobs int
	}{
		{OffLoopSlow, ec, 0}, {OffLoopSlow, slow, 1}, {OffLoopSlow, foreign, 1},
		{OffLoopAll, ec, 1}, {OffLoopAll, slow, 1},
		{OffLoopNone, ec, 0}, {OffLoopNone, slow, 0}, {OffLoopNone, foreign, 0},
	} {
		get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &test.cert, nil }
		getOurs := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &test.cert, nil }
		for _, config := range []*tls.Config{{Certificates: []tls.Certificate{other, test.cert}}, {Certificates: []tls.Certificate{other}, GetCertificate: get}} {
			v := serving(t, TLS{Config: config, OffLoop: test.off, ClientAuth: tls.RequireAnyClientCert})
			for _, ours := range []*tls.Config{{Certificates: []tls.Certificate{test.cert}}, {GetClientCertificate: getOurs}} {
				ours.RootCAs = ca.pool()
				srv, cli := v.with(client(t, ClientTLS{Config: ours, OffLoop: test.off}, "a.test"))
				talks(t, srv, cli)
				if srv.jobs != test.jobs || cli.jobs != test.jobs {
					t.Errorf("OffLoop %d, %T: %d and %d jobs", test.off, test.cert.PrivateKey, srv.jobs, cli.jobs)
				}
			}
		}
	}
}

// TestOffLoopChoice: a certificate is chosen as crypto/tls does; the key of the one
// for clients without a name signs on a worker as well.
func TestOffLoopChoice(t *testing.T) {
	ca := newTestCA(t)
	one, _, _ := ca.leaf(t, "a.test")
	other, _, _ := ca.leaf(t, "b.test")
	v := serving(t, TLS{OffLoop: OffLoopAll, Config: &tls.Config{Certificates: []tls.Certificate{one, other}, GetCertificate: func(chi *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if chi.ServerName == "" {
			t.Error("asked")
		}
		return nil, nil
	}}})
	for name, want := range map[string]*x509.Certificate{"": one.Leaf, "c.test": one.Leaf, "b.test": other.Leaf} {
		srv, cli := v.with(&tls.Config{ServerName: name, InsecureSkipVerify: true})
		if talks(t, srv, cli); !cli.state.PeerCertificates[0].Equal(want) || srv.jobs != 1 {
			t.Errorf("%q: another certificate, or %d jobs", name, srv.jobs)
		}
	}
}

// TestOffLoopDecrypts: the older key exchange, in which an RSA key decrypts.
func TestOffLoopDecrypts(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leafOf(t, rsaKey(), nil, "a.test")
	v := serving(t, TLS{Config: &tls.Config{Certificates: []tls.Certificate{cert}}, MaxVersion: tls.VersionTLS12, Ciphers: []string{"AES128-SHA"}})
	c := trusting(ca)
	c.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	srv, cli := v.with(c)
	if talks(t, srv, cli); srv.jobs != 1 || cli.state.CipherSuite != tls.TLS_RSA_WITH_AES_128_CBC_SHA {
		t.Errorf("%d jobs, %s", srv.jobs, tls.CipherSuiteName(cli.state.CipherSuite))
	}
}
