package core

import (
	"crypto/tls"
	"sync/atomic"
)

// vhostTLS is what a vhost has of TLS while it lives.
type vhostTLS struct {
	vh   *VirtualHost
	opt  *TLS
	live atomic.Pointer[tls.Config] // what handshakes use; never nil, but without a certificate while that is missing
	hsts []byte                     // the value of the field; nil: none
}

// newVHostTLS checks t and loads what it names.
func newVHostTLS(vh *VirtualHost, t *TLS) (*vhostTLS, error) { panic("TODO") }

// ReloadTLS reads the vhost's certificate anew: files, or Load. Handshakes that
// begin later use it; connections and session tickets stay good. On an error the
// old one stays in use. Any goroutine, one at a time.
func (vh *VirtualHost) ReloadTLS() error { panic("TODO") }

// build makes the tls.Config of a client that wants to reach host.
func (t *ClientTLS) build(host string) (*tls.Config, error) { panic("TODO") }
