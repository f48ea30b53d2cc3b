package interop

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/mount"
	"anyloop/examples/internal/try"
)

// curls runs curl for names that are all at addr, and returns its status and what it
// printed. PORT in args stands for addr's.
func curls(t *testing.T, addr string, ca *try.Cert, args ...string) (status int, out string) {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	argv := []string{"-sS", "-i", "--max-time", "50", "--cacert", ca.CertFile}
	for _, name := range []string{"a.test", "b.test", "c.test"} {
		argv = append(argv, "--resolve", name+":"+port+":127.0.0.1")
	}
	for _, a := range args {
		argv = append(argv, strings.ReplaceAll(a, "PORT", port))
	}
	return try.Status(t, nil, try.Need(t, "curl", "curl"), argv...)
}

// TestCurlTLSOnEveryLoop: the test server's page, its certificate checked, and eight
// requests over one connection.
func TestCurlTLSOnEveryLoop(t *testing.T) {
	curl, ca := try.Need(t, "curl", "curl"), try.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	for _, loop := range loops {
		t.Run(loop, func(t *testing.T) {
			base := "https://" + start(t, "server", "-loop", loop, "-log", "warn", "-tls-cert", cert.CertFile, "-tls-key", cert.KeyFile)
			page := output(t, "", nil, curl, "-sS", "-i", "--max-time", "50", "--cacert", ca.CertFile, base+"/")
			wants(t, page, "HTTP/1.1 200 OK", "content-type: text/html", "<canvas")
			args := []string{curl, "-sS", "--max-time", "50", "--cacert", ca.CertFile, "-w", "%{num_connects} "}
			for range 8 {
				args = append(args, "-o", "/dev/null", base+"/")
			}
			if got := output(t, "", nil, args...); got != "1 0 0 0 0 0 0 0 " {
				t.Errorf("connections made by each of 8 requests: %.100q", got)
			}
			if status, out := try.Status(t, nil, curl, "-sS", "--max-time", "50", base+"/"); status != 60 {
				t.Errorf("without the authority: status %d: %s", status, out)
			}
		})
	}
}

// TestCurlVHosts: two names on one port have their own certificates, pages and HSTS; a
// name that is nobody's, and one that the connection is not for, get 421 where names
// are strict.
func TestCurlVHosts(t *testing.T) {
	ca := try.NewCA(t)
	strict := func(name string, secure core.TLS) core.VHost {
		vh := named(name, ca.Issue(t, name), secure)
		vh.StrictHost = true
		return vh
	}
	eng := together(t, strict("a.test", core.TLS{HSTS: time.Hour}), strict("b.test", core.TLS{}))
	addr := eng.VHost("a.test").Addr()
	for _, tc := range []struct {
		want, lacks string
		args        []string
	}{
		{"this is a.test", "HTTP/1.1 421", []string{"https://a.test:PORT/"}},
		{"strict-transport-security: max-age=3600\r\n", "", []string{"https://a.test:PORT/"}},
		{"this is b.test", "strict-transport", []string{"https://b.test:PORT/"}},
		{"HTTP/1.1 421", "this is", []string{"-H", "Host: b.test", "https://a.test:PORT/"}},
		{"HTTP/1.1 421", "this is", []string{"-H", "Host: c.test", "https://a.test:PORT/"}},
		{"no alternative certificate subject name", "HTTP/1.1", []string{"https://c.test:PORT/"}},
		{"HTTP/1.1 421", "this is", []string{"-k", "https://c.test:PORT/"}},
		{"this is a.test", "", []string{"--tls-max", "1.2", "https://a.test:PORT/"}},
	} {
		if _, out := curls(t, addr, ca, tc.args...); !strings.Contains(out, tc.want) || tc.lacks != "" && strings.Contains(out, tc.lacks) {
			t.Errorf("%v: no %q, or %q, in:\n%s", tc.args, tc.want, tc.lacks, out)
		}
	}
}

