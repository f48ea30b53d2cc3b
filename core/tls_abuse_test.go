package core_test

import (
	"crypto/tls"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// settled waits until at most n goroutines are left: one that has ended may take a
// moment to be gone.
func settled(t testing.TB, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > n; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines are left, there were %d", runtime.NumGoroutine(), n)
		}
	}
}

// TestTLSGoneAtEveryByte: a client that goes in good order, or breaks the connection,
// behind each byte of its part of the handshake leaves nothing.
func TestTLSGoneAtEveryByte(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		base := runtime.NumGoroutine()
		w := m.open(t, sim.Options{}, core.Limits{}, core.VHost{})
		p := w.secret()
		p.shake()
		size := p.sent
		p.leave()
		step := 1
		switch {
		case core.Debugging || testing.Short():
			step = 29
		case m.below != onDescriptor:
			step = 7
		}
		failed := w.eng.Stats().ShakeFailures
		for cut := 0; cut < size; cut += step {
			for _, end := range []func(*sim.Peer){(*sim.Peer).CloseWrite, (*sim.Peer).Reset, (*sim.Peer).Close} {
				p := w.secret()
				p.read()
				for p.sent < cut { // the rest of the handshake is never said
					p.read()
					n := p.Write(p.out[:min(len(p.out), cut-p.sent)])
					p.out, p.sent = p.out[n:], p.sent+n
					w.drive()
				}
				end(p.Peer)
				p.s.Abort()
				w.drive()
				if st := w.eng.Stats(); !p.Gone() || st.Shaking != 0 || st.Conns != 0 {
					t.Fatalf("behind byte %d: gone %v, %+v", cut, p.Gone(), st)
				}
			}
		}
		st := w.eng.Stats()
		if st.Handshakes != 1 || st.ShakeFailures == failed {
			t.Errorf("%+v", st)
		}
		settled(t, base)
	})
}

// alertOf reads an alert that was sent in the clear.
func alertOf(b []byte) string {
	if len(b) >= 7 && b[0] == 21 && b[4] == 2 {
		return fmt.Sprintf("level %d alert %d", b[5], b[6])
	}
	return fmt.Sprintf("%q", b)
}

// TestTLSRefusesWithTheRightAlert: what is no hello of a client that we speak with.
func TestTLSRefusesWithTheRightAlert(t *testing.T) {
	hello := func(body string) string {
		return "\x16\x03\x01" + string([]byte{byte(len(body) >> 8), byte(len(body))}) + body
	}
	const none = `""` // crypto/tls says nothing to what does not look like TLS
	for _, c := range []struct{ name, in, want string }{
		{"garbage in a record", hello("garbage!"), "level 2 alert 80"}, // a message of 6 MiB
		{"a hello that is none", hello("\x01\x00\x00\x04\x03\x03ab"), "level 2 alert 50"},
		{"an empty record", hello(""), "level 2 alert 10"},
		{"oversized", "\x16\x03\x01\xff\xff" + strings.Repeat("x", 100), "level 2 alert 22"},
		{"application data first", "\x17\x03\x03\x00\x05hello", none},
		{"change cipher spec first", "\x14\x03\x03\x00\x01\x01", none},
		{"SSLv2", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + strings.Repeat("x", 40), "level 2 alert 70"},
		{"garbage", strings.Repeat("\xff\x00\x1f", 20), none},
		{"an alert", "\x15\x03\x01\x00\x02\x02\x28", none},
	} {
		t.Run(c.name, func(t *testing.T) {
			everyMode(t, func(t *testing.T, m tlsMode) {
				w := m.open(t, sim.Options{}, core.Limits{}, core.VHost{})
				p := w.secret()
				p.deaf = true
				p.WriteString(c.in)
				w.drive()
				if got := alertOf(p.Peer.Read()); got != c.want {
					t.Errorf("answered by %s, want %s", got, c.want)
				}
				if !p.EOF() {
					t.Error("it may go on")
				}
				w.k.Advance(2 * time.Second)
				w.drive()
				if st := w.eng.Stats(); !p.Gone() || st.ShakeFailures != 1 || st.Shaking != 0 {
					t.Errorf("gone %v, %+v", p.Gone(), st)
				}
			})
		})
	}
}

