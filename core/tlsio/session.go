// Package tlsio is TLS 1.2 and 1.3 over bytes in and bytes out: the standard
// library's crypto/tls, unforked, driven without a goroutine of its own. It
// knows no descriptor, no clock and no loop.
//
// A [Session] is fed what arrived and appends what is to be sent. A handshake is
// suspended in the middle while it waits for bytes, or for a [Job] that runs
// elsewhere; the goroutine or coroutine that holds its stack is gone when it ends. After that
// crypto/tls is called directly: it is told "not now" between two records, and
// takes that for a read deadline, which it recovers from.
//
// A session's methods must not overlap, and must not be called from callbacks of
// its own tls.Config.
package tlsio

import (
	"context"
	"crypto/tls"
)

// Step is where a handshake stands.
type Step uint8

const (
	// WantInput: it goes on when more bytes have been fed.
	WantInput Step = iota
	// WantJob: it goes on when Job's function has returned, on any goroutine.
	WantJob
	// Complete: it has ended, and Read and Write may be called.
	Complete
	// Failed: it has ended with an error; what it had to say to the peer is in
	// the output.
	Failed
)

// Options of a session.
type Options struct {
	// Coroutine suspends the handshake by a coroutine (iter.Pull), the cheaper
	// way: for callers all of whose calls until Leave come from one
	// goroutine that is not locked to a thread. Otherwise a goroutine in lock
	// step does, which any goroutine may drive.
	Coroutine bool
	// Lend lets crypto/tls decrypt in the bytes that were fed, without a buffer
	// of its own, if CanLend.
	Lend bool
	// Owner is the caller's own, for callbacks of the tls.Config: see From.
	Owner any
}

// From returns the session whose handshake runs, from the context of a
// tls.ClientHelloInfo or tls.CertificateRequestInfo; nil if there is none.
func From(ctx context.Context) *Session {
	s, _ := ctx.Value(sessionKey{}).(*Session)
	return s
}

type sessionKey struct{}

// Server returns a session that answers a client's handshake. cfg is used as it
// is, and must not allow renegotiation.
func Server(cfg *tls.Config, o Options) *Session { panic("TODO") }

// Client returns a session that begins a handshake.
func Client(cfg *tls.Config, o Options) *Session { panic("TODO") }

// Session is one TLS connection.
type Session struct{}

// Owner returns Options.Owner.
func (s *Session) Owner() any { panic("TODO") }

// Feed lends p, which follows what was fed before, until Release. With
// Options.Lend it is overwritten.
func (s *Session) Feed(p []byte) { panic("TODO") }

// Release gives back what was lent: what has not been consumed is copied, at
// its exact size.
func (s *Session) Release() { panic("TODO") }

// Buffered returns the number of bytes that were fed and not consumed.
func (s *Session) Buffered() int { panic("TODO") }

// Ready reports whether a complete record waits: Read, or Handshake, goes on
// without being fed.
func (s *Session) Ready() bool { panic("TODO") }

// Handshake begins the handshake or goes on with it, and appends to dst what is
// to be sent.
func (s *Session) Handshake(dst []byte) (out []byte, step Step, err error) { panic("TODO") }

// Job returns what the handshake waits for, after WantJob. It touches nothing of
// the session, which may be aborted while it runs.
func (s *Session) Job() func() { panic("TODO") }

// Await runs job off the session's goroutine: the handshake is suspended with
// WantJob meanwhile. For callbacks of the tls.Config only. It returns an error if
// the session is aborted before job has returned; job may then run still.
func (s *Session) Await(job func()) error { panic("TODO") }

// OffLoop returns a copy of cert whose private key is used by Await. The
// certificate's chain is shared.
func (s *Session) OffLoop(cert *tls.Certificate) *tls.Certificate { panic("TODO") }

// Read decrypts the next record into p, which has room for 16 KiB at least, and
// appends to dst what TLS itself has to send. ErrAgain says that no complete
// record is left, io.EOF that the peer has said that it sends no more; any other
// error is final. n may be > 0 with an error.
func (s *Session) Read(dst, p []byte) (out []byte, n int, err error) { panic("TODO") }

// Write appends p to dst, encrypted. An error is final.
func (s *Session) Write(dst, p []byte) (out []byte, err error) { panic("TODO") }

// CloseNotify appends the alert that says that we send no more, once; nothing
// before the handshake is complete.
func (s *Session) CloseNotify(dst []byte) []byte { panic("TODO") }

// Abort ends a handshake that is suspended, and with it its goroutine or
// coroutine. Called from inside a callback of the tls.Config it takes effect when that
// has returned. The session cannot be used any more.
func (s *Session) Abort() { panic("TODO") }

// Leave says that later calls may come from other goroutines.
func (s *Session) Leave() { panic("TODO") }

// State describes the connection; only after Complete.
func (s *Session) State() tls.ConnectionState { panic("TODO") }
