package core

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// past and future put a certificate's dates where now is not.
func past(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().AddDate(-3, 0, 0), time.Now().AddDate(-2, 0, 0)
}

func future(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().AddDate(1, 0, 0), time.Now().AddDate(2, 0, 0)
}

// defects are servers' certificates with something wrong, and which flags together
// let them pass.
func defects(t *testing.T, ca *testCA) []defect {
	first := func(c tls.Certificate, _, _ []byte) tls.Certificate { return c }
	other := newTestCA(t)
	withRoot := first(other.leaf(t, "a.test"))
	withRoot.Certificate = append(withRoot.Certificate, other.cert.Raw)
	oldRoot := newTestCA(t)
	{
		c := template("old root")
		asCA(c)
		past(c)
		oldRoot.cert = sign(t, c, c, oldRoot.key.Public(), oldRoot.key)
	}
	forClients := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	notCA := func(c *x509.Certificate) { c.IsCA = false }
	key := newECKey(t)
	return []defect{
		{"nothing", first(ca.leaf(t, "a.test")), "", nil},
		{"nothing, with an intermediate", first(ca.intermediate(t, nil).leaf(t, "a.test")), "", nil},
		{"self-signed", first(selfSignedLeaf(t, nil, "a.test")), "S", nil},
		{"self-signed, other name", first(selfSignedLeaf(t, nil, "b.test")), "SH", nil},
		{"self-signed, expired", first(selfSignedLeaf(t, past, "a.test")), "SE", nil},
		{"unknown authority, sent with it", withRoot, "S", nil},
		{"unknown authority", first(newTestCA(t).leaf(t, "a.test")), "I", nil},
		{"other name", first(ca.leaf(t, "b.test")), "H", nil},
		{"expired", first(ca.leafOf(t, key, past, "a.test")), "E", nil},
		{"not yet valid", first(ca.leafOf(t, key, future, "a.test")), "E", nil},
		{"expired, other name", first(ca.leafOf(t, key, past, "b.test")), "HE", nil},
		{"expired intermediate", first(ca.intermediate(t, past).leaf(t, "a.test")), "E", nil},
		{"expired, under a later intermediate", first(ca.intermediate(t, future).leafOf(t, key, past, "a.test")), "E", nil},
		{"expired, its root too", first(oldRoot.leafOf(t, key, past, "a.test")), "E", oldRoot},
		{"for clients only", first(ca.leafOf(t, key, forClients, "a.test")), "I", nil},
		{"by one that may not sign", first(ca.intermediate(t, notCA).leaf(t, "a.test")), "I", nil},
	}
}

type defect struct {
	name  string
	cert  tls.Certificate
	needs string  // flags; "I": only Insecure
	roots *testCA // what the client trusts instead
}

// TestClientFlags: each flag relaxes exactly its own check.
func TestClientFlags(t *testing.T) {
	ca := newTestCA(t)
	all := defects(t, ca)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for flags := range 16 {
			o := ClientTLS{MaxVersion: version, AllowSelfSigned: flags&1 != 0, SkipHostname: flags&2 != 0,
				AllowExpired: flags&4 != 0, Insecure: flags&8 != 0}
			have := ""
			for i, name := range []string{"S", "H", "E", "I"} {
				if flags&(1<<i) != 0 {
					have += name
				}
			}
			for _, d := range all {
				roots := ca
				if d.roots != nil {
					roots = d.roots
				}
				want := o.Insecure
				if !want && d.needs != "I" {
					want = strings.Trim(d.needs, have) == ""
				}
				o.Config = &tls.Config{RootCAs: roots.pool()}
				server := &tls.Config{Certificates: []tls.Certificate{d.cert}}
				_, cli := meet(server, client(t, o, "a.test"), nil)
				if cli.done != want {
					t.Errorf("%s, %s, flags %q: passed %v, %v", tls.VersionName(version), d.name, have, cli.done, cli.err)
				}
				if bad := (*tls.CertificateVerificationError)(nil); !want && !errors.As(cli.err, &bad) {
					t.Errorf("%s, flags %q: %v", d.name, have, cli.err)
				}
			}
		}
	}
}

// client builds o for host.
func client(t *testing.T, o ClientTLS, host string) *tls.Config {
	t.Helper()
	d, err := o.prepare()
	if err != nil {
		t.Fatal(err)
	}
	return d.forHost(host)
}

