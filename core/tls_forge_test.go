package core_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// forger makes records of TLS 1.3 that crypto/tls never sends, under the traffic keys
// of one side.
type forger struct {
	t      testing.TB
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// keyLog makes cfg note its secrets.
func keyLog(cfg *tls.Config) *bytes.Buffer {
	log := new(bytes.Buffer)
	cfg.KeyLogWriter = log
	return log
}

// forge goes on for p, a client that has said nothing since its handshake. From then on
// everything that p says must be forged.
func (p *tlsPeer) forge(log *bytes.Buffer) *forger {
	p.t.Helper()
	if p.state.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		p.t.Skip("crypto/tls does not choose AES-128-GCM on this machine")
	}
	for _, line := range strings.Split(log.String(), "\n") {
		if w := strings.Fields(line); len(w) == 3 && w[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(w[2])
			f := &forger{t: p.t, secret: secret}
			f.must(err)
			f.rekey()
			return f
		}
	}
	p.t.Fatal("no secret was noted")
	return nil
}

func (f *forger) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// derive is HKDF-Expand-Label without a context (RFC 8446 7.1).
func (f *forger) derive(label string, n int) []byte {
	label = "tls13 " + label
	info := append([]byte{0, byte(n), byte(len(label))}, label...)
	key, err := hkdf.Expand(sha256.New, f.secret, string(append(info, 0)), n)
	f.must(err)
	return key
}

func (f *forger) rekey() {
	block, err := aes.NewCipher(f.derive("key", 16))
	f.must(err)
	f.aead, err = cipher.NewGCM(block)
	f.must(err)
	f.iv, f.seq = f.derive("iv", 12), 0
}

// record encrypts content of the given type (RFC 8446 5.2).
func (f *forger) record(typ byte, content []byte) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint64(nonce[4:], f.seq)
	for i := range nonce {
		nonce[i] ^= f.iv[i]
	}
	f.seq++
	inner := append(bytes.Clone(content), typ)
	n := len(inner) + f.aead.Overhead()
	head := []byte{23, 3, 3, byte(n >> 8), byte(n)}
	return f.aead.Seal(head, nonce, inner, head)
}

// data is a record of application data.
func (f *forger) data(s string) []byte { return f.record(23, []byte(s)) }

// keyUpdate changes the keys, and asks for as much (RFC 8446 4.6.3).
func (f *forger) keyUpdate() []byte {
	rec := f.record(22, []byte{24, 0, 0, 1, 1})
	f.secret = f.derive("traffic upd", 32)
	f.rekey()
	return rec
}

// TestTLSKeyUpdateSplit: new keys in the middle of a WebSocket, cut at every byte.
func TestTLSKeyUpdateSplit(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		if m.version != tls.VersionTLS13 {
			return // TLS 1.2 has no such message
		}
		w := m.openEcho(t)
		p := w.secretLogged()
		f := p.forge(p.log)
		p.Write(f.data(handshake + "\r\n"))
		if got := p.hear(); !strings.HasPrefix(got, "HTTP/1.1 101 ") {
			t.Fatalf("heard %q", got)
		}
		for cut, n := 0, 1; cut < n; cut++ {
			b := append(f.keyUpdate(), f.data(string(maskedText("new keys")))...)
			n = len(b)
			p.Write(b[:cut])
			w.drive()
			p.Write(b[cut:])
			p.want(`text "new keys"`)
		}
	})
}
