package tlsio

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"time"
)

// keys are the certificates of the tests, and an authority that has signed them.
type keys struct {
	ecdsa, rsa tls.Certificate
	stranger   tls.Certificate // signed by itself
	pool       *x509.CertPool
}

var certs = sync.OnceValue(func() *keys {
	caKey := newECDSA()
	ca := certificate("authority", caKey, nil, nil)
	k := &keys{pool: x509.NewCertPool()}
	k.pool.AddCert(ca.Leaf)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	k.ecdsa = certificate("test.example", newECDSA(), ca.Leaf, caKey)
	k.rsa = certificate("test.example", rsaKey, ca.Leaf, caKey)
	k.stranger = certificate("test.example", newECDSA(), nil, nil)
	return k
})

func newECDSA() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	return key
}

// certificate makes one for key, signed by itself if parent is nil.
func certificate(name string, key crypto.Signer, parent *x509.Certificate, parentKey crypto.Signer) tls.Certificate {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.ExtKeyUsage = true, true, nil
		parent, parentKey = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), parentKey)
	check(err)
	leaf, err := x509.ParseCertificate(der)
	check(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
