package interop

import (
	"testing"

	"anyloop/examples/internal/try"
)

// opensslServer is openssl's server.
type opensslServer struct {
	*try.Talking
	addr string
}

// sServer runs openssl's server on a free port.
func sServer(t *testing.T, cert *try.Cert, args ...string) *opensslServer {
	t.Helper()
	argv := []string{try.Need(t, "openssl", "openssl"), "s_server", "-accept", "127.0.0.1:0", "-cert", cert.CertFile, "-key", cert.KeyFile}
	p := try.Talk(t, append(argv, args...)...)
	return &opensslServer{p, p.Until(`ACCEPT (127\.0\.0\.1:\d+)`)[1]}
}
