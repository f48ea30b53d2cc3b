package core

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"testing"
	"time"

	"anyloop/core/tlsio"
)

// tlsEnd is one end of a handshake in memory.
type tlsEnd struct {
	s     *tlsio.Session
	state tls.ConnectionState
	done  bool
	err   error // the end's own, or the alert it was sent
	jobs  int   // signatures that ran off the loop
}

// meet lets a server and a client talk until both have nothing more to say. owner is the
// server's.
func meet(server, client *tls.Config, owner any) (srv, cli *tlsEnd) {
	srv = &tlsEnd{s: tlsio.Server(server, tlsio.Options{Coroutine: true, Owner: owner})}
	cli = &tlsEnd{s: tlsio.Client(client, tlsio.Options{Coroutine: true})}
	toSrv, toCli := cli.step(nil), []byte(nil)
	for len(toSrv) > 0 || len(toCli) > 0 {
		toCli = srv.step(toSrv)
		toSrv = cli.step(toCli)
	}
	for _, e := range []*tlsEnd{srv, cli} {
		if !e.done {
			e.s.Abort()
		}
	}
	return srv, cli
}

// step feeds in and returns the answer.
func (e *tlsEnd) step(in []byte) (out []byte) {
	if e.err != nil {
		return nil
	}
	e.s.Feed(in)
	defer e.s.Release()
	for !e.done {
		var step tlsio.Step
		out, step, e.err = e.s.Handshake(out)
		switch step {
		case tlsio.WantInput, tlsio.Failed:
			return out
		case tlsio.WantJob:
			e.jobs++
			e.s.Job()()
		case tlsio.Complete:
			e.done, e.state = true, e.s.State()
		}
	}
	buf := make([]byte, 16<<10)
	for {
		var err error
		if out, _, err = e.s.Read(out, buf); err != nil {
			if !errors.Is(err, tlsio.ErrAgain) {
				e.err = err
			}
			return out
		}
	}
}

// talks checks that both ends have completed the handshake.
func talks(t *testing.T, srv, cli *tlsEnd) {
	t.Helper()
	if srv.err != nil || cli.err != nil || !srv.done || !cli.done {
		t.Fatalf("server: done %v, %v; client: done %v, %v", srv.done, srv.err, cli.done, cli.err)
	}
}

// testVHost returns a vhost that has what TLS options need, and its log.
func testVHost() (*VirtualHost, *bytes.Buffer) {
	log := &bytes.Buffer{}
	eng := &Engine{clock: time.Now}
	return &VirtualHost{name: "test", eng: eng, log: slog.New(slog.NewTextHandler(log, nil))}, log
}

// serving makes a vhost's TLS of o, which must do.
func serving(t *testing.T, o TLS) *vhostTLS {
	t.Helper()
	vh, _ := testVHost()
	v, err := newVHostTLS(vh, &o)
	if err != nil {
		t.Fatal(err)
	}
	vh.tls = v
	return v
}

// with meets a client.
func (v *vhostTLS) with(client *tls.Config) (srv, cli *tlsEnd) {
	l := &link{own: &Conn{}}
	base := &tls.Config{GetConfigForClient: func(chi *tls.ClientHelloInfo) (*tls.Config, error) {
		return v.forConn(tlsio.From(chi.Context()).Owner().(*link), chi)
	}}
	return meet(base, client, l)
}

// trusting is a client's config that trusts ca and wants a.test.
func trusting(ca *testCA) *tls.Config {
	return &tls.Config{RootCAs: ca.pool(), ServerName: "a.test"}
}
