package try

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
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

// Cert is a certificate with its private key, for tests.
type Cert struct {
	X509 *x509.Certificate
	// Cert and Key are PEM; CertFile and KeyFile have the same.
	Cert, Key         []byte
	CertFile, KeyFile string
	key               crypto.Signer
}

// NewCA makes an authority.
func NewCA(t testing.TB) *Cert {
	t.Helper()
	return issue(t, nil, newKey(t), func(c *x509.Certificate) {
		c.KeyUsage, c.IsCA, c.BasicConstraintsValid = x509.KeyUsageCertSign, true, true
	}, []string{"test authority"})
}

// SelfSigned makes a certificate that no authority has signed.
func SelfSigned(t testing.TB, names ...string) *Cert {
	t.Helper()
	return issue(t, nil, newKey(t), nil, names)
}

// Issue makes a certificate with an ECDSA key, for servers and clients of these
// names and addresses; the first is also its subject.
func (ca *Cert) Issue(t testing.TB, names ...string) *Cert {
	t.Helper()
	return issue(t, ca, newKey(t), nil, names)
}

// IssueRSA is Issue with an RSA key, which is the same one each time.
func (ca *Cert) IssueRSA(t testing.TB, names ...string) *Cert {
	t.Helper()
	return issue(t, ca, rsaKey(), nil, names)
}

// IssueExpired is Issue with dates that are over.
func (ca *Cert) IssueExpired(t testing.TB, names ...string) *Cert {
	t.Helper()
	return issue(t, ca, newKey(t), func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(0, 0, -3), time.Now().AddDate(0, 0, -2)
	}, names)
}

// Pool has this certificate alone.
func (ca *Cert) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.X509)
	return p
}

// issue makes a certificate; edit may be nil, and without ca it signs itself.
func issue(t testing.TB, ca *Cert, key crypto.Signer, edit func(*x509.Certificate), names []string) *Cert {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	check(t, err)
	c := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: names[0]},
		NotBefore:    time.Now().AddDate(0, 0, -30),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	if edit != nil {
		edit(c)
	}
	if c.IsCA {
		c.DNSNames, c.ExtKeyUsage = nil, nil
	}
	parent, signer := c, key
	if ca != nil {
		parent, signer = ca.X509, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	check(t, err)
	return newCert(t, der, key)
}

func newCert(t testing.TB, der []byte, key crypto.Signer) *Cert {
	t.Helper()
	parsed, err := x509.ParseCertificate(der)
	check(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	dir := t.TempDir()
	c := &Cert{X509: parsed, key: key,
		Cert:     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:      pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		CertFile: filepath.Join(dir, "cert.pem"),
		KeyFile:  filepath.Join(dir, "key.pem")}
	check(t, os.WriteFile(c.CertFile, c.Cert, 0o600))
	check(t, os.WriteFile(c.KeyFile, c.Key, 0o600))
	return c
}

// WriteBoth writes certificate and key to one file, by a new file in its place, as
// whoever renews certificates does.
func (c *Cert) WriteBoth(t testing.TB, file string) {
	t.Helper()
	fresh := file + ".new"
	check(t, os.WriteFile(fresh, bytes.Join([][]byte{c.Cert, c.Key}, nil), 0o600))
	check(t, os.Rename(fresh, file))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

// rsaKey is made once: it takes long.
var rsaKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})
