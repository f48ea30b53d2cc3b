package core_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/tlsio"
	"anyloop/core/ws"
)

// shape is how a peer's bytes are delivered.
type shape uint8

const (
	whole   shape = iota // what is to be said at a time, at once
	single               // byte by byte
	records              // record by record
)

func (s shape) String() string { return [...]string{"whole", "single", "records"}[s] }

// tlsPeer speaks TLS to the engine: a session and a simulated peer, driven by the
// test's goroutine.
type tlsPeer struct {
	*sim.Peer
	t     testing.TB
	s     *tlsio.Session
	drive func()
	shape shape
	cut   int    // bytes of what is said in all, behind which there is a pause; 0: none
	glue  string // said together with the end of the handshake

	out    []byte // said, not delivered
	sent   int    // delivered
	plain  []byte // decrypted, not looked at
	raw    []byte // received, all of it, if keep
	keep   bool
	deaf   bool // decrypts nothing
	shaken bool
	err    error // what the session has ended with; io.EOF: close_notify
	state  tls.ConnectionState
	reader frameReader
}

var certs struct {
	once sync.Once
	pool *x509.CertPool
	a, b tls.Certificate // of a.test and *.wild.test, and of b.test
	rsa  tls.Certificate // of a.test
	own  tls.Certificate // a client's
	all  func(testing.TB, ...string) tls.Certificate
}

// makeCerts makes what the tests share.
func makeCerts(t testing.TB) {
	certs.once.Do(func() {
		ca := core.NewTestCA(t)
		certs.pool = ca.Pool()
		certs.a, _, _ = ca.Leaf(t, "a.test", "*.wild.test", "192.0.2.1", "host")
		certs.b, _, _ = ca.Leaf(t, "b.test", "192.0.2.2")
		certs.rsa, _, _ = ca.LeafOf(t, core.RSAKey(), nil, "a.test")
		certs.own, _, _ = ca.Leaf(t, "client.test")
	})
}

// serves is the TLS of a vhost that shows cert.
func serves(cert tls.Certificate) *core.TLS {
	return &core.TLS{Config: &tls.Config{Certificates: []tls.Certificate{cert}}}
}

// trusts is a client's config that wants name, "" for none. Its hello is short.
func trusts(name string) *tls.Config {
	c := &tls.Config{RootCAs: certs.pool, ServerName: name, CurvePreferences: []tls.CurveID{tls.X25519}, DynamicRecordSizingDisabled: true}
	if name == "" {
		c.InsecureSkipVerify = true
	}
	return c
}

// secure returns a world whose vhosts are given, each with the default protocols
// and, if it has none, a.test's certificate.
func secure(t *testing.T, o sim.Options, lim core.Limits, vhosts ...core.VHost) *world {
	t.Helper()
	makeCerts(t)
	if len(vhosts) == 0 {
		vhosts = []core.VHost{{}}
	}
	for i := range vhosts {
		v := &vhosts[i]
		if v.TLS == nil {
			v.TLS = serves(certs.a)
		}
		if v.Protocols == nil && v.Mounts == nil {
			v.Protocols = httpVHost().Protocols
		}
	}
	return newWorld(t, o, core.Config{Limits: lim, VHosts: vhosts})
}

// secret dials, and has said nothing yet.
func (w *world) secret(cfg *tls.Config) *tlsPeer {
	w.t.Helper()
	return newTLSPeer(w.t, w.dial().Peer, tlsio.Client(cfg, tlsio.Options{}), w.k.Drive)
}

// tls dials and completes the handshake.
func (w *world) tls(cfg *tls.Config) *tlsPeer {
	w.t.Helper()
	p := w.secret(cfg)
	p.shake()
	return p
}

func newTLSPeer(t testing.TB, p *sim.Peer, s *tlsio.Session, drive func()) *tlsPeer {
	t.Cleanup(s.Abort)
	return &tlsPeer{Peer: p, t: t, s: s, drive: drive, reader: frameReader{side: ws.Client}}
}

// pump delivers and reads until nothing moves any more.
func (p *tlsPeer) pump() {
	p.t.Helper()
	for n := -1; n != p.sent+p.Received(); {
		n = p.sent + p.Received()
		p.read()
		p.deliver()
		p.drive()
	}
	p.read()
}

// read has the session look at what came.
func (p *tlsPeer) read() {
	b := p.Peer.Read()
	if p.keep {
		p.raw = append(p.raw, b...)
	}
	if p.deaf {
		return
	}
	p.s.Feed(b)
	p.goOn()
	p.s.Release()
}

// goOn takes the session as far as it goes.
func (p *tlsPeer) goOn() {
	for !p.shaken && p.err == nil {
		out, step, err := p.s.Handshake(p.out)
		p.out = out
		switch step {
		case tlsio.WantInput:
			return
		case tlsio.WantJob:
			p.s.Job()()
		case tlsio.Failed:
			p.err = err
		case tlsio.Complete:
			p.shaken, p.state = true, p.s.State()
			if p.glue != "" {
				p.put(p.glue)
			}
		}
	}
	var buf [16 << 10]byte
	for p.err == nil {
		out, n, err := p.s.Read(p.out, buf[:])
		p.out, p.plain = out, append(p.plain, buf[:n]...)
		if err == tlsio.ErrAgain {
			return
		}
		p.err = err
	}
}

