package interop

import (
	"strings"
	"testing"

	"anyloop/examples/internal/try"
)

// TestTLSFlagsOfClients: examples/client and echoclient trust what -ca and -insecure
// say, and nobody else; and without certificates they say what is wrong.
func TestTLSFlagsOfClients(t *testing.T) {
	ca := try.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	wrong := ca.Issue(t, "elsewhere.test")
	client := binary(t, "client")
	for _, tc := range []struct {
		name   string
		server []string
		flags  []string
		want   string // of what the client prints
		status int
	}{
		{"its authority", []string{"-tls-cert", cert.CertFile, "-tls-key", cert.KeyFile}, []string{"-ca", ca.CertFile}, "< hello", 0},
		{"unknown authority", []string{"-tls-cert", cert.CertFile, "-tls-key", cert.KeyFile}, nil, "unknown authority", 1},
		{"insecure", []string{"-tls-cert", cert.CertFile, "-tls-key", cert.KeyFile}, []string{"-insecure"}, "< hello", 0},
		{"another name", []string{"-tls-cert", wrong.CertFile, "-tls-key", wrong.KeyFile}, []string{"-ca", ca.CertFile}, "127.0.0.1", 1},
		{"self-made", []string{"-tls-self"}, []string{"-insecure"}, "< hello", 0},
		{"self-made, lending", []string{"-tls-self", "-tls-lend"}, []string{"-insecure"}, "< hello", 0},
		{"self-made, checked", []string{"-tls-self"}, []string{"-ca", ca.CertFile}, "unknown authority", 1},
		{"no file", []string{"-tls-self"}, []string{"-ca", "/nonexistent/ca.pem"}, "no such file", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url := "wss://" + start(t, "echo", tc.server...) + "/"
			status, out := try.Status(t, try.Input(t, "hello\n"), client, append(tc.flags, url)...)
			if status != tc.status || !strings.Contains(out, tc.want) {
				t.Errorf("client: status %d, no %q in: %s", status, tc.want, out)
			}
			if tc.status == 0 {
				return // an echo waits for its server to speak
			}
			status, out = try.Status(t, nil, binary(t, "echoclient"), append(tc.flags, "-url", url)...)
			if status != tc.status || !strings.Contains(out, tc.want) {
				t.Errorf("echoclient: status %d, no %q in: %s", status, tc.want, out)
			}
		})
	}
}

// TestTLSFlagsOfServers: what is wrong with the flags of examples/server and echo is
// said, and ends them.
func TestTLSFlagsOfServers(t *testing.T) {
	ca := try.NewCA(t)
	cert, other := ca.Issue(t, "a.test"), ca.Issue(t, "b.test")
	for _, name := range []string{"server", "echo"} {
		for want, flags := range map[string][]string{
			"use one of them":      {"-tls-self", "-tls-cert", cert.CertFile},
			"no such file":         {"-tls-cert", "/nonexistent/cert.pem"},
			"does not match":       {"-tls-cert", cert.CertFile, "-tls-key", other.KeyFile},
			"use refuse, redirect": {"-tls-self", "-tls-plain", "maybe"},
			"private key":          {"-tls-cert", cert.CertFile}, // it is not in there
			"it needs -tls-cert":   {"-tls-key", cert.KeyFile},   // once it was passed over, and plain HTTP spoken
		} {
			status, out := try.Status(t, nil, binary(t, name), append(flags, "-addr", "127.0.0.1:0")...)
			if status != 1 || !strings.Contains(out, want) {
				t.Errorf("%s %v: status %d, no %q in: %s", name, flags, status, want, out)
			}
		}
	}
}

// TestTLSFlagPlain: what -tls-plain makes of HTTP without TLS.
func TestTLSFlagPlain(t *testing.T) {
	curl := try.Need(t, "curl", "curl")
	for policy, want := range map[string]string{"": "301", "redirect": "301", "refuse": "400", "serve": "200", "close": "000"} {
		flags := []string{"-tls-self", "-log", "warn"}
		if policy != "" {
			flags = append(flags, "-tls-plain", policy)
		}
		addr := start(t, "server", flags...)
		_, out := try.Status(t, nil, curl, "-s", "--max-time", "50", "-o", "/dev/null", "-w", "%{http_code}", "http://"+addr+"/")
		if out != want {
			t.Errorf("-tls-plain %s: status %s, want %s", policy, out, want)
		}
	}
}
