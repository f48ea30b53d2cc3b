package interop

import (
	"crypto/x509"
	"errors"
	"net"
	"os/exec"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/examples/internal/tap"
	"anyloop/examples/internal/try"
)

// trusting makes Node and Python trust an authority, and it alone.
func trusting(ca *try.Cert) []string {
	return []string{"NODE_EXTRA_CA_CERTS=" + ca.CertFile, "SSL_CERT_FILE=" + ca.CertFile}
}

// TestBothRolesTLS is TestBothRoles over TLS, with the certificate checked: what is on
// the wire is for the two alone, so that the driver and the echo say whether all came.
func TestBothRolesTLS(t *testing.T) {
	folder, ca := tap.Folder(t), try.NewCA(t)
	cert := ca.Issue(t, "localhost", "127.0.0.1")
	for i, p := range peers {
		for _, pr := range pairings {
			if pr.name != "off" && pr.name != "takeover 15" {
				continue
			}
			options := []string{pr.node, pr.python}[i]
			t.Run(p.name+"/server/"+pr.name, func(t *testing.T) {
				argv, env := p.argv(t)
				addr := start(t, "echo", append([]string{"-tls-cert", cert.CertFile, "-tls-key", cert.KeyFile}, pr.ours...)...)
				out := output(t, "", append(env, trusting(ca)...), append(argv, "client", "wss://"+addr+"/", folder, options)...)
				if !strings.HasSuffix(out, "ok\n") {
					t.Errorf("it says %q", out)
				}
			})
			t.Run(p.name+"/client/"+pr.name, func(t *testing.T) {
				argv, env := p.argv(t)
				env = append(env, "TLS_CERT="+cert.CertFile, "TLS_KEY="+cert.KeyFile)
				port, wait := serving(t, env, "ok\n", append(argv, "server", folder, options)...)
				client := []string{binary(t, "echoclient"), "-ca", ca.CertFile, "-url", "wss://127.0.0.1:" + port + "/"}
				out := output(t, "", nil, append(client, pr.ours...)...)
				if !strings.Contains(out, `closed by the peer with code 1000 "goodbye"`) {
					t.Errorf("echoclient says %q", out)
				}
				wait()
			})
		}
	}
}

// TestPythonTLSOnEveryLoop: an echo on each loop, of which some suspend a handshake in
// another way than ours.
func TestPythonTLSOnEveryLoop(t *testing.T) {
	py, ca := python(t), try.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	for _, loop := range loops {
		t.Run(loop, func(t *testing.T) {
			addr := start(t, "echo", "-loop", loop, "-tls-cert", cert.CertFile, "-tls-key", cert.KeyFile)
			if got := output(t, "", trusting(ca), py, "testdata/echo.py", "wss://"+addr+"/any/path"); strings.TrimSpace(got) != "ok" {
				t.Error(got)
			}
		})
	}
}

// TestPeersRefuseStrangers: a certificate of an authority that they do not know keeps
// TestPeersRefuseStrangers: a certificate of an authority that they do not know keeps
// Node and Python away.
func TestPeersRefuseStrangers(t *testing.T) {
	folder := tap.Folder(t)
	ca := try.NewCA(t)
	cert := try.NewCA(t).Issue(t, "127.0.0.1")
	for i, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			argv, env := p.argv(t)
			options := []string{"false", "null"}[i]
			addr := start(t, "echo", "-tls-cert", cert.CertFile, "-tls-key", cert.KeyFile)
			cmd := exec.Command(argv[0], append(argv[1:], "client", "wss://"+addr+"/", folder, options)...)
			cmd.Env = append(append(cmd.Environ(), env...), trusting(ca)...)
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "verif") {
				t.Errorf("it says %q, %v", out, err)
			}
		})
	}
}

// TestLibwebsocketsClientTLS: libwebsockets' test client meets our test server over
// TLS, with a certificate that has signed itself.
func TestLibwebsocketsClientTLS(t *testing.T) {
	client := try.Need(t, "libwebsockets-test-client", "libwebsockets-test-server")
	for _, loop := range []string{"poll", "gnet", "evio-stream"} {
		t.Run(loop, func(t *testing.T) {
			host, port, err := net.SplitHostPort(start(t, "server", "-loop", loop, "-log", "warn", "-tls-self"))
			if err != nil {
				t.Fatal(err)
			}
			until(t, []string{"rx 1 '2'", "rx 2 '10'"}, client, host, "--port="+port, "--ssl", "-d", "1039")
		})
	}
}

// TestLibwebsocketsServerTLS: our client meets libwebsockets' test server over TLS.
func TestLibwebsocketsServerTLS(t *testing.T) {
	server := try.Need(t, "libwebsockets-test-server", "libwebsockets-test-server")
	ca, self := try.NewCA(t), try.SelfSigned(t, "127.0.0.1")
	good := ca.Issue(t, "127.0.0.1")
	for _, tc := range []struct {
		name string
		cert *try.Cert
		how  core.ClientTLS
		fine bool
	}{
		{"good", good, core.ClientTLS{RootCAFile: ca.CertFile}, true},
		{"self-signed, allowed", self, core.ClientTLS{RootCAFile: ca.CertFile, AllowSelfSigned: true}, true},
		{"self-signed", self, core.ClientTLS{RootCAFile: ca.CertFile}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := lwsServer(t, server, "--ssl", "-C", tc.cert.CertFile, "-K", tc.cert.KeyFile)
			got, h := "", &try.Ended{Greet: mirrorText}
			made := try.Ends(h, core.OnMessage(func(c *core.Conn, m core.Message, _ *core.Outbox) error {
				got = m.String()
				return c.Close(1000, "goodbye")
			}))
			eng := try.Engine(t, core.VHost{ClientTLS: &tc.how, Protocols: []core.Protocol{{Name: "lws-mirror-protocol", WS: made}}})
			try.Connect(t, eng, core.Dial{URL: "wss://" + addr + "/", Subprotocols: []string{"lws-mirror-protocol"}})
			err := h.Wait(t)
			var ce *core.CloseError
			switch {
			case !tc.fine && !errors.As(err, new(x509.UnknownAuthorityError)):
				t.Errorf("it failed with %v", err)
			case tc.fine && (got != mirrorText || !errors.As(err, &ce) || ce.Code != 1000):
				t.Errorf("the mirror sent %q, %v", got, err)
			}
		})
	}
}
