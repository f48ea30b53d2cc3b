package tlsio

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"io"
	"sync/atomic"
)

// job is a function that runs off the session's goroutine. It touches nothing of
// the session.
type job struct {
	f     func()
	begun atomic.Bool
	err   error       // a *PanicError; to be read after done
	done  atomic.Bool // f has returned
}

func (j *job) run() {
	if j.begun.Swap(true) {
		return
	}
	defer j.done.Store(true)
	defer caught(&j.err)
	j.err = ErrGoexit
	j.f()
	j.err = nil
}

// Job returns what the handshake waits for, after WantJob; nil if it does not. It
// touches nothing of the session, which may be aborted while it runs. It runs
// once, on any goroutine; then Handshake goes on.
func (s *Session) Job() func() {
	if s.step != WantJob {
		return nil
	}
	return s.job.run
}

// Await runs f off the session's goroutine: the handshake is suspended with
// WantJob meanwhile. For callbacks of the tls.Config only; in one that runs
// when the handshake is over, f runs at once. It returns an error if the session
// is aborted before f has returned; f may then run still, and so must write to
// nothing that the session's goroutine goes on using. If f panics the error is a
// *PanicError.
func (s *Session) Await(f func()) error {
	if s.aborted {
		return ErrAborted
	}
	j := &job{f: f}
	if !s.body {
		j.run()
		return j.err
	}
	s.job = j
	for !j.done.Load() {
		s.step = WantJob
		if !s.suspend() {
			return ErrAborted
		}
	}
	if j.err == nil {
		s.job = nil
	}
	return j.err
}

// OffLoop returns a copy of cert whose private key is used by Await; cert as it
// is if that key cannot sign. The certificate's chain is shared. The key, and
// the tls.Config's Rand, are used on the goroutine that runs the job.
func (s *Session) OffLoop(cert *tls.Certificate) *tls.Certificate {
	key, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		return cert
	}
	c := *cert
	off := offKey{s, key}
	if d, ok := key.(crypto.Decrypter); ok {
		c.PrivateKey = offDecrypter{off, d}
	} else {
		c.PrivateKey = off
	}
	return &c
}

// offKey is a private key whose operations are jobs of a session.
type offKey struct {
	s   *Session
	key crypto.Signer
}

// result is what a job writes to: memory of its own.
type result struct {
	b   []byte
	err error
}

// await runs f on a copy of in, which is the handshake's memory.
func (k offKey) await(in []byte, f func(in []byte) ([]byte, error)) ([]byte, error) {
	in = bytes.Clone(in)
	r := &result{}
	if err := k.s.Await(func() { r.b, r.err = f(in) }); err != nil {
		return nil, err
	}
	return r.b, r.err
}

func (k offKey) Public() crypto.PublicKey { return k.key.Public() }

func (k offKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.await(digest, func(digest []byte) ([]byte, error) { return k.key.Sign(rand, digest, opts) })
}

// SignMessage is for keys that do their own hashing; crypto.SignMessage hashes
// for the others.
func (k offKey) SignMessage(rand io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.await(msg, func(msg []byte) ([]byte, error) { return crypto.SignMessage(k.key, rand, msg, opts) })
}

// offDecrypter is an offKey of TLS 1.2's RSA key exchange.
type offDecrypter struct {
	offKey
	d crypto.Decrypter
}

func (k offDecrypter) Decrypt(rand io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	return k.await(msg, func(msg []byte) ([]byte, error) { return k.d.Decrypt(rand, msg, opts) })
}
