package interop

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"anyloop/core"
	"anyloop/examples/internal/try"
)

var versions = []string{"-tls1_2", "-tls1_3"}

// TestOpenSSLResumption: a session is resumed, by both versions, twice; not with
// NoResumption, and not on another vhost of the same address.
func TestOpenSSLResumption(t *testing.T) {
	ca := try.NewCA(t)
	for _, version := range versions {
		for _, off := range []bool{false, true} {
			t.Run(map[bool]string{false: "on", true: "off"}[off]+version, func(t *testing.T) {
				secure := core.TLS{NoResumption: off}
				eng := together(t, named("a.test", ca.Issue(t, "a.test"), secure), named("b.test", ca.Issue(t, "b.test"), secure))
				addr, file := eng.VHost("a.test").Addr(), filepath.Join(t.TempDir(), "session")
				wants(t, sClient(t, addr, "a.test", version, "-sess_out", file), "\nNew, ", "this is a.test")
				if off {
					if _, err := os.Stat(file); err == nil {
						t.Error("there is a session")
					}
					return
				}
				for range 2 {
					wants(t, sClient(t, addr, "a.test", version, "-sess_in", file), "\nReused, ", "this is a.test")
				}
				if st := try.Stats(t, eng); st.Resumed != 2 || st.Handshakes != 3 {
					t.Errorf("%d of %d handshakes have resumed", st.Resumed, st.Handshakes)
				}
				wants(t, sClient(t, addr, "b.test", version, "-sess_in", file), "\nNew, ", "CN = b.test", "this is b.test")
			})
		}
	}
}

// TestOpenSSLTicketOutlivesReload: a certificate that is read anew costs no client
// its session, and those without one see the new one.
func TestOpenSSLTicketOutlivesReload(t *testing.T) {
	ca := try.NewCA(t)
	for _, version := range versions {
		both, file := filepath.Join(t.TempDir(), "both.pem"), filepath.Join(t.TempDir(), "session")
		ca.Issue(t, "old.test").WriteBoth(t, both)
		eng := try.Engine(t, named("a.test", nil, core.TLS{CertFile: both}))
		addr := eng.VHost("a.test").Addr()
		wants(t, sClient(t, addr, "a.test", version, "-sess_out", file), "CN = old.test")
		ca.Issue(t, "new.test").WriteBoth(t, both)
		if err := eng.VHost("a.test").ReloadTLS(); err != nil {
			t.Fatal(err)
		}
		wants(t, sClient(t, addr, "a.test", version, "-sess_in", file), "\nReused, ")
		wants(t, sClient(t, addr, "a.test", version), "\nNew, ", "CN = new.test")
	}
}

// TestOpenSSLEarlyData: we take none. A client that has a session of ours sends none;
// one that comes with a session of another server, which did, is refused by an alert,
// so that it comes again without.
func TestOpenSSLEarlyData(t *testing.T) {
	ca, dir := try.NewCA(t), t.TempDir()
	cert := ca.Issue(t, "a.test")
	early, ours, theirs := filepath.Join(dir, "early"), filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
	if err := os.WriteFile(early, []byte(ask("a.test")), 0o600); err != nil {
		t.Fatal(err)
	}
	eng := try.Engine(t, named("a.test", cert, core.TLS{}))
	addr := eng.VHost("a.test").Addr()
	sClient(t, addr, "a.test", "-tls1_3", "-sess_out", ours)
	wants(t, sClient(t, addr, "a.test", "-tls1_3", "-sess_in", ours, "-early_data", early),
		"\nReused, ", "Early data was not sent", "this is a.test")

	other := sServer(t, cert, "-tls1_3", "-early_data")
	client := try.Talk(t, try.Need(t, "openssl", "openssl"), "s_client", "-connect", other.addr, "-tls1_3", "-sess_out", theirs)
	other.Say("hello\n")
	client.Until("hello") // the session comes before it
	out := sClient(t, addr, "a.test", "-tls1_3", "-sess_in", theirs, "-early_data", early)
	wants(t, out, alertUnsupported)
	wants(t, sClient(t, addr, "a.test", "-tls1_3", "-sess_in", theirs), "this is a.test")
}

