package browser

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// trusted is the certificate that the browser is told to trust, and its key, DER.
var trusted = sync.OnceValue(func() (c struct{ cert, key []byte }) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(0, 6, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if c.cert, err = x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key); err != nil {
		panic(err)
	}
	if c.key, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		panic(err)
	}
	return c
})

// trustedKey is how Chromium names it: by its public key.
func trustedKey() string {
	cert, err := x509.ParseCertificate(trusted().cert)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// trustedFlags make a server show it.
func trustedFlags(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "both.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted().cert})
	b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: trusted().key})...)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-tls-cert", file}
}

// TestBrowserTLS: the page comes over https, and all its parts are WebSockets over TLS.
// With -tls all the other tests run like this too.
func TestBrowserTLS(t *testing.T) {
	s := startServerAt(t, "https")
	one, other := openPage(t, s.url("")), openPage(t, s.url(""))
	if got := eval[string](one, `import("/anyloop-dim.js").then((m) =>
		location.protocol + " " + isSecureContext + " " + m.socketURL())`); got != "https: true wss://"+s.addr+"/" {
		t.Errorf("the page is %q", got)
	}
	one.drag(point{40, 30}, point{200, 150})
	other.waitInk("#3b82f6", point{120, 90})
	one.wait("the number has grown", `Number(document.getElementById("inc-value").textContent) >= 5`)
	one.click("echo-start")
	one.wait("a round-trip time shows", `parseFloat(document.getElementById("echo-rtt").textContent) > 0`)
	one.wait("our connections are listed", `["lws-status", "lws-mirror-protocol", "dumb-increment-protocol", "anyloop-echo"]
		.every((name) => document.getElementById("status-conns").textContent.includes(name))`)
	one.click("inc-close")
	one.waitLive()

	s.interrupt(t)
	one.wait("the page is dimmed", `document.getElementById("anyloop-dim").dataset.visible === "true"`)
	s.start(t)
	one.waitLive()
	other.waitLive()
}

// TestBrowserPlainIsRedirected: who asks for the page without TLS comes to it with.
func TestBrowserPlainIsRedirected(t *testing.T) {
	s := startServerAt(t, "https")
	p := openPage(t, "http://"+s.addr+"/")
	if got := eval[string](p, "location.href"); got != s.url("") {
		t.Errorf("the page is at %q", got)
	}
}

// TestBrowserTrustsNoOther: the browser of these tests does look at certificates.
func TestBrowserTrustsNoOther(t *testing.T) {
	chromium(t)
	s := &server{addr: freeAddr(t), scheme: "https", flags: []string{"-tls-self"}}
	s.start(t)
	t.Cleanup(s.kill)
	ctx, cancel := chromedp.NewContext(startBrowser(t))
	defer cancel()
	err := chromedp.Do(ctx, chromedp.Navigate(s.url("")))
	if err == nil || !strings.Contains(err.Error(), "ERR_CERT_AUTHORITY_INVALID") {
		t.Errorf("a stranger's certificate: %v", err)
	}
}

// TestBrowserDeflateTLS: compression and TLS at once.
func TestBrowserDeflateTLS(t *testing.T) {
	s := startServerAt(t, "https") // for a page to talk from
	p := openPage(t, s.url(""))
	addr := startEcho(t, append(trustedFlags(t), "-deflate", "-takeover", "-window", "15")...)
	got := eval[string](p, strings.Replace(talk, "URL", "wss://"+addr+"/", 1))
	if want := "permessage-deflate|1000|goodbye|true"; got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
}
