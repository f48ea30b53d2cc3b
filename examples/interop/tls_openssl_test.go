package interop

import (
	"crypto/tls"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/examples/internal/try"
)

// named is a vhost that speaks TLS with cert, unless secure has its own, and
// answers requests with its name.
func named(name string, cert *try.Cert, secure core.TLS) core.VHost {
	if cert != nil {
		secure.Cert, secure.Key = cert.Cert, cert.Key
	}
	return core.VHost{Name: name, Addr: "127.0.0.1:0", TLS: &secure, Protocols: []core.Protocol{
		{Name: "echo", WS: core.OnMessage(echoBack), HTTP: core.HTTPFunc(
			func(_ *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
				return w.Respond(200, nil, []byte("this is "+name+"\n"))
			})},
	}}
}

// together runs an engine whose vhosts share the address of the first.
func together(t *testing.T, vhs ...core.VHost) *core.Engine {
	t.Helper()
	eng := try.Engine(t, vhs[0])
	for _, vh := range vhs[1:] {
		vh.Addr = eng.VHost(vhs[0].Name).Addr()
		if _, err := eng.AddVHost(vh); err != nil {
			t.Fatal(err)
		}
	}
	return eng
}

func echoBack(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }

// ask is what s_client is given to send: a request after whose answer the server
// closes.
func ask(host string) string {
	return "GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"
}

// sClient runs openssl's client, which asks for a page of a vhost and reads until the
// server closes, and returns all that it prints.
func sClient(t *testing.T, addr, name string, args ...string) string {
	t.Helper()
	openssl := try.Need(t, "openssl", "openssl")
	args = append([]string{"s_client", "-ign_eof", "-connect", addr, "-servername", name}, args...)
	_, out := try.Status(t, try.Input(t, ask(name)), openssl, args...)
	return out
}

// wants fails the test unless all of want is in what s_client printed.
func wants(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in:\n%s", w, out)
		}
	}
}

// Alerts (RFC 8446 6), as openssl prints those that it gets.
const (
	alertHandshake   = "SSL alert number 40"
	alertBadCert     = "SSL alert number 42"
	alertExpired     = "SSL alert number 45"
	alertUnknownCA   = "SSL alert number 48"
	alertVersion     = "SSL alert number 70"
	alertUnsupported = "SSL alert number 110"
	alertNoCert      = "SSL alert number 116"
	alertNoALPN      = "SSL alert number 120"
)

// TestOpenSSLVersions: TLS 1.2 and 1.3 are spoken, and the certificate is good for
// its name; a side that wants another version is told so.
func TestOpenSSLVersions(t *testing.T) {
	ca := try.NewCA(t)
	cert := ca.Issue(t, "a.test")
	for _, tc := range []struct {
		name, flag, want string
		secure           core.TLS
	}{
		{"1.2", "-tls1_2", "New, TLSv1.2,", core.TLS{}},
		{"1.3", "-tls1_3", "New, TLSv1.3,", core.TLS{}},
		{"best", "-no_ssl3", "New, TLSv1.3,", core.TLS{}},
		{"at most 1.2", "-no_ssl3", "New, TLSv1.2,", core.TLS{MaxVersion: tls.VersionTLS12}},
		{"1.1", "-tls1_1", alertVersion, core.TLS{}},
		{"1.0", "-tls1", alertVersion, core.TLS{}},
		{"1.2 of 1.3", "-tls1_2", alertVersion, core.TLS{MinVersion: tls.VersionTLS13}},
		{"1.3 of 1.2", "-tls1_3", alertVersion, core.TLS{MaxVersion: tls.VersionTLS12}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eng := try.Engine(t, named("a.test", cert, tc.secure))
			out := sClient(t, eng.VHost("a.test").Addr(), "a.test", tc.flag, "-cipher", "ALL:@SECLEVEL=0",
				"-CAfile", ca.CertFile, "-verify_hostname", "a.test", "-verify_return_error")
			wants(t, out, tc.want)
			good := strings.HasPrefix(tc.want, "New")
			if good {
				wants(t, out, "Verify return code: 0 (ok)", "this is a.test", "\nclosed")
			}
			if st := try.Stats(t, eng); st.Handshakes != 1 && good || st.ShakeFailures != 1 && !good {
				t.Errorf("%d handshakes, %d failures", st.Handshakes, st.ShakeFailures)
			}
		})
	}
}

