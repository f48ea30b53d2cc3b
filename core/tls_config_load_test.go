package core

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLoadBytes: certificate and key in every form.
func TestLoadBytes(t *testing.T) {
	ca := newTestCA(t).intermediate(t, nil)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for _, key := range []crypto.Signer{newECKey(t), rsaKey(), ed} {
		cert, certPEM, keyPEM := ca.leafOf(t, key, nil, "a.test")
		p8, _ := pem.Decode(keyPEM)
		keys := [][]byte{keyPEM, p8.Bytes}
		switch key := key.(type) {
		case *rsa.PrivateKey:
			keys = append(keys, x509.MarshalPKCS1PrivateKey(key))
		case ed25519.PrivateKey:
		default:
			der, err := x509.MarshalECPrivateKey(newECKey(t))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := loadBytes(certPEM, der); err == nil {
				t.Error("another key does as well")
			}
			der, _ = x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
			keys = append(keys, der, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
		}
		for i, k := range keys {
			for j, c := range [][]byte{certPEM, slices.Concat(cert.Certificate...)} {
				got, err := loadBytes(c, k)
				if err != nil || len(got.Certificate) != 2 || got.Leaf == nil || !got.Leaf.Equal(cert.Leaf) {
					t.Errorf("%T, key %d, certificate %d: %v", key, i, j, err)
				}
			}
		}
		if got, err := loadBytes(append(slices.Clone(keyPEM), certPEM...), nil); err != nil || got.PrivateKey == nil {
			t.Errorf("%T, key and certificate in one: %v", key, err)
		}
	}
}

// TestLoadBytesErrors: encrypted keys are called that, and rubbish is refused.
func TestLoadBytesErrors(t *testing.T) {
	_, certPEM, keyPEM := newTestCA(t).leaf(t, "a.test")
	p8, _ := pem.Decode(keyPEM)
	// EncryptedPrivateKeyInfo: an algorithm without parameters, and four bytes.
	encrypted := []byte{0x30, 0x11, 0x30, 0x09, 0x06, 0x07, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x04, 0x04, 1, 2, 3, 4}
	for name, key := range map[string][]byte{
		"PKCS#8":     pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: encrypted}),
		"by headers": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "x"}, Bytes: []byte{1}}),
		"DER":        encrypted,
	} {
		if _, err := loadBytes(certPEM, key); !errors.Is(err, errEncryptedKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][2][]byte{
		"no certificate":      {{1, 2, 3}, keyPEM},
		"no key":              {certPEM, {1, 2, 3}},
		"nothing":             {certPEM, nil},
		"swapped":             {keyPEM, certPEM},
		"half a key":          {certPEM, p8.Bytes[:len(p8.Bytes)/2]},
		"rest behind the DER": {append(mustDER(certPEM), 0), keyPEM},
	} {
		if _, err := loadBytes(b[0], b[1]); err == nil || errors.Is(err, errEncryptedKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func mustDER(p []byte) []byte {
	b, _ := pem.Decode(p)
	return b.Bytes
}

// TestLoadFilesNamesFile: of several vhosts' files, the error says which.
func TestLoadFilesNamesFile(t *testing.T) {
	_, certPEM, _ := newTestCA(t).leaf(t, "a.test")
	crt := inFile(t, "crt.pem", certPEM)
	if _, err := loadFiles(crt, inFile(t, "key.pem", second(newTestCA(t).leaf(t)))); err == nil || !strings.Contains(err.Error(), "crt.pem") {
		t.Error(err)
	}
	if _, err := loadFiles(crt, crt+".key"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestCertificateDates: the log warns of dates, by the engine's clock.
func TestCertificateDates(t *testing.T) {
	cert, _, _ := newTestCA(t).leaf(t, "a.test")
	from, until := cert.Leaf.NotBefore, cert.Leaf.NotAfter
	for _, test := range []struct {
		now  time.Time
		want string
	}{
		{from, ""}, {from.Add(-1), "not valid yet"}, {until.Add(-soon), ""}, {until.Add(-soon + 1), "expires soon"},
		{until, "expires soon"}, {until.Add(1), "has expired"},
	} {
		vh, log := testVHost()
		vh.eng.clock = func() time.Time { return test.now }
		if _, err := newVHostTLS(vh, &TLS{Config: &tls.Config{Certificates: []tls.Certificate{cert}}}); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%v: %q", test.now, got)
		}
	}
}

// TestReload: a reload is used from the next handshake on; one that fails changes
// nothing.
func TestReload(t *testing.T) {
	ca, dir := newTestCA(t), t.TempDir()
	crt, key := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	put := func() *x509.Certificate {
		cert, certPEM, keyPEM := ca.leaf(t, "a.test")
		os.WriteFile(crt, certPEM, 0o600)
		os.WriteFile(key, keyPEM, 0o600)
		return cert.Leaf
	}
	shown := func(v *vhostTLS) *x509.Certificate {
		t.Helper()
		srv, cli := v.with(trusting(ca))
		talks(t, srv, cli)
		return cli.state.PeerCertificates[0]
	}
	one := put()
	v := serving(t, TLS{CertFile: crt, KeyFile: key, IgnoreMissing: true})
	two := put()
	if !shown(v).Equal(one) {
		t.Error("used before the reload")
	}
	if err := v.vh.ReloadTLS(); err != nil || !shown(v).Equal(two) {
		t.Errorf("not used after the reload: %v", err)
	}
	put()
	os.Remove(key)
	if err := v.vh.ReloadTLS(); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), `core: vhost "test": TLS: `) {
		t.Error(err)
	}
	if !shown(v).Equal(two) {
		t.Error("a failed reload has changed something")
	}
	vh, _ := testVHost()
	if err := vh.ReloadTLS(); err != errNotTLS {
		t.Error(err)
	}
}

// TestMissing: a vhost without its certificate refuses handshakes by
// unrecognized_name, even those with a ticket, until a reload finds it.
func TestMissing(t *testing.T) {
	ca := newTestCA(t)
	_, certPEM, keyPEM := ca.leaf(t, "a.test")
	file := filepath.Join(t.TempDir(), "both")
	vh, log := testVHost()
	keys := [][32]byte{{1}}
	v, err := newVHostTLS(vh, &TLS{CertFile: file, IgnoreMissing: true, TicketKeys: keys})
	if err != nil {
		t.Fatal(err)
	}
	vh.tls = v
	if !strings.Contains(log.String(), "no certificate yet") {
		t.Errorf("log: %q", log)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := trusting(ca)
		c.MaxVersion, c.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
		if srv, cli := serving(t, TLS{Cert: certPEM, Key: keyPEM, TicketKeys: keys}).with(c); !srv.done || !cli.done {
			t.Fatal(srv.err, cli.err)
		}
		if srv, cli := v.with(c); srv.done || cli.err == nil || !strings.Contains(cli.err.Error(), "unrecognized name") {
			t.Errorf("%s: %v, %v", tls.VersionName(version), srv.err, cli.err)
		}
	}
	if err := vh.ReloadTLS(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still missing: %v", err)
	}
	os.WriteFile(file, append(certPEM, keyPEM...), 0o600)
	if err := vh.ReloadTLS(); err != nil {
		t.Fatal(err)
	}
	srv, cli := v.with(trusting(ca))
	talks(t, srv, cli)
}
