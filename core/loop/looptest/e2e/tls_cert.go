package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// authority issues certificates with ECDSA keys.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

// identity is an authority and a certificate of its own, for every name that the
// cases use.
type identity struct {
	*authority
	leaf tls.Certificate
}

// ours is the identity of the suite's servers.
var ours = sync.OnceValue(func() identity {
	a := newAuthority()
	return identity{a, a.issue(nil, "test", "localhost", "x", "127.0.0.1", "::1")}
})

func newAuthority() *authority {
	c := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "e2e authority"},
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	a := &authority{key: newKey(), pool: x509.NewCertPool()}
	a.cert = certify(c, c, a.key, a.key)
	a.pool.AddCert(a.cert)
	return a
}

// issue makes a certificate for names and addresses. edit, if not nil, changes it
// before it is signed.
func (a *authority) issue(edit func(*x509.Certificate), names ...string) tls.Certificate {
	key := newKey()
	c := request(edit, names)
	leaf := certify(c, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// selfSigned is a certificate that no authority has signed.
func selfSigned(names ...string) tls.Certificate {
	key := newKey()
	c := request(nil, names)
	leaf := certify(c, c, key, key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func request(edit func(*x509.Certificate), names []string) *x509.Certificate {
	c := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
	if edit != nil {
		edit(c)
	}
	return c
}

// certify signs c, whose key is key, by the authority above, whose key is signer.
// That it fails is impossible but for a lack of random numbers, of which there is
// none.
func certify(c, above *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	c.SerialNumber, _ = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, above, &key.PublicKey, signer)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// server is how a server with this identity speaks.
func (id identity) server() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{id.leaf}} }

// client is how a client that trusts the authority speaks, to a server of that
// name; "": the one that it dials. Its key exchange costs a fifth of the usual
// one under the race detector.
func (a *authority) client(name string) *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: name, CurvePreferences: []tls.CurveID{tls.CurveP256}}
}

// pemOf is a certificate and its key as files have them.
func pemOf(c tls.Certificate) (cert, key []byte) {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