// TestCurlPlainHTTP: what each policy makes of HTTP without TLS.
func TestCurlPlainHTTP(t *testing.T) {
	ca := try.NewCA(t)
	for _, tc := range []struct {
		name  string
		plain core.PlainPolicy
		want  string
	}{
		{"refuse", core.PlainRefuse, "HTTP/1.1 400"},
		{"redirect", core.PlainRedirect, "HTTP/1.1 301"},
		{"serve", core.PlainServe, "this is a.test"},
		{"close", core.PlainClose, "curl: ("}, // an empty reply, or a reset
	} {
		t.Run(tc.name, func(t *testing.T) {
			eng := try.Engine(t, named("a.test", ca.Issue(t, "a.test"), core.TLS{Plain: tc.plain, HSTS: time.Hour}))
			addr := eng.VHost("a.test").Addr()
			status, out := curls(t, addr, ca, "http://a.test:PORT/where?it=is")
			if closed := tc.plain == core.PlainClose; (status != 0) != closed || closed && strings.Contains(out, "HTTP/") ||
				!strings.Contains(out, tc.want) || strings.Contains(out, "strict-transport") {
				t.Errorf("status %d: %s", status, out)
			}
			if tc.plain == core.PlainRedirect {
				_, port, _ := net.SplitHostPort(addr)
				wants(t, out, "location: https://a.test:"+port+"/where?it=is\r\n")
				_, out = curls(t, addr, ca, "-L", "http://a.test:PORT/where?it=is")
				wants(t, out, "HTTP/1.1 301", "HTTP/1.1 200", "this is a.test")
			}
			_, out = curls(t, addr, ca, "https://a.test:PORT/")
			wants(t, out, "this is a.test")
		})
	}
}

// TestCurlClientCertificate: curl shows one, or cannot get in.
func TestCurlClientCertificate(t *testing.T) {
	ca := try.NewCA(t)
	client := ca.Issue(t, "client")
	eng := try.Engine(t, named("a.test", ca.Issue(t, "a.test"), core.TLS{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}))
	addr := eng.VHost("a.test").Addr()
	_, out := curls(t, addr, ca, "--cert", client.CertFile, "--key", client.KeyFile, "https://a.test:PORT/")
	wants(t, out, "this is a.test")
	if status, out := curls(t, addr, ca, "https://a.test:PORT/"); status == 0 || !strings.Contains(out, "certificate required") {
		t.Errorf("without one: status %d: %s", status, out)
	}
}

// TestCurlDownload: 10 MB come as they are, at once and when the client takes its time.
func TestCurlDownload(t *testing.T) {
	ca, dir := try.NewCA(t), t.TempDir()
	data := make([]byte, 10<<20)
	rand.Read(data)
	if err := os.WriteFile(filepath.Join(dir, "big"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, lend := range []bool{false, true} {
		vh := named("a.test", ca.Issue(t, "a.test"), core.TLS{LendBuffers: lend})
		vh.Mounts = []core.Mount{mount.Files("/files/", os.DirFS(dir))}
		eng := try.Engine(t, vh)
		for _, slow := range [][]string{nil, {"--limit-rate", "8M"}, {"--tls-max", "1.2"}} {
			got := filepath.Join(t.TempDir(), "got")
			status, out := curls(t, eng.VHost("a.test").Addr(), ca, append(slow, "--no-include", "-o", got, "https://a.test:PORT/files/big")...)
			if b, err := os.ReadFile(got); status != 0 || err != nil || !bytes.Equal(b, data) {
				t.Errorf("%v: %d bytes, %v, status %d: %s", slow, len(b), err, status, out)
			}
		}
	}
}

// TestCurlUpgrade: curl asks for a WebSocket by hand, as all its versions can, and gets
// what the server says there.
func TestCurlUpgrade(t *testing.T) {
	ca := try.NewCA(t)
	vh := named("a.test", ca.Issue(t, "a.test"), core.TLS{})
	vh.Limits.CloseTimeout = 10 * time.Millisecond // curl does not answer our Close
	vh.Protocols[0].WS = func(*core.Conn) core.WSHandler { return new(farewell) }
	eng := try.Engine(t, vh)
	_, out := curls(t, eng.VHost("a.test").Addr(), ca, "--http1.1", "-N", "-H", "Upgrade: websocket", "-H", "Connection: Upgrade",
		"-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H", "Sec-WebSocket-Version: 13", "https://a.test:PORT/")
	wants(t, out, "HTTP/1.1 101", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "\x81\x07welcome", "\x88\x08\x03\xe8enough")
}

// farewell says welcome and closes.
type farewell struct{ said bool }

func (*farewell) Opened(c *core.Conn, _ *core.Request) error { return c.RequestWritable() }
func (*farewell) Receive(*core.Conn, core.Fragment) error    { return nil }
func (f *farewell) Writable(c *core.Conn, w *core.WSWriter) error {
	if !f.said {
		f.said = true
		c.RequestWritable()
		return w.Text([]byte("welcome"))
	}
	return c.Close(1000, "enough")
}
