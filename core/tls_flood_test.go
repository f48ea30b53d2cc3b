package core_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

func maskedText(s string) []byte { return frame(ws.Text, true, s) }

// logged is a peer whose secrets are known.
type logged struct {
	*tlsPeer
	log *bytes.Buffer
}

// openEcho is open with a WebSocket that echoes.
func (m tlsMode) openEcho(t *testing.T) *modal {
	t.Helper()
	return m.open(t, sim.Options{}, core.Limits{}, core.VHost{})
}

// secretLogged dials and completes the handshake.
func (w *modal) secretLogged() logged {
	w.t.Helper()
	cfg := trusts("a.test")
	cfg.MinVersion, cfg.MaxVersion = w.m.version, w.m.version
	log := keyLog(cfg)
	p := w.secretOf(cfg)
	p.shake()
	return logged{p, log}
}

// flood sends KeyUpdates with a byte of data each, which crypto/tls takes for
// progress, until the wire takes no more or n are sent.
func (p logged) flood(w *modal, f *forger, n int) (sent int) {
	for i := range n {
		b := append(f.keyUpdate(), f.data("\x8a\x80\x00\x00\x00\x00")...) // an empty Pong
		for len(b) > 0 {
			k := p.Write(b)
			if b = b[k:]; k == 0 {
				return i
			}
			sent += k
		}
		if i%50 == 0 {
			w.drive()
		}
	}
	return n
}

// TestTLSKeyUpdateFlood: a client asks for new keys without end and takes nothing.
// Reading stops, what waits is bounded, and the connection ends by its limits; one
// that listens again is served on, though part of the flood was read already.
func TestTLSKeyUpdateFlood(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		if m.version < 0x304 {
			return
		}
		vh, recs := recorders(nil)
		w := m.open(t, sim.Options{Capacity: 32 << 10}, core.Limits{}, vh)
		for _, ends := range []bool{true, false} {
			p := w.secretLogged()
			f := p.forge(p.log)
			p.Write(f.data(handshake + "\r\n"))
			if got := p.hear(); !strings.HasPrefix(got, "HTTP/1.1 101 ") {
				t.Fatalf("heard %q", got)
			}
			r := (*recs)[len(*recs)-1]
			p.Stall(true)
			before := heap()
			if n := p.flood(w, f, 20_000); n == 20_000 {
				t.Fatal("all of the flood was taken")
			}
			if waits := len(r.c.Waits()); waits < 15<<10 || waits > 20<<10 {
				t.Errorf("%d bytes of answers wait", waits)
			}
			if grown := heap() - before; grown > 512<<10 {
				t.Errorf("the flood keeps %d bytes", grown)
			}
			pongs := r.count("pong")
			if ends {
				w.k.Advance(50 * time.Second)
				w.drive()
				if r.count("closed") != 1 {
					t.Error("a client that takes nothing is still there after PongTimeout")
				}
				continue
			}
			p.Stall(false)
			for range 200 {
				w.drive()
				p.Peer.Read()
			}
			if p.Unread() != 0 || r.count("pong") <= pongs {
				t.Errorf("%d bytes are not read, %d messages before and %d after", p.Unread(), pongs, r.count("pong"))
			}
			p.CloseWrite()
			w.drive()
		}
	})
}

// TestTLSRecordByBytes: a large record comes a byte at a time. What is kept is one
// record's size for each connection.
func TestTLSRecordByBytes(t *testing.T) {
	const peers = 20
	everyMode(t, func(t *testing.T, m tlsMode) {
		vh, recs := recorders(nil)
		w := m.open(t, sim.Options{Capacity: 1 << 20}, core.Limits{}, vh)
		var ps []*tlsPeer
		for range peers {
			p := w.ws()
			p.put(string(frame(ws.Binary, true, strings.Repeat("x", 30<<10))))
			ps = append(ps, p)
		}
		before := heap()
		steps := 16 << 10
		if core.Debugging {
			steps = 1 << 10
		}
		for i := range steps {
			for _, p := range ps[:1+(peers-1)*(i%100/99)] { // one by bytes, the others by hundreds
				n := 1
				if p != ps[0] {
					n = 100
				}
				p.Write(p.out[:n])
				p.out = p.out[n:]
			}
			w.drive()
		}
		for _, r := range *recs {
			if _, kept := r.c.Left(); kept > 16<<10+5+256 {
				t.Fatalf("%d bytes are kept", kept)
			}
		}
		if each := (heap() - before) / peers; each > 20<<10 {
			t.Errorf("%d bytes each", each)
		}
	})
}