// deliver sends what is to be said in the peer's shape.
func (p *tlsPeer) deliver() {
	for len(p.out) > 0 {
		n := len(p.out)
		switch p.shape {
		case single:
			n = 1
		case records:
			if n >= 5 {
				n = min(n, 5+int(binary.BigEndian.Uint16(p.out[3:])))
			}
		}
		if p.sent < p.cut && p.sent+n > p.cut {
			n = p.cut - p.sent
		}
		n = p.Write(p.out[:n])
		p.out, p.sent = p.out[n:], p.sent+n
		if n == 0 {
			if p.Gone() || p.ResetSeen() {
				p.out = nil
			}
			p.drive()
			return // the wire is full, or closed
		}
		if len(p.out) > 0 {
			p.drive()
		}
	}
}

// shake completes the handshake.
func (p *tlsPeer) shake() {
	p.t.Helper()
	p.pump()
	if !p.shaken {
		p.t.Fatalf("the handshake is not complete: %v", p.err)
	}
}

// put encrypts s, to be delivered with the next pump.
func (p *tlsPeer) put(s string) {
	p.t.Helper()
	var err error
	if p.out, err = p.s.Write(p.out, []byte(s)); err != nil {
		p.t.Fatal(err)
	}
}

// notify says close_notify, to be delivered with the next pump.
func (p *tlsPeer) notify() { p.out = p.s.CloseNotify(p.out) }

// say encrypts s, delivers it and returns what came back.
func (p *tlsPeer) say(s string) string {
	p.t.Helper()
	p.put(s)
	return p.hear()
}

// hear returns what came, decrypted.
func (p *tlsPeer) hear() string {
	p.t.Helper()
	p.pump()
	s := string(p.plain)
	p.plain = nil
	return s
}

// upgrade makes a WebSocket of it.
func (p *tlsPeer) upgrade() {
	p.t.Helper()
	if got := p.say(handshake + "\r\n"); !strings.HasPrefix(got, "HTTP/1.1 101 ") {
		p.t.Fatalf("no upgrade: %q, %v", got, p.err)
	}
}

func (p *tlsPeer) text(s string) { p.put(string(frame(ws.Text, true, s))) }

// frames pumps and returns what came, readable, and how it has ended.
func (p *tlsPeer) frames() string {
	p.t.Helper()
	p.pump()
	var out []string
	out, p.plain = p.reader.read(p.t, p.plain)
	return strings.Join(append(out, p.ends()...), " | ")
}

// ends says how the connection has ended, so far.
func (p *tlsPeer) ends() (out []string) {
	var a *tlsio.Alert
	switch {
	case p.err == io.EOF:
		out = append(out, "notify")
	case errors.As(p.err, &a):
		out = append(out, fmt.Sprintf("alert %d sent=%v", a.Code, a.Sent))
	case p.err != nil:
		out = append(out, p.err.Error())
	}
	if p.EOF() {
		out = append(out, "eof")
	}
	if p.ResetSeen() {
		out = append(out, "reset")
	}
	return out
}

func (p *tlsPeer) want(want string) {
	p.t.Helper()
	if got := p.frames(); got != want {
		p.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// leave closes like any peer.
func (p *tlsPeer) leave() {
	p.notify()
	p.pump()
	p.CloseWrite()
	p.drive()
}

// frameReader reads one direction of a WebSocket.
type frameReader struct {
	side ws.Side
	d    *ws.Decoder
	msg  []byte
}

// read returns the messages and control frames in buf, and what is left of it.
func (r *frameReader) read(t testing.TB, buf []byte) (out []string, left []byte) {
	t.Helper()
	if r.d == nil {
		r.d = new(ws.Decoder)
		r.d.Init(r.side)
	}
	for len(buf) > 0 {
		ev, n, err := r.d.Next(buf, new(ws.Limits))
		switch {
		case err != nil:
			t.Fatalf("frames: %v", err)
		case n == 0:
			return out, bytes.Clone(buf)
		case ev.Kind == ws.Data:
			if r.msg = append(r.msg, ev.Payload...); ev.Final {
				out = append(out, brief(strings.ToLower(ev.Op.String()), r.msg))
				r.msg = nil
			}
		case ev.Kind == ws.KindPing:
			out = append(out, brief("ping", ev.Payload))
		case ev.Kind == ws.KindPong:
			out = append(out, brief("pong", ev.Payload))
		case ev.Kind == ws.KindClose:
			out = append(out, fmt.Sprintf("close %d %q", ev.Code, ev.Payload))
		}
		buf = buf[n:]
	}
	return out, nil
}

func brief(what string, p []byte) string {
	if len(p) > 40 {
		return fmt.Sprintf("%s [%d]", what, len(p))
	}
	return fmt.Sprintf("%s %q", what, p)
}