// TestTLSGarbageBehindTheHandshake: the alert is encrypted, and the handler's end says so.
func TestTLSGarbageBehindTheHandshake(t *testing.T) {
	for _, c := range []struct {
		name, in string
		alert    [2]int // TLS 1.3, TLS 1.2
	}{
		{"bad record", "\x17\x03\x03\x00\x20" + strings.Repeat("x", 32), [2]int{20, 20}},
		{"oversized", "\x17\x03\x03\xff\xff", [2]int{22, 22}},
		{"plaintext", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", [2]int{70, 70}},
	} {
		t.Run(c.name, func(t *testing.T) {
			everyMode(t, func(t *testing.T, m tlsMode) {
				vh, recs := recorders(nil)
				w := m.open(t, sim.Options{}, core.Limits{}, vh)
				p := w.ws()
				p.WriteString(c.in)
				want := c.alert[0]
				if m.version == tls.VersionTLS12 {
					want = c.alert[1]
				}
				p.want(fmt.Sprintf("alert %d sent=false | eof", want))
				p.CloseWrite()
				w.drive()
				r := (*recs)[0]
				if r.count("closed") != 1 || !strings.Contains(fmt.Sprint(r.err), fmt.Sprintf("sent alert %d ", want)) {
					t.Errorf("%s: %v", r.log(), r.err)
				}
			})
		})
	}
}

// TestTLSStalledHandshakes: five thousand clients that say hello and no more. So many
// goroutines as there are places; the others cost little; all end at TLSTimeout, and
// who came in between is served when places are free.
func TestTLSStalledHandshakes(t *testing.T) {
	clients, places := 5000, 64
	if core.Debugging {
		clients = 1000 // the race detector takes ten times as long
	}
	base := runtime.NumGoroutine()
	w := secure(t, sim.Options{}, core.Limits{Handshakes: places}, core.VHost{})
	one := w.hellos(1)[0] // whatever is made once
	w.k.Drive()
	one.Reset()
	one.s.Abort()
	w.k.Drive()
	empty := heap()
	idle := make([]*peer, clients)
	for i := range idle {
		idle[i] = w.dial()
	}
	w.k.Drive()
	each := (heap() - empty) / int64(clients)
	for _, p := range idle {
		p.Reset()
	}
	w.k.Drive()
	idle = nil
	p := w.secret(trusts("a.test"))
	p.goOn()
	hello := p.out
	p.s.Abort()
	before := heap()
	for range clients {
		w.dial().Write(hello)
	}
	w.k.Drive()
	st := w.eng.Stats()
	if st.Shaking != places || runtime.NumGoroutine() > base+places {
		t.Errorf("%d handshakes, %d goroutines more", st.Shaking, runtime.NumGoroutine()-base)
	}
	grown := heap() - before
	t.Logf("%d bytes for each that is silent; %d for each that has said hello, %d of them underway", each, grown/int64(clients), places)
	if limit := each + int64(len(hello)+512+places*(32<<10)/clients); grown/int64(clients) > limit {
		t.Errorf("%d bytes each, more than %d", grown/int64(clients), limit)
	}
	w.k.Advance(time.Second)
	q := w.secret(trusts("a.test"))
	q.pump()
	if q.shaken {
		t.Fatal("a newcomer has overtaken")
	}
	w.k.Advance(14*time.Second - 1)
	if n := w.eng.Stats().Conns; n < clients {
		t.Errorf("%d connections before TLSTimeout", n)
	}
	w.k.Advance(1)
	q.shake()
	q.upgrade()
	q.leave()
	w.k.Advance(time.Second) // p, which has said nothing
	if st := w.eng.Stats(); st.Shaking != 0 || st.Conns != 0 {
		t.Errorf("%+v", st)
	}
	settled(t, base)
	if left := heap() - before; left > 1<<20 {
		t.Errorf("%d bytes are left", left)
	}
}
