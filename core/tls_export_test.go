package core

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"testing"
)

// Pool is pool for tests outside the package.
func (ca *testCA) Pool() *x509.CertPool { return ca.pool() }

// LeafOf is leafOf for tests outside the package.
func (ca *testCA) LeafOf(t testing.TB, key crypto.Signer, edit func(*x509.Certificate), names ...string) (cert tls.Certificate, certPEM, keyPEM []byte) {
	t.Helper()
	return ca.leafOf(t, key, edit, names...)
}

// RSAKey is rsaKey for tests outside the package.
func RSAKey() crypto.Signer { return rsaKey() }

// Steady has handshakes that begin from now on suspended by coroutines: for tests
// whose goroutine turns the loop alone.
func (th *Thread) Steady(on bool) { th.steady = on }

// ShakeQueues returns how many handshakes wait for a step, and how many for a
// place, dead ones included.
func (th *Thread) ShakeQueues() (turns, places int) {
	return len(th.shakes.turns), len(th.shakes.places)
}

// PeeksDescriptor reports whether c's link still reads its descriptor by peeking.
func (c *Conn) PeeksDescriptor() bool { return c.link.is(lfReady) }

// Waits returns the bytes that c's wire has refused, as they will be sent.
func (c *Conn) Waits() []byte {
	if s := c.link.store; s != nil {
		return append(append([]byte(nil), s.rest...), s.ref...)
	}
	return nil
}

// Left reports whether something was received that has not reached the handler, and
// how many bytes of it are kept, decrypted or not.
func (c *Conn) Left() (left bool, kept int) {
	l := c.link
	return l.left(), len(l.tail()) + l.tls().s.Buffered()
}

// Debugging is debugging for tests outside the package.
const Debugging = debugging
