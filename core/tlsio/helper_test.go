package tlsio

import (
	"crypto/tls"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// mode is how a session is driven.
type mode struct{ coroutine, lend bool }

func (m mode) String() string {
	return fmt.Sprintf("%s,%s", pick(m.coroutine, "coroutine", "lockstep"), pick(m.lend, "lend", "copy"))
}

func pick(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

func (m mode) options() Options { return Options{Coroutine: m.coroutine, Lend: m.lend} }

var modes = []mode{{false, false}, {false, true}, {true, false}, {true, true}}

// suite is a kind of connection.
type suite struct {
	name    string
	version uint16
	cipher  uint16 // 0: TLS 1.3's own choice
	cert    *tls.Certificate
}

func suites() []suite {
	c := certs()
	return []suite{
		{"1.3-ECDSA", tls.VersionTLS13, 0, &c.ecdsa},
		{"1.3-RSA", tls.VersionTLS13, 0, &c.rsa},
		{"1.2-ECDSA-GCM", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, &c.ecdsa},
		{"1.2-ECDSA-ChaCha", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, &c.ecdsa},
		{"1.2-ECDSA-CBC", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, &c.ecdsa},
		{"1.2-RSA-GCM", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, &c.rsa},
		{"1.2-RSA-ChaCha", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, &c.rsa},
		{"1.2-RSA-CBC", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, &c.rsa},
		{"1.2-RSA-key-exchange", tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, &c.rsa},
	}
}

// configs returns what the two sides need.
func (u suite) configs() (server, client *tls.Config) {
	server = &tls.Config{
		Certificates: []tls.Certificate{*u.cert},
		MinVersion:   u.version, MaxVersion: u.version,
		CurvePreferences:            []tls.CurveID{tls.X25519}, // a hello of one small record
		DynamicRecordSizingDisabled: true,
		ClientCAs:                   certs().pool,
	}
	if u.cipher != 0 {
		server.CipherSuites = []uint16{u.cipher}
	}
	client = server.Clone()
	client.Certificates, client.RootCAs, client.ServerName = nil, certs().pool, "test.example"
	return server, client
}

// side is a session and what its user would keep of it.
type side struct {
	t    testing.TB
	s    *Session
	out  []byte // to be sent
	got  []byte // plaintext
	err  error  // final
	done bool
	jobs int
	p    []byte // Read's
	lent []byte // Feed's, scribbled over after use
	// async, if set, runs jobs; otherwise they run at once.
	async func(job func())
}

func newSide(t testing.TB, s *Session) *side { return &side{t: t, s: s, p: make([]byte, maxPlaintext)} }

// pair returns the two sides of a connection, nothing exchanged.
func pair(t testing.TB, u suite, m mode) (server, client *side) {
	sc, cc := u.configs()
	return newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
}

// feed delivers b as one piece.
func (e *side) feed(b []byte) {
	e.lent = append(e.lent[:0], b...)
	e.s.Feed(e.lent)
	e.service()
	e.s.Release()
	for i := range e.lent {
		e.lent[i] = 0xAA
	}
}

// service goes on as far as it can, and checks what the methods promise.
func (e *side) service() {
	e.t.Helper()
	for !e.done && e.err == nil {
		out, step, err := e.s.Handshake(e.out)
		e.out = out
		switch step {
		case WantInput:
			if e.s.Ready() {
				e.t.Fatal("WantInput, but Ready")
			}
			return
		case WantJob:
			e.jobs++
			if e.async != nil {
				e.async(e.s.Job())
				return
			}
			e.s.Job()()
		case Failed:
			e.err = err
		case Complete:
			e.done = true
		}
		if (err != nil) != (step == Failed) {
			e.t.Fatalf("step %d with error %v", step, err)
		}
	}
	for e.err == nil {
		ready := e.s.Ready()
		out, n, err := e.s.Read(e.out, e.p)
		if e.out = out; n == 0 && err == nil || n > 0 && err == ErrAgain {
			e.t.Fatalf("Read: %d, %v", n, err)
		}
		e.got = append(e.got, e.p[:n]...)
		if err == ErrAgain {
			if e.s.Ready() {
				e.t.Fatal("ErrAgain, but Ready")
			}
			return
		}
		if !ready {
			e.t.Fatalf("not Ready, but Read: %d, %v", n, err)
		}
		e.err = err
	}
}

// chop cuts a direction's stream: it returns the length of the next piece, of n
// bytes that wait, off bytes having passed.
type chop func(off, n int) int

func whole(_, n int) int  { return n }
func single(_, _ int) int { return 1 }

// at cuts once, off bytes into the stream.
func at(cut int) chop {
	return func(off, n int) int {
		if off < cut {
			return min(n, cut-off)
		}
		return n
	}
}

// exchange moves bytes both ways until none are left.
func exchange(a, b *side, toA, toB chop) {
	offA, offB := 0, 0
	a.service()
	b.service()
	for len(a.out)+len(b.out) > 0 {
		offB += move(a, b, toB, offB)
		offA += move(b, a, toA, offA)
	}
}

func move(from, to *side, c chop, off int) int {
	b := from.out
	from.out = nil
	total := len(b)
	for len(b) > 0 {
		n := c(off, len(b))
		to.feed(b[:n])
		off, b = off+n, b[n:]
	}
	return total
}

// open returns a connection whose handshake is over.
func open(t testing.TB, u suite, m mode) (server, client *side) {
	t.Helper()
	server, client = pair(t, u, m)
	exchange(server, client, whole, whole)
	server.must(t)
	client.must(t)
	return server, client
}

func (e *side) must(t testing.TB) {
	t.Helper()
	if !e.done || e.err != nil {
		t.Fatalf("handshake: complete %v, %v", e.done, e.err)
	}
}

// write encrypts p.
func (e *side) write(p []byte) {
	e.t.Helper()
	out, err := e.s.Write(e.out, p)
	if e.out = out; err != nil {
		e.t.Fatal(err)
	}
}

// quiet fails the test if goroutines are left over. One that has
// just handed over its result may still be on its last instructions.
func quiet(t testing.TB, base int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > base; runtime.Gosched() {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), base, buf[:runtime.Stack(buf, true)])
		}
	}
}

// resting returns the number of goroutines when those of earlier tests that are on
// their way out have gone.
func resting() int {
	n := runtime.NumGoroutine()
	for same := 0; same < 2000; same++ {
		runtime.Gosched()
		if now := runtime.NumGoroutine(); now < n {
			n, same = now, 0
		}
	}
	return n
}

// wantAlert checks which alert err is.
func wantAlert(t testing.TB, err error, code uint8, sent bool) {
	t.Helper()
	var a *Alert
	if !errors.As(err, &a) || a.Code != code || a.Sent != sent {
		t.Errorf("error %v, want alert %d, sent %v", err, code, sent)
	}
}

// server returns the server's half of configs.
func (u suite) server() *tls.Config {
	sc, _ := u.configs()
	return sc
}