// TestOpenSSLClientCertificates: who has to show one, may, or need not, and what a
// client is told whose certificate is not good.
func TestOpenSSLClientCertificates(t *testing.T) {
	ca := try.NewCA(t)
	show := func(c *try.Cert) []string { return []string{"-cert", c.CertFile, "-key", c.KeyFile} }
	good, rsa := show(ca.Issue(t, "client")), show(ca.IssueRSA(t, "rsa client"))
	expired, stranger, self := show(ca.IssueExpired(t, "client")), show(try.NewCA(t).Issue(t, "client")), show(try.SelfSigned(t, "client"))
	const served = "this is a.test"
	for _, tc := range []struct {
		name     string
		auth     tls.ClientAuthType
		show     []string
		want12   string
		want13   string
		verified bool
	}{
		{"required, good", tls.RequireAndVerifyClientCert, good, served, served, true},
		{"required, RSA", tls.RequireAndVerifyClientCert, rsa, served, served, true},
		{"required, none", tls.RequireAndVerifyClientCert, nil, alertHandshake, alertNoCert, false},
		{"required, expired", tls.RequireAndVerifyClientCert, expired, alertExpired, alertExpired, false},
		{"required, untrusted", tls.RequireAndVerifyClientCert, stranger, alertUnknownCA, alertUnknownCA, false},
		{"required, self-signed", tls.RequireAndVerifyClientCert, self, alertUnknownCA, alertUnknownCA, false},
		{"optional, good", tls.VerifyClientCertIfGiven, good, served, served, true},
		{"optional, none", tls.VerifyClientCertIfGiven, nil, served, served, false},
		{"optional, untrusted", tls.VerifyClientCertIfGiven, stranger, alertUnknownCA, alertUnknownCA, false},
		{"any, untrusted", tls.RequireAnyClientCert, stranger, served, served, false},
		{"not asked", tls.NoClientCert, good, served, served, false},
	} {
		for i, version := range versions {
			t.Run(tc.name+version, func(t *testing.T) {
				verified := false
				secure := core.TLS{ClientAuth: tc.auth, VerifyClient: func(_ *core.Conn, st *tls.ConnectionState) error {
					verified = len(st.VerifiedChains) > 0
					return nil
				}}
				if tc.auth != tls.NoClientCert {
					secure.ClientCAFile = ca.CertFile
				}
				eng := try.Engine(t, named("a.test", ca.Issue(t, "a.test"), secure))
				out := sClient(t, eng.VHost("a.test").Addr(), "a.test", append([]string{version}, tc.show...)...)
				want := []string{tc.want12, tc.want13}[i]
				wants(t, out, want)
				if asked := strings.Contains(out, "CN = test authority") && strings.Contains(out, "Acceptable client certificate CA names"); asked != (tc.auth != tls.NoClientCert) && want == served {
					t.Errorf("asked by the authority's name: %v\n%s", asked, out)
				}
				if try.Stats(t, eng); verified != tc.verified { // which orders the two
					t.Errorf("VerifyClient was told of a good certificate: %v", verified)
				}
			})
		}
	}
}

// TestOpenSSLALPN: http/1.1 is chosen of what is offered, by default and among
// others; an offer without it is refused by the alert for that.
func TestOpenSSLALPN(t *testing.T) {
	cert := try.NewCA(t).Issue(t, "a.test")
	for _, version := range versions {
		for offer, want := range map[string]string{
			"http/1.1":    "ALPN protocol: http/1.1",
			"h2,http/1.1": "ALPN protocol: http/1.1",
			"h2":          alertNoALPN,
			"http/1.0,x":  alertNoALPN,
		} {
			t.Run(offer+version, func(t *testing.T) {
				eng := try.Engine(t, named("a.test", cert, core.TLS{}))
				out := sClient(t, eng.VHost("a.test").Addr(), "a.test", version, "-alpn", offer)
				wants(t, out, want)
				if want != alertNoALPN {
					wants(t, out, "this is a.test")
				}
			})
		}
		t.Run("none"+version, func(t *testing.T) {
			eng := try.Engine(t, named("a.test", cert, core.TLS{}))
			wants(t, sClient(t, eng.VHost("a.test").Addr(), "a.test", version), "No ALPN negotiated", "this is a.test")
		})
	}
}

// TestOpenSSLServerName: the name that a client asks for picks the certificate, as a
// wildcard and in any case; one that nobody has, and none, get the first.
func TestOpenSSLServerName(t *testing.T) {
	ca := try.NewCA(t)
	eng := together(t, named("a.test", ca.Issue(t, "a.test"), core.TLS{}),
		named("b.test", ca.IssueRSA(t, "b.test"), core.TLS{}), named("*.c.test", ca.Issue(t, "*.c.test"), core.TLS{}))
	addr := eng.VHost("a.test").Addr()
	for _, version := range versions {
		for _, tc := range [][2]string{{"a.test", "a.test"}, {"b.test", "b.test"}, {"B.TEST", "b.test"}, {"x.c.test", "*.c.test"}, {"nobody.test", "a.test"}} {
			out := sClient(t, addr, tc[0], version)
			wants(t, out, "subject=CN = "+tc[1]+"\n")
		}
		_, out := try.Status(t, try.Input(t, ask("a.test")), try.Need(t, "openssl", "openssl"),
			"s_client", "-ign_eof", "-connect", addr, "-noservername", version)
		wants(t, out, "subject=CN = a.test\n", "this is a.test")
	}
}

// TestOpenSSLIsRefusedByVerifyClient: the program's own check has the last word, over a
// resumed session too.
func TestOpenSSLIsRefusedByVerifyClient(t *testing.T) {
	ca := try.NewCA(t)
	client := ca.Issue(t, "client")
	for _, version := range versions {
		var no atomic.Bool
		eng := try.Engine(t, named("a.test", ca.Issue(t, "a.test"), core.TLS{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
			VerifyClient: func(*core.Conn, *tls.ConnectionState) error {
				if no.Load() {
					return errors.New("not today")
				}
				return nil
			}}))
		addr, file := eng.VHost("a.test").Addr(), filepath.Join(t.TempDir(), "session")
		show := []string{version, "-cert", client.CertFile, "-key", client.KeyFile}
		wants(t, sClient(t, addr, "a.test", append(show, "-sess_out", file)...), "this is a.test")
		wants(t, sClient(t, addr, "a.test", append(show, "-sess_in", file)...), "\nReused, ", "this is a.test")
		no.Store(true)
		wants(t, sClient(t, addr, "a.test", append(show, "-sess_in", file)...), alertBadCert)
		wants(t, sClient(t, addr, "a.test", show...), alertBadCert)
	}
}
