package core_test

import (
	"crypto"
	"crypto/tls"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// ends stops the engine and waits for its workers; drive may be nil.
func (w *world) ends(drive func()) {
	w.t.Helper()
	w.eng.Stop(-1)
	w.until("the engine has ended", func() bool {
		if drive != nil {
			drive()
		}
		select {
		case <-w.eng.Done():
			return true
		default:
			return false
		}
	})
}

// gate is a private key that signs when it is let.
type gate struct {
	crypto.Signer
	begun atomic.Int32
	done  atomic.Int32
	open  chan struct{}
}

func (g *gate) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	g.begun.Add(1)
	<-g.open
	defer g.done.Add(1)
	return g.Signer.Sign(r, digest, o)
}

// gated returns a.test's certificate with a key that waits.
func gated(t testing.TB) (tls.Certificate, *gate) {
	makeCerts(t)
	g := &gate{Signer: certs.rsa.PrivateKey.(crypto.Signer), open: make(chan struct{})}
	c := certs.rsa
	c.PrivateKey = g
	return c, g
}

// TestTLSJobsLeaveTheLoopFree: while keys are in use elsewhere, others are served, and
// what the clients say meanwhile is not lost. All go on when the keys are done, though
// a turn takes only one step.
func TestTLSJobsLeaveTheLoopFree(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		const n = 12
		cert, g := gated(t)
		w := m.open(t, sim.Options{}, core.Limits{ShakeBatch: 1, Workers: n}, core.VHost{TLS: serves(cert)})
		plain := w.ws2(t)
		var ps []*tlsPeer
		for range n {
			p := w.secret()
			p.goOn()
			p.deliver()
			ps = append(ps, p)
		}
		w.until("all keys are in use", func() bool { w.drive(); return g.begun.Load() == n })
		if st := w.eng.Stats(); st.Shaking != n {
			t.Errorf("%d handshakes are underway", st.Shaking)
		}
		if d := w.eng.Thread(0).AdjustTimeout(-1); d == 0 {
			t.Error("waiting for a key keeps the loop awake")
		}
		plain.ask(t, w)
		close(g.open)
		for _, p := range ps {
			w.until("the handshake is complete", func() bool { p.pump(); return p.shaken })
			p.upgrade()
			p.text("x")
			p.want(`text "x"`)
		}
		w.ends(w.drive)
	})
}

// beside is a connection that has nothing to do with keys.
type beside struct{ p *sim.Peer }

// ws2 makes an HTTP connection on a second vhost, without TLS.
func (w *modal) ws2(t *testing.T) beside {
	t.Helper()
	vh := httpVHost()
	vh.Name, vh.Addr = "beside", "beside:1"
	if _, err := w.eng.AddVHost(vh); err != nil {
		t.Fatal(err)
	}
	return beside{w.k.Dial("beside:1")}
}

func (b beside) ask(t *testing.T, w *modal) {
	t.Helper()
	b.p.WriteString("GET /beside HTTP/1.1\r\nHost: beside\r\n\r\n")
	w.drive()
	if got := string(b.p.Read()); !strings.HasSuffix(got, "GET /beside") {
		t.Errorf("beside: %q", got)
	}
}

// TestTLSJobOutlivesItsConnection: the client resets, the limit comes, the vhost is
// removed, the engine stops while the key is in use: nothing is left when it is done.
func TestTLSJobOutlivesItsConnection(t *testing.T) {
	base := runtime.NumGoroutine()
	for _, how := range []string{"reset", "fin", "limit", "remove", "stop", "cut"} {
		t.Run(how, func(t *testing.T) {
			everyMode(t, func(t *testing.T, m tlsMode) {
				cert, g := gated(t)
				w := m.open(t, sim.Options{}, core.Limits{}, core.VHost{TLS: serves(cert)})
				p := w.secret()
				p.goOn()
				p.deliver()
				w.until("the key is in use", func() bool { w.drive(); return g.begun.Load() == 1 })
				switch how {
				case "reset":
					p.Reset()
				case "fin":
					p.Close()
				case "limit":
					w.k.Advance(15 * time.Second)
				case "remove":
					w.eng.VHost("default").Remove()
				case "stop":
					w.eng.Stop(0)
				case "cut":
					w.eng.Stop(-1)
				}
				w.drive()
				w.k.Advance(3 * time.Second)
				w.drive()
				if !p.Gone() && how != "fin" || w.eng.Stats().Shaking != 0 && how != "fin" {
					t.Errorf("gone %v, %+v", p.Gone(), w.eng.Stats())
				}
				close(g.open)
				w.until("the connection is counted out", func() bool {
					w.drive()
					return g.done.Load() == 1 && w.eng.Stats().Conns == 0 && p.Gone()
				})
				if st := w.eng.Stats(); !p.Gone() || st.Shaking != 0 || st.Conns != 0 || st.Handshakes != 0 || st.ShakeFailures != 1 {
					t.Errorf("gone %v, %+v", p.Gone(), st)
				}
				w.ends(w.drive)
			})
			settled(t, base+1) // the subtest's own
		})
	}
}

// TestTLSJobsWithoutWorkers: with all workers busy and the queue full, the loop signs.
func TestTLSJobsWithoutWorkers(t *testing.T) {
	makeCerts(t)
	w := secure(t, sim.Options{}, core.Limits{Workers: 1, WorkQueue: 1}, core.VHost{TLS: serves(certs.rsa)})
	stop := make(chan struct{})
	vh := core.VHost{Name: "busy", Addr: "busy:1", Protocols: []core.Protocol{{Name: "b", HTTP: core.HTTPFunc(
		func(c *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
			c.Work(func() { <-stop }, func(*core.Conn) error { return nil })
			return nil
		})}}}
	if _, err := w.eng.AddVHost(vh); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.k.Dial("busy:1").WriteString("GET / HTTP/1.1\r\nHost: busy\r\n\r\n")
		w.k.Drive()
	}
	w.tls(trusts("a.test")) // without a moment's wait
	if n := w.eng.Stats().Posts; n != 0 {
		t.Errorf("%d posts while all workers are busy", n)
	}
	close(stop)
	w.until("the workers are done", func() bool { return w.eng.Stats().Posts == 2 })
	w.ends(nil)
}

// TestTLSOffLoop: which keys leave the loop.
func TestTLSOffLoop(t *testing.T) {
	makeCerts(t)
	for _, c := range []struct {
		cert tls.Certificate
		off  core.OffLoop
		want bool
	}{
		{certs.rsa, core.OffLoopSlow, true}, {certs.a, core.OffLoopSlow, false},
		{certs.rsa, core.OffLoopAll, true}, {certs.a, core.OffLoopAll, true},
		{certs.rsa, core.OffLoopNone, false}, {certs.a, core.OffLoopNone, false},
	} {
		t.Run(fmt.Sprintf("%T,%d", c.cert.PrivateKey, c.off), func(t *testing.T) {
			vh := core.VHost{TLS: serves(c.cert)}
			vh.TLS.OffLoop = c.off
			w := secure(t, sim.Options{}, core.Limits{}, vh)
			p := w.secret(trusts("a.test"))
			w.until("the handshake is complete", func() bool { p.pump(); return p.shaken })
			if posted := w.eng.Stats().Posts > 0; posted != c.want {
				t.Errorf("a worker was asked: %v", posted)
			}
			w.ends(nil)
		})
	}
}
