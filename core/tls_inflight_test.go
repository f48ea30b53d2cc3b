package core_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// stages brings n clients as far as one can be, in turn: silent, half a hello, hello,
// complete, request, WebSocket.
func stages(w *world, n int, cfg *tls.Config) (ps []*tlsPeer) {
	for i := range n {
		p := w.secret(cfg.Clone())
		switch i % 6 {
		case 1:
			p.goOn()
			p.Write(p.out[:40])
			p.out = p.out[40:]
		case 2:
			p.goOn()
			p.deliver()
		case 3:
			p.shake()
		case 4:
			p.shake()
			p.put("GET / HTTP/1.1\r\nHost: ")
			p.deliver()
		case 5:
			p.shake()
			p.upgrade()
		}
		ps = append(ps, p)
	}
	w.k.Drive()
	return ps
}

// TestTLSReloadInFlight: a new certificate while a hundred connections are anywhere.
// They go on; handshakes that begin later are shown the new one; old sessions resume.
func TestTLSReloadInFlight(t *testing.T) {
	makeCerts(t)
	now := certs.a
	load := func(*core.VirtualHost) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{now}}, nil
	}
	w := secure(t, sim.Options{}, core.Limits{}, core.VHost{TLS: &core.TLS{Load: load}})
	cfg := trusts("a.test")
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	first := w.tls(cfg)
	first.hear() // and keeps the ticket
	first.leave()
	ps := stages(w, 100, trusts("a.test"))
	now, _, _ = core.NewTestCA(t).Leaf(t, "new.test")
	if err := w.eng.VHost("default").ReloadTLS(); err != nil {
		t.Fatal(err)
	}
	for i, p := range ps {
		switch i % 6 {
		case 0, 1: // begin after it
			if p.pump(); p.shaken || p.err == nil {
				t.Errorf("stage %d: the old certificate was shown", i%6)
			}
		case 2, 3:
			p.shake()
			p.upgrade()
		case 4:
			if got := p.say("h\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("%q", got)
			}
		case 5:
			p.text("x")
			p.want(`text "x"`)
		}
	}
	resumed := w.tls(cfg)
	if !resumed.state.DidResume || w.eng.Stats().Resumed != 1 {
		t.Error("the old session did not resume")
	}
	fresh := trusts("new.test")
	fresh.InsecureSkipVerify = true
	if p := w.tls(fresh); p.shows() != "new.test" {
		t.Errorf("shown %s", p.shows())
	}
}

// TestTLSIgnoreMissing: handshakes fail until the file is there and read.
func TestTLSIgnoreMissing(t *testing.T) {
	makeCerts(t)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	w := secure(t, sim.Options{}, core.Limits{}, core.VHost{TLS: &core.TLS{CertFile: cert, KeyFile: key, IgnoreMissing: true}})
	vh := w.eng.VHost("default")
	p := w.secret(trusts("a.test"))
	p.pump()
	if got := strings.Join(p.ends(), " "); got != "alert 112 sent=false eof" {
		t.Errorf("without a certificate: %s", got)
	}
	if err := vh.ReloadTLS(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReloadTLS answered %v", err)
	}
	_, certPEM, keyPEM := core.NewTestCA(t).Leaf(t, "a.test")
	if err := errors.Join(os.WriteFile(cert, certPEM, 0o600), os.WriteFile(key, keyPEM, 0o600), vh.ReloadTLS()); err != nil {
		t.Fatal(err)
	}
	cfg := trusts("a.test")
	cfg.InsecureSkipVerify = true
	w.tls(cfg)
}

// TestTLSVHostRemovedInFlight: whoever is in its handshake ends; those of other vhosts
// go on; nothing of it is left.
func TestTLSVHostRemovedInFlight(t *testing.T) {
	makeCerts(t)
	base := runtime.NumGoroutine()
	w := secure(t, sim.Options{}, core.Limits{}, tlsNamed("a.test", certs.a))
	for range 20 {
		vh, err := w.eng.AddVHost(func() core.VHost { v := tlsNamed("b.test", certs.b); v.Addr = host; return v }())
		if err != nil {
			t.Fatal(err)
		}
		bs, as := stages(w, 12, trusts("b.test")), stages(w, 12, trusts("a.test"))
		vh.Remove()
		for _, p := range bs[2:3] {
			p.pump()
			if p.shaken && !p.Gone() {
				t.Error("a handshake with a vhost that is removed goes on")
			}
		}
		for i, p := range as {
			if i%6 != 1 && i%6 != 4 {
				if i%6 < 3 {
					p.shake()
				}
				if i%6 < 5 {
					p.upgrade()
				}
				p.text("x")
				p.want(`text "x"`)
			}
		}
		for _, p := range append(as, bs...) {
			p.Reset()
			p.s.Abort()
		}
		w.k.Drive()
		if st := w.eng.Stats(); st.Shaking != 0 || st.Conns != 0 {
			t.Fatalf("%+v", st)
		}
	}
	settled(t, base)
}

// TestTLSDetachInFlight: handshakes that are suspended, by either means, go on where
// the engine is attached again; their limits have run on.
func TestTLSDetachInFlight(t *testing.T) {
	for _, steady := range []bool{true, false} {
		t.Run(fmt.Sprint(steady), func(t *testing.T) {
			base := runtime.NumGoroutine()
			w := secure(t, sim.Options{}, core.Limits{}, core.VHost{})
			w.eng.Thread(0).Steady(steady)
			ps := stages(w, 12, trusts("a.test"))
			late := stages(w, 3, trusts("a.test"))
			w.eng.Detach()
			if w.k.Watched() != 0 {
				t.Errorf("%d descriptors are watched", w.k.Watched())
			}
			done := make(chan error)
			go func() { done <- w.eng.Attach(w.k) }() // another goroutine may turn it from now on
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			for i, p := range ps {
				switch i % 6 {
				case 0, 1, 2, 3:
					p.shake()
					p.upgrade()
					fallthrough
				case 5:
					p.text("x")
					p.want(`text "x"`)
				}
				p.leave()
			}
			w.eng.Detach()
			w.k.Skip(20 * time.Second)
			if err := w.eng.Attach(w.k); err != nil {
				t.Fatal(err)
			}
			w.k.Drive()
			for _, p := range late {
				if !p.Gone() {
					t.Error("TLSTimeout has not run on")
				}
				p.s.Abort()
			}
			if st := w.eng.Stats(); st.Shaking != 0 {
				t.Errorf("%+v", st)
			}
			settled(t, base)
		})
	}
}

// TestTLSStreamFedWhileItWaits: an engine that cannot pause feeds a stream that waits for
// a place, or tells of its end; who comes behind it gets the place.
func TestTLSStreamFedWhileItWaits(t *testing.T) {
	makeCerts(t)
	for _, m := range tlsModes {
		if m.below == onDescriptor {
			continue
		}
		t.Run(m.String(), func(t *testing.T) {
			m.mock.NoPause, m.mock.Piece = true, 7
			w := m.open(t, sim.Options{}, core.Limits{Handshakes: 1}, core.VHost{})
			a, b := w.secret(), w.secret()
			a.goOn()
			a.deliver()
			w.drive()
			b.glue = handshake + "\r\n"
			b.pump()
			if b.shaken || w.eng.Stats().Shaking != 1 {
				t.Fatalf("%d handshakes", w.eng.Stats().Shaking)
			}
			b.CloseWrite() // its hello is a prefix of nothing
			w.drive()
			c := w.secret()
			c.pump()
			a.shake()
			c.shake()
			c.upgrade()
		})
	}
}
