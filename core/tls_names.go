package core

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// openSSLSuites are the suites of TLS 1.2 by the names OpenSSL has for them.
var openSSLSuites = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-ECDSA-AES128-SHA256":     tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-ECDSA-RC4-SHA":           tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES128-SHA256":       tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-DES-CBC3-SHA":        tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,
	"ECDHE-RSA-RC4-SHA":             tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA,
	"AES128-GCM-SHA256":             tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	"AES256-GCM-SHA384":             tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	"AES128-SHA":                    tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	"AES128-SHA256":                 tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	"AES256-SHA":                    tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	"DES-CBC3-SHA":                  tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
	"RC4-SHA":                       tls.TLS_RSA_WITH_RC4_128_SHA,
}

// curveNames are the key exchanges by all their names, in lower case.
var curveNames = map[string]tls.CurveID{
	"x25519": tls.X25519,
	"p-256":  tls.CurveP256, "prime256v1": tls.CurveP256, "secp256r1": tls.CurveP256,
	"p-384": tls.CurveP384, "secp384r1": tls.CurveP384,
	"p-521": tls.CurveP521, "secp521r1": tls.CurveP521,
	"x25519mlkem768":     tls.X25519MLKEM768,
	"secp256r1mlkem768":  tls.SecP256r1MLKEM768,
	"secp384r1mlkem1024": tls.SecP384r1MLKEM1024,
}

// suites turns names of cipher suites into their numbers.
func suites(names []string) (ids []uint16, err error) {
	for _, name := range names {
		if strings.EqualFold(name, "ALL") {
			for _, s := range tls.CipherSuites() {
				if in12(s) {
					ids = append(ids, s.ID)
				}
			}
			continue
		}
		id, err := suite(name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func suite(name string) (uint16, error) {
	if id, ok := openSSLSuites[strings.ToUpper(name)]; ok {
		return id, nil
	}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !strings.EqualFold(s.Name, name) {
			continue
		}
		if !in12(s) {
			return 0, fmt.Errorf("cipher %q is of TLS 1.3, whose ciphers cannot be chosen", name)
		}
		return s.ID, nil
	}
	return 0, fmt.Errorf("unknown cipher %q", name)
}

// in12 reports whether TLS 1.2 has the suite.
func in12(s *tls.CipherSuite) bool { return slices.Contains(s.SupportedVersions, tls.VersionTLS12) }

// curves turns names of key exchanges into their numbers.
func curves(names []string) (ids []tls.CurveID, err error) {
	for _, name := range names {
		id, ok := curveNames[strings.ToLower(name)]
		if !ok {
			return nil, fmt.Errorf("unknown curve %q", name)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// tlsRules are the options that both sides of a connection have.
type tlsRules struct {
	min, max uint16
	suites   []uint16
	curves   []tls.CurveID
	alpn     []string // nil: not given
}

func newTLSRules(min, max uint16, cipherNames, curveNames, alpn []string) (r tlsRules, err error) {
	r = tlsRules{min: min, max: max, alpn: slices.Clone(alpn)}
	if r.suites, err = suites(cipherNames); err != nil {
		return r, err
	}
	if r.curves, err = curves(curveNames); err != nil {
		return r, err
	}
	for _, p := range alpn {
		switch {
		case p == "h2":
			return r, errors.New(`ALPN "h2": HTTP/2 is not built in`)
		case len(p) == 0 || len(p) > 255: // RFC 7301 3.1: ProtocolName<1..2^8-1>
			return r, fmt.Errorf("ALPN %q: a name has 1 to 255 bytes", p)
		}
	}
	return r, nil
}

// apply puts the rules on top of c, and what crypto/tls must do for us on any.
func (r *tlsRules) apply(c *tls.Config) error {
	if r.min != 0 {
		c.MinVersion = r.min
	}
	if r.max != 0 {
		c.MaxVersion = r.max
	}
	if c.MinVersion == 0 {
		c.MinVersion = tls.VersionTLS12 // whatever GODEBUG says
	}
	if err := checkVersions(c); err != nil {
		return err
	}
	if len(r.suites) > 0 {
		c.CipherSuites = r.suites
	}
	if len(r.curves) > 0 {
		c.CurvePreferences = r.curves
	}
	c.NextProtos = r.protos(c.NextProtos)
	// Inside Read, where it would happen, a handshake cannot be suspended.
	c.Renegotiation = tls.RenegotiateNever
	// Small first records help a browser's first paint, and double the work for bulk.
	c.DynamicRecordSizingDisabled = true
	return nil
}

func checkVersions(c *tls.Config) error {
	for _, v := range []uint16{c.MinVersion, c.MaxVersion} {
		switch v {
		case 0, tls.VersionTLS12, tls.VersionTLS13:
		default:
			return fmt.Errorf("version %s: only TLS 1.2 and 1.3 are spoken", tls.VersionName(v))
		}
	}
	if c.MaxVersion != 0 && c.MaxVersion < c.MinVersion {
		return errors.New("MaxVersion is below MinVersion")
	}
	return nil
}

// protos returns the protocols to choose from: the option's, else those of a
// Config, as far as we speak them.
func (r *tlsRules) protos(base []string) []string {
	if r.alpn != nil {
		return r.alpn
	}
	base = slices.DeleteFunc(slices.Clone(base), func(p string) bool { return p == "h2" })
	if len(base) == 0 {
		return []string{"http/1.1"}
	}
	return base
}
