package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"flag"
	"math/big"
	"net"
	"time"

	"anyloop/core"
)

// TLSFlags declares -tls-cert, -tls-key, -tls-self and -tls-lend for a server, and
// returns what they come to once flags are parsed: nil without them.
func TLSFlags() func() (*core.TLS, error) {
	cert := flag.String("tls-cert", "", "certificate with its chain, a PEM file: speak TLS")
	key := flag.String("tls-key", "", "its private key, a PEM file; empty: in -tls-cert")
	self := flag.Bool("tls-self", false, "speak TLS with a certificate for localhost made now, which nobody trusts")
	lend := flag.Bool("tls-lend", false, "with TLS: idle connections keep no receive buffer")
	plain := flag.String("tls-plain", "redirect", "with TLS: what becomes of plain HTTP: refuse, redirect, serve or close")
	return func() (*core.TLS, error) {
		t := &core.TLS{LendBuffers: *lend}
		switch *plain {
		case "refuse":
		case "redirect":
			t.Plain = core.PlainRedirect
		case "serve":
			t.Plain = core.PlainServe
		case "close":
			t.Plain = core.PlainClose
		default:
			return nil, errors.New("-tls-plain: use refuse, redirect, serve or close")
		}
		switch {
		case *self && *cert != "":
			return nil, errors.New("-tls-self and -tls-cert: use one of them")
		case *key != "" && *cert == "":
			return nil, errors.New("-tls-key: it needs -tls-cert")
		case *self:
			var err error
			t.Cert, t.Key, err = SelfSigned("localhost", "127.0.0.1", "::1")
			return t, err
		case *cert != "":
			t.CertFile, t.KeyFile = *cert, *key
			return t, nil
		}
		return nil, nil
	}
}

// ClientTLSFlags declares -insecure and -ca for a client, and returns what they
// come to once flags are parsed.
func ClientTLSFlags() func() *core.ClientTLS {
	insecure := flag.Bool("insecure", false, "wss: do not check the server's certificate")
	ca := flag.String("ca", "", "wss: PEM file of the authorities to trust instead of the system's")
	return func() *core.ClientTLS { return &core.ClientTLS{Insecure: *insecure, RootCAFile: *ca} }
}

// Scheme returns scheme, such as "http" or "ws", or what it is over TLS.
func Scheme(scheme string, t *core.TLS) string {
	if t != nil {
		return scheme + "s"
	}
	return scheme
}

// SelfSigned makes a certificate for these names and addresses, good for a year,
// and its private key, both DER.
func SelfSigned(names ...string) (cert, key []byte, err error) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: names[0]},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	if cert, err = x509.CreateCertificate(rand.Reader, c, c, &priv.PublicKey, priv); err != nil {
		return nil, nil, err
	}
	key, err = x509.MarshalPKCS8PrivateKey(priv)
	return cert, key, err
}
