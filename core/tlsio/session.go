// Package tlsio is TLS 1.2 and 1.3 over bytes in and bytes out: the standard
// library's crypto/tls, unforked, driven without a goroutine of its own. It
// knows no descriptor, no clock and no loop.
//
// A [Session] is fed what arrived and appends what is to be sent. A handshake is
// suspended in the middle while it waits for bytes, or for a [Session.Job] that runs
// elsewhere; the goroutine or coroutine that holds its stack is gone when it ends. After that
// crypto/tls is called directly: it is told "not now" between two records, and
// takes that for a read deadline, which it recovers from.
//
// A session's methods must not overlap. From callbacks of its own tls.Config only
// Owner, Await, OffLoop and Abort may be called. Callbacks run on the session's
// stack and must not block. A panic in one ends the session with a [PanicError];
// runtime.Goexit in one (t.FailNow, for instance) ends the goroutine that called
// Handshake with Options.Coroutine, and is an error without. A callback must
// leave the goroutine as locked to its thread as it was.
//
// What a session holds is memory, and while its handshake is suspended a
// goroutine: Abort gives that back, forgetting the session does not.
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

// sessionContext carries a session to the callbacks of its handshake. It has no
// Done, for which crypto/tls would start a goroutine.
type sessionContext struct {
	context.Context
	s *Session
}

func (c sessionContext) Value(key any) any {
	if key == (sessionKey{}) {
		return c.s
	}
	return c.Context.Value(key)
}

// Server returns a session that answers a client's handshake. cfg is used as it
// is, and must not allow renegotiation.
func Server(cfg *tls.Config, o Options) *Session {
	return &Session{cfg: cfg, owner: o.Owner, coroutine: o.Coroutine, lend: o.Lend && CanLend()}
}

// Client returns a session that begins a handshake. cfg is used as it is, and
// must not allow renegotiation.
func Client(cfg *tls.Config, o Options) *Session {
	s := Server(cfg, o)
	s.client = true
	return s
}

// Session is one TLS connection.
type Session struct {
	tc    *tls.Conn   // nil until the handshake begins; it is locked while that is suspended
	cfg   *tls.Config // nil once the handshake has begun
	owner any
	in    input
	cur   []byte // the rest of the record that crypto/tls reads
	out   []byte // what the running call appends to
	run   runner // nil unless the handshake is suspended or runs
	job   *job   // what the handshake waits for
	// rerr and werr are what Read, or Handshake, and Write have ended with.
	rerr, werr error

	step      Step
	client    bool
	coroutine bool // the handshake may still be run by one
	lend      bool
	busy      bool // a call is under way
	body      bool // the handshake's own stack runs
	aborted   bool
	lending   bool // rawInput of crypto/tls is the current record
	more      bool // crypto/tls may hold plaintext that Read's p had no room for
	closing   bool // close_notify was sent
	resumed   bool // the handshake went on from an earlier session
}

// Owner returns Options.Owner.
func (s *Session) Owner() any { return s.owner }

// Resumed reports whether the handshake has resumed an earlier session: what State
// says too, at a greater cost.
func (s *Session) Resumed() bool { return s.resumed }

// State describes the connection; only after Complete, before it is zero.
func (s *Session) State() tls.ConnectionState {
	if s.step != Complete {
		return tls.ConnectionState{}
	}
	return s.tc.ConnectionState()
}

// begin and end stand around every call of crypto/tls.
func (s *Session) begin(dst []byte) { s.busy, s.out = true, dst }

func (s *Session) end() (out []byte) {
	out, s.out, s.busy = s.out, nil, false
	if s.aborted {
		s.ended()
	}
	return out
}

// drop forgets all input: the session has ended with err.
func (s *Session) drop(err error) {
	s.rerr, s.in, s.cur, s.more = err, input{}, nil, false
}