// TestClientConfigStays: what the user's Config says of checks and time holds
// beside the flags.
func TestClientConfigStays(t *testing.T) {
	ca := newTestCA(t)
	self, _, _ := selfSignedLeaf(t, nil, "b.test")
	o := ClientTLS{SkipHostname: true, Config: &tls.Config{InsecureSkipVerify: true}}
	srv, cli := meet(&tls.Config{Certificates: []tls.Certificate{self}}, client(t, o, "a.test"), nil)
	talks(t, srv, cli)
	cert, _, _ := ca.leafOf(t, newECKey(t), past, "b.test")
	for then, want := range map[time.Time]bool{cert.Leaf.NotBefore: true, cert.Leaf.NotAfter.Add(1): false} {
		o := ClientTLS{SkipHostname: true, Config: &tls.Config{RootCAs: ca.pool(), Time: func() time.Time { return then }}}
		if _, cli := meet(&tls.Config{Certificates: []tls.Certificate{cert}}, client(t, o, "a.test"), nil); cli.done != want {
			t.Errorf("%v: passed %v, %v", then, cli.done, cli.err)
		}
	}
}

// TestClientFlagsOnResumption: a resumed session is checked like a new one, with
// the flags of the one that resumes.
func TestClientFlagsOnResumption(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leaf(t, "b.test")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		base := &tls.Config{RootCAs: ca.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		server := &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version}
		skip := ClientTLS{Config: base, SkipHostname: true}
		for i := range 2 {
			srv, cli := meet(server, client(t, skip, "a.test"), nil)
			talks(t, srv, cli)
			if cli.state.DidResume != (i == 1) {
				t.Fatalf("handshake %d: resumed %v", i, cli.state.DidResume)
			}
		}
		for _, strict := range []ClientTLS{{Config: base}, {Config: base, AllowExpired: true}} {
			if _, cli := meet(server, client(t, strict, "a.test"), nil); cli.done {
				t.Errorf("%s, %+v: a session of another name has passed", tls.VersionName(version), strict)
			}
		}
	}
}

// TestClientOwnChecks: the user's own callbacks run behind ours, with the chains
// as they were sent.
func TestClientOwnChecks(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leafOf(t, newECKey(t), past, "b.test")
	mine := errors.New("mine")
	for _, o := range []ClientTLS{{SkipHostname: true, AllowExpired: true}, {Insecure: true}} {
		var calls []string
		var state tls.ConnectionState
		o.Config = &tls.Config{
			RootCAs: ca.pool(),
			VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error {
				calls = append(calls, "peer")
				return nil
			},
			VerifyConnection: func(s tls.ConnectionState) error {
				calls, state = append(calls, "connection"), s
				return mine
			},
		}
		_, cli := meet(&tls.Config{Certificates: []tls.Certificate{cert}}, client(t, o, "a.test"), nil)
		if !errors.Is(cli.err, mine) || fmt.Sprint(calls) != "[peer connection]" {
			t.Errorf("%v, %v", calls, cli.err)
		}
		if o.Insecure {
			continue
		}
		if len(state.VerifiedChains) != 1 || state.VerifiedChains[0][0] != state.PeerCertificates[0] || !state.VerifiedChains[0][1].Equal(ca.cert) {
			t.Errorf("chains: %v", state.VerifiedChains)
		}
	}
	// A check of ours that fails keeps theirs from being asked.
	o := ClientTLS{SkipHostname: true, Config: &tls.Config{RootCAs: ca.pool(), VerifyConnection: func(tls.ConnectionState) error {
		t.Error("asked")
		return nil
	}}}
	if _, cli := meet(&tls.Config{Certificates: []tls.Certificate{cert}}, client(t, o, "a.test"), nil); cli.done {
		t.Error("an expired certificate has passed")
	}
}

// TestClientNames: which names and addresses a server may be reached by.
func TestClientNames(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leaf(t, "a.test", "*.w.test", "127.0.0.1", "::1", "fe80::1")
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	for host, ok := range map[string]bool{
		"a.test": true, "A.test": true, "a.test.": true, "x.w.test": true, "127.0.0.1": true, "[::1]": true, "::1": true,
		"fe80::1%eth0": true, "[fe80::1%eth0]": true,
		"b.test": false, "x.y.w.test": false, "127.0.0.2": false, "::2": false, "": false,
	} {
		for _, o := range []ClientTLS{{}, {AllowExpired: true}} {
			o.Config = &tls.Config{RootCAs: ca.pool()}
			if _, cli := meet(server, client(t, o, host), nil); cli.done != ok {
				t.Errorf("%q, AllowExpired %v: passed %v, %v", host, o.AllowExpired, cli.done, cli.err)
			}
		}
	}
	if got := serverName("a.test."); got != "a.test" { // one key for its sessions
		t.Error(got)
	}
	// A name of the user's stays.
	c := client(t, ClientTLS{Config: &tls.Config{ServerName: "own.test"}}, "a.test")
	if c.ServerName != "own.test" {
		t.Error(c.ServerName)
	}
}

