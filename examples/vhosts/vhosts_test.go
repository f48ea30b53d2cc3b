package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core/loop/looptest/client"
	"anyloop/examples/internal/try"
)

// running is the program.
type running struct {
	*try.Talking
	addr string
	hups int
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	p := try.Talk(t, append([]string{try.Program(t, "."), "-addr", "127.0.0.1:0"}, args...)...)
	return &running{Talking: p, addr: p.Until(`https://(\S+)/ on`)[1]}
}

// reload sends SIGHUP and waits until two names have taken note of it.
func (r *running) reload() {
	r.Signal(syscall.SIGHUP)
	r.hups++
	r.Until(fmt.Sprintf(`(?s)(vhosts: \S+ (has read|keeps).*){%d}`, 2*r.hups))
}

// shake begins TLS for a name.
func (r *running) shake(t *testing.T, name string) *tls.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", r.addr, try.Bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(try.Bound))
	s := tls.Client(c, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := s.Handshake(); err != nil {
		t.Fatal(err)
	}
	return s
}

// shows returns the serial number of the certificate that a name shows, which must
// be for that name.
func (r *running) shows(t *testing.T, name string) string {
	t.Helper()
	leaf := r.shake(t, name).ConnectionState().PeerCertificates[0]
	if err := leaf.VerifyHostname(name); err != nil {
		t.Error(err)
	}
	return leaf.SerialNumber.String()
}

// TestSelfMade: without files each name has a certificate, a page and a WebSocket of
// its own, and another certificate after SIGHUP.
func TestSelfMade(t *testing.T) {
	r := start(t)
	for _, name := range []string{"a.localhost", "b.localhost"} {
		before := r.shows(t, name)
		c := client.New(r.shake(t, name))
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name)
		res, err := c.Response("GET")
		if err != nil || !strings.Contains(string(res.Body), "This is "+name) {
			t.Errorf("%s serves %v, %v", name, res, err)
		}
		r.reload()
		if r.shows(t, name) == before {
			t.Errorf("%s shows the same certificate", name)
		}
	}
	stops(t, r)
}

// stops ends the program as Ctrl-C does.
func stops(t *testing.T, r *running) {
	t.Helper()
	r.Signal(os.Interrupt)
	if out := r.End(); strings.Contains(out, "panic") || strings.Contains(out, "level=ERROR") {
		t.Error(out)
	}
}

// TestReload: SIGHUP takes a new certificate while a WebSocket stays open and a
// download goes on; a file that is broken, or gone, leaves its name as it was, and not
// the other.
func TestReload(t *testing.T) {
	ca, dir := try.NewCA(t), t.TempDir()
	a, b, big := filepath.Join(dir, "a.pem"), filepath.Join(dir, "b.pem"), filepath.Join(dir, "big")
	ca.Issue(t, "a.test").WriteBoth(t, a)
	ca.Issue(t, "x.b.test", "*.b.test").WriteBoth(t, b)
	const size = 32 << 20
	if err := os.WriteFile(big, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, "-cert", "a.test="+a, "-cert", "*.b.test="+b, "-www", dir)
	ws := &try.WS{Conn: client.New(r.shake(t, "x.b.test"))}
	if err := ws.Upgrade(""); err != nil {
		t.Fatal(err)
	}
	download := r.shake(t, "a.test")
	fmt.Fprint(download, "GET /files/big HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
	begun := client.New(download)
	var first [1]byte
	if _, err := io.ReadFull(begun, first[:]); err != nil { // it goes on, and is more than a socket takes
		t.Fatal(err)
	}

	oldA, oldB := r.shows(t, "a.test"), r.shows(t, "x.b.test")
	ca.Issue(t, "a.test").WriteBoth(t, a)
	r.reload()
	newA := r.shows(t, "a.test")
	if newA == oldA || r.shows(t, "x.b.test") != oldB {
		t.Errorf("a.test showed %s, shows %s; x.b.test's has changed: %v", oldA, newA, r.shows(t, "x.b.test") != oldB)
	}
	if err := os.WriteFile(a, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.reload()
	os.Remove(a)
	ca.Issue(t, "x.b.test").WriteBoth(t, b)
	r.reload()
	r.Times("a.test keeps its certificate", 2)
	if r.shows(t, "a.test") != newA || r.shows(t, "x.b.test") == oldB {
		t.Error("a broken file has changed its name's certificate, or a good one has not")
	}

	ws.Send("still there")
	ws.Want(t, "a.test: still there") // its Host is nobody's: the first serves it
	rest, err := io.ReadAll(begun)
	if err != nil || len(rest) < size {
		t.Errorf("%d bytes came of a download of %d, %v", len(rest), size, err)
	}
	stops(t, r)
}

// TestFlags: what is wrong with -cert is said, and ends it.
func TestFlags(t *testing.T) {
	bin := try.Program(t, ".")
	for arg, want := range map[string]string{
		"a.test":                "use 'name=cert.pem,key.pem'",
		"=a.pem":                "use 'name=cert.pem,key.pem'",
		"a.test=":               "use 'name=cert.pem,key.pem'",
		"a.test=/nonexistent/a": "no such file",
		"a.test=main.go":        "TLS: main.go",
	} {
		if status, out := try.Status(t, nil, bin, "-addr", "127.0.0.1:0", "-cert", arg); status == 0 || !strings.Contains(out, want) {
			t.Errorf("-cert %s: status %d: %s", arg, status, out)
		}
	}
	files := try.NewCA(t).Issue(t, "localhost")
	r := start(t, "-cert", "localhost="+files.CertFile+","+files.KeyFile, "-threads", "2")
	roots := http.Client{Timeout: try.Bound, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	res, err := roots.Get("https://" + r.addr + "/")
	if err != nil || res.StatusCode != 200 {
		t.Errorf("two files: %v, %v", res, err)
	}
	roots.CloseIdleConnections()
	stops(t, r)
}
