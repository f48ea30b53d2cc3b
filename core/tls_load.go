package core

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"
)

var errEncryptedKey = errors.New("the private key is encrypted; it must be stored without a password")

// loadFiles reads a certificate and its key from PEM files; without keyFile, the
// key is in certFile.
func loadFiles(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key := cert
	if keyFile != "" {
		if key, err = os.ReadFile(keyFile); err != nil {
			return tls.Certificate{}, err
		}
	}
	c, err := keyPair(cert, key)
	if err != nil {
		return c, fmt.Errorf("%s: %w", certFile, err)
	}
	return c, nil
}

// loadBytes is loadFiles for bytes, which may be DER.
func loadBytes(cert, key []byte) (tls.Certificate, error) {
	if len(key) == 0 {
		key = cert
	}
	cert, err := certPEM(cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	if !isPEM(key) {
		if encryptedDER(key) {
			return tls.Certificate{}, errEncryptedKey
		}
		// This label stands for all forms of keys that crypto/tls tries.
		key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	}
	return keyPair(cert, key)
}

func isPEM(b []byte) bool { return bytes.Contains(b, []byte("-----BEGIN ")) }

// certPEM turns certificates in DER, one or several on end, into PEM.
func certPEM(b []byte) ([]byte, error) {
	if isPEM(b) {
		return b, nil
	}
	certs, err := x509.ParseCertificates(b)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out, nil
}

// keyPair joins certificate and key, both PEM.
func keyPair(cert, key []byte) (tls.Certificate, error) {
	if encryptedPEM(key) {
		return tls.Certificate{}, errEncryptedKey
	}
	return tls.X509KeyPair(cert, key)
}

// encryptedPEM reports whether the first private key in b is encrypted: in
// PKCS#8 (RFC 5958 3), or in the older way by header fields (RFC 1421 4.6.1.1).
func encryptedPEM(b []byte) bool {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return false
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block.Type == "ENCRYPTED PRIVATE KEY" ||
				strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
		}
	}
}

// encryptedDER reports whether b is an EncryptedPrivateKeyInfo (RFC 5958 3).
func encryptedDER(b []byte) bool {
	var k struct {
		Algo pkix.AlgorithmIdentifier
		Data []byte
	}
	rest, err := asn1.Unmarshal(b, &k)
	return err == nil && len(rest) == 0
}

// setLeaf parses the leaf certificate once, instead of in each handshake.
func setLeaf(c *tls.Certificate) error {
	if len(c.Certificate) == 0 {
		return errors.New("a certificate of Config is empty")
	}
	if c.Leaf != nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	c.Leaf = leaf
	return err
}

// withLeaves returns a copy of certs whose leaves are parsed.
func withLeaves(certs []tls.Certificate) ([]tls.Certificate, error) {
	certs = slices.Clone(certs)
	for i := range certs {
		if err := setLeaf(&certs[i]); err != nil {
			return nil, err
		}
	}
	return certs, nil
}

// loadPool reads the certificates of a PEM file into a copy of base; nil is an
// empty one.
func loadPool(file string, base *x509.CertPool) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if base != nil {
		pool = base.Clone()
	}
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: no certificate in it", file)
	}
	return pool, nil
}

// soon is how long before a certificate's end the log warns.
const soon = 14 * 24 * time.Hour

// warnDates logs what is wrong with a certificate's dates.
func warnDates(log *slog.Logger, leaf *x509.Certificate, now time.Time) {
	what := ""
	switch {
	case now.After(leaf.NotAfter):
		what = "the certificate has expired"
	case now.Before(leaf.NotBefore):
		what = "the certificate is not valid yet"
	case now.Add(soon).After(leaf.NotAfter):
		what = "the certificate expires soon"
	default:
		return
	}
	log.Warn(what, "subject", leaf.Subject.String(), "from", leaf.NotBefore, "until", leaf.NotAfter)
}
