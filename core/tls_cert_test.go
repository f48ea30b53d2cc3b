package core

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// testCA is an authority in memory.
type testCA struct {
	cert  *x509.Certificate
	key   crypto.Signer
	chain [][]byte // DER, what a leaf is sent with: its own certificate and those above, without the root's
}

// NewTestCA is newTestCA for tests outside the package.
func NewTestCA(t testing.TB) *testCA { return newTestCA(t) }

// newTestCA makes a root.
func newTestCA(t testing.TB) *testCA {
	t.Helper()
	c := template("test root")
	asCA(c)
	key := newECKey(t)
	return &testCA{cert: sign(t, c, c, key.Public(), key), key: key}
}

// intermediate makes an authority below ca. edit may be nil.
func (ca *testCA) intermediate(t testing.TB, edit func(*x509.Certificate)) *testCA {
	t.Helper()
	c := template("test intermediate")
	asCA(c)
	if edit != nil {
		edit(c)
	}
	key := newECKey(t)
	cert := sign(t, c, ca.cert, key.Public(), ca.key)
	return &testCA{cert: cert, key: key, chain: append([][]byte{cert.Raw}, ca.chain...)}
}

// Leaf is leaf for tests outside the package.
func (ca *testCA) Leaf(t testing.TB, names ...string) (cert tls.Certificate, certPEM, keyPEM []byte) {
	t.Helper()
	return ca.leaf(t, names...)
}

// leaf makes a certificate with an ECDSA key, valid from an hour ago for a year, for
// servers and clients. Names are host names or IP addresses.
func (ca *testCA) leaf(t testing.TB, names ...string) (cert tls.Certificate, certPEM, keyPEM []byte) {
	t.Helper()
	return ca.leafOf(t, newECKey(t), nil, names...)
}

// leafOf is leaf with a key of the caller's, and edit, if not nil, changes what is signed.
func (ca *testCA) leafOf(t testing.TB, key crypto.Signer, edit func(*x509.Certificate), names ...string) (cert tls.Certificate, certPEM, keyPEM []byte) {
	t.Helper()
	c := template("test leaf")
	addNames(c, names)
	if edit != nil {
		edit(c)
	}
	leaf := sign(t, c, ca.cert, key.Public(), ca.key)
	return bundle(t, append([][]byte{leaf.Raw}, ca.chain...), key)
}

// selfSignedLeaf makes a certificate that has signed itself and is no authority's.
func selfSignedLeaf(t testing.TB, edit func(*x509.Certificate), names ...string) (cert tls.Certificate, certPEM, keyPEM []byte) {
	t.Helper()
	c := template("test self-signed")
	addNames(c, names)
	if edit != nil {
		edit(c)
	}
	key := newECKey(t)
	return bundle(t, [][]byte{sign(t, c, c, key.Public(), key).Raw}, key)
}

// pool returns a pool with ca's certificate.
func (ca *testCA) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.cert)
	return p
}

// pem returns ca's certificate.
func (ca *testCA) pem() []byte { return certsPEM([][]byte{ca.cert.Raw}) }

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name + " " + serial.String()},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func asCA(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().AddDate(-10, 0, 0), time.Now().AddDate(10, 0, 0)
	c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign, nil
	c.IsCA, c.BasicConstraintsValid = true, true
}

func addNames(c *x509.Certificate, names []string) {
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
}

func sign(t testing.TB, c, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func bundle(t testing.TB, chain [][]byte, key crypto.Signer) (cert tls.Certificate, certPEM, keyPEM []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM = certsPEM(chain)
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if cert, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	return cert, certPEM, keyPEM
}

func certsPEM(chain [][]byte) []byte {
	var b bytes.Buffer
	for _, der := range chain {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return b.Bytes()
}

func newECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rsaKey is made once: it takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// inFile writes b to a file of its own and returns the name.
func inFile(t testing.TB, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}