// TestSSLv3IsRefused: openssl is built without it, so that its first record stands
// here.
func TestSSLv3IsRefused(t *testing.T) {
	eng := try.Engine(t, named("a.test", try.NewCA(t).Issue(t, "a.test"), core.TLS{}))
	c, err := net.Dial("tcp", eng.VHost("a.test").Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hello := "\x03\x00" + strings.Repeat("r", 32) + "\x00" + "\x00\x04\x00\x2f\x00\x0a" + "\x01\x00"
	fmt.Fprintf(c, "\x16\x03\x00\x00%c\x01\x00\x00%c%s", len(hello)+4, len(hello), hello)
	var alert [7]byte
	if _, err := c.Read(alert[:]); err != nil || alert[0] != 21 || alert[6] != 70 {
		t.Errorf("answered % x, %v", alert, err)
	}
}

var cipherLine = regexp.MustCompile(`(?m)^ *0x([0-9A-F]{2}),0x([0-9A-F]{2}) - (\S+) `)

// opensslCiphers are the suites of TLS 1.2 that this openssl has, by their numbers.
func opensslCiphers(t *testing.T) map[uint16]string {
	t.Helper()
	has := map[uint16]string{}
	all := output(t, "", nil, try.Need(t, "openssl", "openssl"), "ciphers", "-s", "-V", "-tls1_2", "ALL:@SECLEVEL=0")
	for _, m := range cipherLine.FindAllStringSubmatch(all, -1) {
		var hi, lo uint16
		fmt.Sscanf(m[1]+" "+m[2], "%x %x", &hi, &lo)
		has[hi<<8|lo] = m[3]
	}
	return has
}

// TestOpenSSLCiphers: each suite of TLS 1.2 that both sides have is the only one
// allowed here, by either of its names, and then it is used, with the key that it
// goes with; a client that has it alone is refused where another one is allowed.
func TestOpenSSLCiphers(t *testing.T) {
	ca, tried := try.NewCA(t), 0
	certs := map[bool]*try.Cert{false: ca.IssueRSA(t, "a.test"), true: ca.Issue(t, "a.test")}
	theirs := opensslCiphers(t)
	for id, name := range suites12() {
		other := theirs[id]
		if other == "" {
			t.Logf("openssl has no %s", name)
			continue
		}
		tried++
		cert := certs[strings.Contains(name, "_ECDSA_")]
		for _, allowed := range []string{name, other} {
			t.Run(allowed, func(t *testing.T) {
				eng := try.Engine(t, named("a.test", cert, core.TLS{Ciphers: []string{allowed}}))
				out := sClient(t, eng.VHost("a.test").Addr(), "a.test", "-tls1_2", "-cipher", "ALL:@SECLEVEL=0")
				wants(t, out, "Cipher is "+other+"\n", "this is a.test")
			})
		}
		t.Run(other+"/refused", func(t *testing.T) {
			another := "ECDHE-RSA-AES128-GCM-SHA256"
			if strings.Contains(name, "_ECDSA_") {
				another = "ECDHE-ECDSA-AES128-GCM-SHA256"
			}
			if other == another {
				another = strings.Replace(another, "128-GCM-SHA256", "256-GCM-SHA384", 1)
			}
			eng := try.Engine(t, named("a.test", cert, core.TLS{Ciphers: []string{another}}))
			out := sClient(t, eng.VHost("a.test").Addr(), "a.test", "-tls1_2", "-cipher", other+":@SECLEVEL=0")
			wants(t, out, alertHandshake)
		})
		t.Run(other+"/other key", func(t *testing.T) {
			eng := try.Engine(t, named("a.test", certs[!strings.Contains(name, "_ECDSA_")], core.TLS{Ciphers: []string{name}}))
			out := sClient(t, eng.VHost("a.test").Addr(), "a.test", "-tls1_2", "-cipher", "ALL:@SECLEVEL=0")
			wants(t, out, alertHandshake)
		})
	}
	if tried < 10 {
		t.Errorf("only %d suites were tried", tried)
	}
}

// suites12 are all suites of TLS 1.2 that crypto/tls has.
func suites12() map[uint16]string {
	all := map[uint16]string{}
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, s := range list {
			for _, v := range s.SupportedVersions {
				if v == tls.VersionTLS12 {
					all[s.ID] = s.Name
				}
			}
		}
	}
	return all
}

// TestOpenSSLCurves: each key exchange that both sides have is the only one allowed
// here, and then it is used; a client without it is refused.
func TestOpenSSLCurves(t *testing.T) {
	cert := try.NewCA(t).Issue(t, "a.test")
	groups := output(t, "", nil, try.Need(t, "openssl", "openssl"), "version")
	for _, c := range []struct{ ours, theirs, prints string }{
		{"X25519", "X25519", "Temp Key: X25519"},
		{"P-256", "P-256", "prime256v1"},
		{"prime256v1", "P-256", "prime256v1"},
		{"P-384", "P-384", "secp384r1"},
		{"secp384r1", "P-384", "secp384r1"},
		{"P-521", "P-521", "secp521r1"},
		{"secp521r1", "P-521", "secp521r1"},
		{"X25519MLKEM768", "X25519MLKEM768", "X25519MLKEM768"},
	} {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			t.Run(c.ours+version, func(t *testing.T) {
				if strings.Contains(c.ours, "MLKEM") && (version == "-tls1_2" || !hasMLKEM(groups)) {
					t.Skipf("no %s here", c.ours)
				}
				eng := try.Engine(t, named("a.test", cert, core.TLS{Curves: []string{c.ours}}))
				addr := eng.VHost("a.test").Addr()
				offer := "P-521:P-384:P-256:X25519"
				if c.theirs == "X25519MLKEM768" {
					offer += ":" + c.theirs
				}
				wants(t, sClient(t, addr, "a.test", version, "-groups", offer), c.prints, "this is a.test")
				without := "P-256"
				if c.theirs == without {
					without = "X25519"
				}
				out := sClient(t, addr, "a.test", version, "-groups", without)
				wants(t, out, alertHandshake)
			})
		}
	}
}

// hasMLKEM: openssl has it since 3.5.
func hasMLKEM(version string) bool {
	var major, minor int
	fmt.Sscanf(version, "OpenSSL %d.%d", &major, &minor)
	return major > 3 || major == 3 && minor >= 5
}
