package tlsio

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

// offLoop makes both sides use their keys by Await, with the client's
// certificate asked for.
func offLoop(u suite, sc, cc *tls.Config) {
	cert := *u.cert
	sc.Certificates = nil
	sc.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return From(h.Context()).OffLoop(&cert), nil }
	sc.ClientAuth = tls.RequireAndVerifyClientCert
	cc.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return From(r.Context()).OffLoop(&cert), nil
	}
}

// TestOffLoop: jobs that end on other goroutines, while bytes go on arriving.
func TestOffLoop(t *testing.T) {
	each(t, func(t *testing.T, u suite, m mode) {
		for _, c := range []chop{whole, single} {
			sc, cc := u.configs()
			offLoop(u, sc, cc)
			server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
			var jobs []func()
			server.async = func(job func()) { jobs = append(jobs, job) } // the same one, at every piece
			client.async = server.async
			exchange(server, client, c, c)
			for len(jobs) > 0 {
				ended := make(chan bool)
				go func(jobs []func()) {
					defer close(ended)
					for _, job := range jobs {
						job() // a second time it does nothing
					}
				}(jobs)
				<-ended
				jobs = nil
				exchange(server, client, c, c)
			}
			server.must(t)
			client.must(t)
			if server.jobs == 0 || client.jobs == 0 || len(server.s.State().PeerCertificates) != 1 {
				t.Fatalf("jobs: server %d, client %d", server.jobs, client.jobs)
			}
		}
	})
}

// Handshake before the job has ended says so again, and loses nothing.
func TestHandshakeBeforeJobIsDone(t *testing.T) {
	for _, m := range modes {
		sc, cc := suites()[0].configs()
		offLoop(suites()[0], sc, cc)
		server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
		client.service()
		server.s.Feed(client.out)
		client.out = nil
		for i := range 3 {
			out, step, err := server.s.Handshake(server.out)
			if server.out = out; step != WantJob || err != nil || server.s.Job() == nil {
				t.Fatalf("call %d: step %d, %v", i, step, err)
			}
		}
		server.s.Release()
		server.s.Job()()
		exchange(server, client, whole, whole)
		server.must(t)
		if server.s.Job() != nil {
			t.Error("a job is left")
		}
	}
}

// slow is a key whose use waits for go.
type slow struct {
	crypto.Signer
	begun, goOn chan bool
}

func (s slow) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	close(s.begun)
	<-s.goOn
	return s.Signer.Sign(rand, digest, opts)
}

// TestAbortDuringJob: the job runs on while the session, its handshake and what
// it was fed are gone.
func TestAbortDuringJob(t *testing.T) {
	base := runtime.NumGoroutine()
	for _, u := range []suite{suites()[0], suites()[2]} {
		for _, m := range modes {
			sc, cc := u.configs()
			key := slow{u.cert.PrivateKey.(crypto.Signer), make(chan bool), make(chan bool)}
			cert := *u.cert
			cert.PrivateKey = key
			sc.Certificates = nil
			sc.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return From(h.Context()).OffLoop(&cert), nil
			}
			server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
			ended := make(chan bool)
			server.async = func(job func()) {
				go func() {
					defer close(ended)
					job()
				}()
			}
			exchange(server, client, whole, whole)
			if server.jobs != 1 {
				t.Fatalf("%d jobs; %v", server.jobs, server.err)
			}
			<-key.begun
			server.s.Abort()
			close(key.goOn)
			if out, step, err := server.s.Handshake(nil); step != Failed || err != ErrAborted || len(out) > 0 {
				t.Errorf("after Abort: step %d, %v, %d bytes", step, err, len(out))
			}
			<-ended
			client.s.Abort()
		}
	}
	quiet(t, base)
}