// TestClientSessions: sessions are kept as long as what prepare returned, apart from
// those of others, and not at all if not wanted.
func TestClientSessions(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leaf(t, "a.test")
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	o := ClientTLS{Config: &tls.Config{RootCAs: ca.pool()}}
	d, err := o.prepare()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{false, true} {
		srv, cli := meet(server, d.forHost("a.test"), nil)
		talks(t, srv, cli)
		if cli.state.DidResume != want {
			t.Errorf("resumed %v, want %v", cli.state.DidResume, want)
		}
	}
	if _, cli := meet(server, client(t, o, "a.test"), nil); cli.state.DidResume {
		t.Error("two values share sessions")
	}
	o.NoResumption = true
	o.Config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	d, _ = o.prepare()
	for range 2 {
		if _, cli := meet(server, d.forHost("a.test"), nil); !cli.done || cli.state.DidResume {
			t.Errorf("done %v, resumed %v", cli.done, cli.state.DidResume)
		}
	}
}

// TestClientFiles: authorities and our own certificate come from files, and what is wrong
// with the options is said.
func TestClientFiles(t *testing.T) {
	ca := newTestCA(t)
	cert, certPEM, keyPEM := ca.leaf(t, "a.test")
	roots := inFile(t, "ca.pem", ca.pem())
	crt, key := inFile(t, "crt.pem", certPEM), inFile(t, "key.pem", keyPEM)
	server := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()}
	given := &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return nil, errors.New("not this one")
	}}
	for _, o := range []ClientTLS{
		{RootCAFile: roots, CertFile: crt, KeyFile: key, Config: given},
		{RootCAFile: roots, CertFile: inFile(t, "both.pem", append(keyPEM, certPEM...))},
		{Config: &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{{Certificate: cert.Certificate, PrivateKey: cert.PrivateKey}}}},
	} {
		srv, cli := meet(server, client(t, o, "a.test"), nil)
		talks(t, srv, cli)
	}
	if srv, _ := meet(server, client(t, ClientTLS{RootCAFile: roots}, "a.test"), nil); srv.done {
		t.Error("a client without a certificate has passed")
	}
	if given.GetClientCertificate == nil || given.MinVersion != 0 {
		t.Error("the user's Config has been changed")
	}
	for want, o := range map[string]ClientTLS{
		"no such file":           {RootCAFile: crt + "x"},
		"no certificate in it":   {RootCAFile: key},
		"KeyFile without":        {KeyFile: key},
		"does not match":         {CertFile: crt, KeyFile: inFile(t, "other.pem", second(newTestCA(t).leaf(t)))},
		"unknown cipher":         {Ciphers: []string{"x"}},
		"unknown curve":          {Curves: []string{"x"}},
		"HTTP/2":                 {ALPN: []string{"h2"}},
		"only TLS 1.2":           {MinVersion: tls.VersionTLS10},
		"a certificate of Confi": {Config: &tls.Config{Certificates: []tls.Certificate{{}}}},
	} {
		if _, err := o.prepare(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	var none *ClientTLS
	if d, err := none.prepare(); err != nil || d.forHost("a.test").ServerName != "a.test" {
		t.Errorf("nil: %v", err)
	}
}

func second(_ tls.Certificate, _, key []byte) []byte { return key }

// TestSelfSignedTries: of many certificates only a few are tried as roots, so
// that a server cannot keep the loop busy.
func TestSelfSignedTries(t *testing.T) {
	ca := newTestCA(t)
	leaf, _, _ := ca.leaf(t, "a.test")
	for i, want := range map[int]bool{0: true, maxTried - 1: true, maxTried: false, 98: false, 99: true} {
		sent := make([]*x509.Certificate, 100)
		for j := range sent {
			sent[j] = leaf.Leaf
		}
		sent[i] = ca.cert
		if got := selfSigned(sent) != nil; got != want {
			t.Errorf("at %d: %v", i, got)
		}
	}
	forged := *ca.cert
	forged.Signature = leaf.Leaf.Signature
	if selfSigned([]*x509.Certificate{&forged}) != nil {
		t.Error("its own name as issuer is enough")
	}
}
