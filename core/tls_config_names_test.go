package core

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestSuiteNames: each suite that crypto/tls has for TLS 1.2 can be chosen by its
// RFC name and by one OpenSSL name, in any case; those of TLS 1.3 cannot.
func TestSuiteNames(t *testing.T) {
	all := slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites())
	n := 0
	for _, s := range all {
		ids, err := suites([]string{strings.ToLower(s.Name)})
		if !in12(s) {
			if err == nil || !strings.Contains(err.Error(), "cannot be chosen") {
				t.Errorf("%s: %v", s.Name, err)
			}
			continue
		}
		n++
		if err != nil || len(ids) != 1 || ids[0] != s.ID {
			t.Errorf("%s: %v, %v", s.Name, ids, err)
		}
		named := 0
		for name, id := range openSSLSuites {
			if id != s.ID {
				continue
			}
			named++
			if ids, err := suites([]string{strings.ToLower(name)}); err != nil || len(ids) != 1 || ids[0] != id {
				t.Errorf("%s: %v, %v", name, ids, err)
			}
		}
		if named != 1 {
			t.Errorf("%s has %d OpenSSL names", s.Name, named)
		}
	}
	if n != len(openSSLSuites) {
		t.Errorf("%d suites, %d OpenSSL names", n, len(openSSLSuites))
	}
}

// TestSuiteAll: ALL is what is not known to be broken, and goes with others.
func TestSuiteAll(t *testing.T) {
	var want []uint16
	for _, s := range tls.CipherSuites() {
		if in12(s) {
			want = append(want, s.ID)
		}
	}
	if ids, err := suites([]string{"all"}); err != nil || !slices.Equal(ids, want) {
		t.Errorf("%v, %v", ids, err)
	}
	ids, err := suites([]string{"ALL", "RC4-SHA"})
	if err != nil || !slices.Equal(ids, append(want, tls.TLS_RSA_WITH_RC4_128_SHA)) {
		t.Errorf("%v, %v", ids, err)
	}
}

// TestCurveNames: each key exchange that crypto/tls has a name for has one here.
func TestCurveNames(t *testing.T) {
	named := map[tls.CurveID]bool{}
	for _, id := range curveNames {
		named[id] = true
	}
	for i := range 1 << 16 {
		id := tls.CurveID(i)
		if known := id.String() != fmt.Sprintf("CurveID(%d)", i); known != named[id] {
			t.Errorf("%v: known to crypto/tls %v, here %v", id, known, named[id])
		}
	}
	ids, err := curves([]string{"X25519", "P-256", "PRIME256V1", "p-384", "secp384r1", "P-521", "SECP521R1", "X25519MLKEM768"})
	want := []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP256, tls.CurveP384, tls.CurveP384, tls.CurveP521, tls.CurveP521, tls.X25519MLKEM768}
	if err != nil || !slices.Equal(ids, want) {
		t.Errorf("%v, %v", ids, err)
	}
}

// TestTLSRules: what newTLSRules and apply make of options and a base, and what
// they refuse.
func TestTLSRules(t *testing.T) {
	type base = tls.Config
	tests := []struct {
		name     string
		min, max uint16
		suites   []string
		curves   []string
		alpn     []string
		base     *base
		want     string // min max suites curves protos
		err      string
	}{
		{name: "nothing", want: "TLS 1.2 0x0000 [] [] [http/1.1]"},
		{name: "versions", min: tls.VersionTLS13, max: tls.VersionTLS13, want: "TLS 1.3 TLS 1.3 [] [] [http/1.1]"},
		{name: "versions of the base", base: &base{MinVersion: tls.VersionTLS13}, want: "TLS 1.3 0x0000 [] [] [http/1.1]"},
		{name: "versions over the base's", min: tls.VersionTLS12, max: tls.VersionTLS12, base: &base{MinVersion: tls.VersionTLS13},
			want: "TLS 1.2 TLS 1.2 [] [] [http/1.1]"},
		{name: "TLS 1.1", min: tls.VersionTLS11, err: "TLS 1.1"},
		{name: "at most TLS 1.1", max: tls.VersionTLS11, err: "TLS 1.1"},
		{name: "TLS 1.0 in the base", base: &base{MinVersion: tls.VersionTLS10}, err: "TLS 1.0"},
		{name: "a version to come", max: 0x0305, err: "0x0305"},
		{name: "none left", min: tls.VersionTLS13, max: tls.VersionTLS12, err: "MaxVersion is below"},
		{name: "suites", suites: []string{"AES128-SHA"}, base: &base{CipherSuites: []uint16{1}}, want: "TLS 1.2 0x0000 [47] [] [http/1.1]"},
		{name: "suites of the base", base: &base{CipherSuites: []uint16{47}}, want: "TLS 1.2 0x0000 [47] [] [http/1.1]"},
		{name: "no suites", suites: []string{}, want: "TLS 1.2 0x0000 [] [] [http/1.1]"},
		{name: "unknown suite", suites: []string{"AES128-SHA", "NO-SUCH"}, err: `unknown cipher "NO-SUCH"`},
		{name: "suite of TLS 1.3", suites: []string{"TLS_AES_128_GCM_SHA256"}, err: `"TLS_AES_128_GCM_SHA256" is of TLS 1.3`},
		{name: "curves", curves: []string{"p-256"}, base: &base{CurvePreferences: []tls.CurveID{29}}, want: "TLS 1.2 0x0000 [] [CurveP256] [http/1.1]"},
		{name: "curves of the base", base: &base{CurvePreferences: []tls.CurveID{29}}, want: "TLS 1.2 0x0000 [] [X25519] [http/1.1]"},
		{name: "unknown curve", curves: []string{"P-224"}, err: `unknown curve "P-224"`},
		{name: "ALPN", alpn: []string{"a", "b"}, base: &base{NextProtos: []string{"c"}}, want: "TLS 1.2 0x0000 [] [] [a b]"},
		{name: "no ALPN", alpn: []string{}, base: &base{NextProtos: []string{"c"}}, want: "TLS 1.2 0x0000 [] [] []"},
		{name: "ALPN of the base", base: &base{NextProtos: []string{"h2", "http/1.1", "acme-tls/1"}}, want: "TLS 1.2 0x0000 [] [] [http/1.1 acme-tls/1]"},
		{name: "h2 in the base", base: &base{NextProtos: []string{"h2"}}, want: "TLS 1.2 0x0000 [] [] [http/1.1]"},
		{name: "h2", alpn: []string{"http/1.1", "h2"}, err: "HTTP/2 is not built in"},
		{name: "empty ALPN", alpn: []string{""}, err: "1 to 255 bytes"},
		{name: "long ALPN", alpn: []string{strings.Repeat("x", 256)}, err: "1 to 255 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &tls.Config{Renegotiation: tls.RenegotiateFreelyAsClient}
			if test.base != nil {
				c = test.base
			}
			r, err := newTLSRules(test.min, test.max, test.suites, test.curves, test.alpn)
			if err == nil {
				err = r.apply(c)
			}
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("%v", err)
				}
				return
			}
			got := fmt.Sprint(tls.VersionName(c.MinVersion), " ", tls.VersionName(c.MaxVersion), " ", c.CipherSuites, " ", c.CurvePreferences, " ", c.NextProtos)
			if err != nil || got != test.want {
				t.Errorf("%s, %v; want %s", got, err, test.want)
			}
			if c.Renegotiation != tls.RenegotiateNever || !c.DynamicRecordSizingDisabled {
				t.Error("renegotiation or record sizes are left to chance")
			}
		})
	}
}