// A job that panics, and one that ends its goroutine, fail the handshake, and the
// peer is told; also if crypto/tls keeps no more of it than its text.
func TestJobPanics(t *testing.T) {
	cause := errors.New("broken key")
	for _, m := range modes {
		for _, f := range []func(){func() { panic(cause) }, runtime.Goexit} {
			for _, signing := range []bool{false, true} {
				sc, cc := suites()[0].configs()
				cert := certs().ecdsa
				cert.PrivateKey = broken{cert.PrivateKey.(crypto.Signer), f}
				if signing {
					sc.Certificates = nil
					sc.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
						return From(h.Context()).OffLoop(&cert), nil
					}
				} else {
					sc.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { return nil, From(h.Context()).Await(f) }
				}
				server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
				server.async = func(job func()) { wait(job) }
				client.service()
				move(client, server, whole, 0)
				server.async = nil
				exchange(server, client, whole, whole)
				if !errors.Is(server.err, cause) && !errors.Is(server.err, ErrGoexit) {
					t.Errorf("signing %v: %v", signing, server.err)
				}
				wantAlert(t, server.err, 80, true)
				wantAlert(t, client.err, 80, false)
				var p *PanicError
				if errors.As(server.err, &p) && !strings.Contains(string(p.Stack), "TestJobPanics") {
					t.Errorf("stack of the panic: %s", p.Stack)
				}
			}
		}
	}
}

// broken is a key whose use calls a function that does not return.
type broken struct {
	crypto.Signer
	f func()
}

func (b broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	b.f()
	return nil, nil
}

// A job runs once, however often its function is called.
func TestJobRunsOnce(t *testing.T) {
	for _, m := range modes {
		sc, cc := suites()[0].configs()
		n := 0
		sc.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			return nil, From(h.Context()).Await(func() { n++ })
		}
		server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
		server.async = func(job func()) { job(); job() }
		client.service()
		move(client, server, whole, 0)
		server.s.Job()()
		if exchange(server, client, whole, whole); n != 1 || !server.done {
			t.Errorf("ran %d times; complete %v", n, server.done)
		}
	}
}

// Await in a callback after the handshake runs its job at once.
func TestAwaitAfterHandshake(t *testing.T) {
	for _, m := range modes {
		sc, cc := suites()[0].configs()
		cache := &awaiting{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		cc.ClientSessionCache = cache
		server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
		cache.s = client.s
		exchange(server, client, single, single)
		client.must(t)
		if cache.puts == 0 {
			t.Error("the ticket was not kept, or its job did not run")
		}
	}
}

// awaiting is a cache that keeps tickets by a job.
type awaiting struct {
	tls.ClientSessionCache
	s    *Session
	puts int
}

func (a *awaiting) Put(key string, cs *tls.ClientSessionState) {
	if err := a.s.Await(func() { a.puts++ }); err != nil {
		panic(err)
	}
	a.ClientSessionCache.Put(key, cs)
}

// A key that cannot sign is left as it is; all else of a certificate is kept.
func TestOffLoopCopies(t *testing.T) {
	s := Server(&tls.Config{}, Options{})
	none := &tls.Certificate{}
	if s.OffLoop(none) != none {
		t.Error("a certificate without a key was changed")
	}
	cert := certs().rsa
	cert.SupportedSignatureAlgorithms = []tls.SignatureScheme{tls.PSSWithSHA256}
	off := s.OffLoop(&cert)
	if _, ok := off.PrivateKey.(crypto.Decrypter); !ok || off.Leaf != cert.Leaf || len(off.SupportedSignatureAlgorithms) != 1 {
		t.Error("something was lost")
	}
	if _, ok := s.OffLoop(&certs().ecdsa).PrivateKey.(crypto.Decrypter); ok {
		t.Error("an ECDSA key decrypts")
	}
	if off.PrivateKey.(crypto.Signer).Public() != cert.PrivateKey.(crypto.Signer).Public() {
		t.Error("another public key")
	}
}

// What a job reads is not the handshake's memory, which may go on without it.
func TestJobHasItsOwnMemory(t *testing.T) {
	digest := make([]byte, 32)
	cert := certs().ecdsa
	cert.PrivateKey = looking{cert.PrivateKey.(crypto.Signer), func(b []byte) {
		if len(b) != len(digest) || &b[0] == &digest[0] {
			t.Error("the digest was not copied")
		}
	}}
	key := Server(&tls.Config{}, Options{}).OffLoop(&cert).PrivateKey.(crypto.Signer)
	if sig, err := key.Sign(rand.Reader, digest, crypto.SHA256); err != nil || len(sig) == 0 {
		t.Errorf("%d bytes, %v", len(sig), err)
	}
}

// looking is a key that shows what it is to sign.
type looking struct {
	crypto.Signer
	f func(digest []byte)
}

func (l looking) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	l.f(digest)
	return l.Signer.Sign(rand, digest, opts)
}
