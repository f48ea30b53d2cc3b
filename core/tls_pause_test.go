package core_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// recorders returns a vhost whose WebSockets are recorders.
func recorders(setup func(*recorder)) (core.VHost, *[]*recorder) {
	recs := new([]*recorder)
	return core.VHost{Protocols: []core.Protocol{recording("r", recs, setup)}}, recs
}

// TestTLSPauseWithRecordsLeft: several records come at once, the first one pauses.
// Nothing is delivered until Resume, and then all of it, without new bytes.
func TestTLSPauseWithRecordsLeft(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		const n = 20
		vh, recs := recorders(func(r *recorder) {
			r.on = func(c *core.Conn, _ core.Fragment) error { return c.Pause() }
		})
		w := m.open(t, sim.Options{}, core.Limits{}, vh)
		p := w.ws()
		for i := range n {
			p.text(fmt.Sprint(i)) // a record each
		}
		p.pump()
		r, th := (*recs)[0], w.eng.Thread(0)
		if left, _ := r.c.Left(); m.below == onDescriptor && !left {
			t.Fatal("nothing is left")
		}
		for i := range n {
			if got := r.count("receive"); got != i+1 {
				t.Fatalf("%d messages after %d Resumes", got, i)
			}
			if d := th.AdjustTimeout(-1); d == 0 {
				t.Fatal("a paused connection keeps the loop awake")
			}
			if i == n/2 {
				p.text("late")
				p.pump()
			}
			r.c.Resume()
			left, _ := r.c.Left()
			if d := th.AdjustTimeout(-1); (d == 0) != left {
				t.Fatalf("something is left: %v, and the loop may sleep %v", left, d)
			}
			w.drive()
		}
		for i := range n {
			if want := fmt.Sprintf("receive %q", fmt.Sprint(i)); r.receives()[i] != want {
				t.Fatalf("message %d is %s, want %s", i, r.receives()[i], want)
			}
		}
		if last := r.events[len(r.events)-1]; last != `receive "late"` {
			t.Errorf("the last event is %s", last)
		}
	})
}

// TestTLSPauseKeepsWhatWasRead: what a pause leaves is kept once, and no more is read.
func TestTLSPauseKeepsWhatWasRead(t *testing.T) {
	vh, recs := recorders(func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error { return c.Pause() }
	})
	w := secure(t, sim.Options{}, core.Limits{}, vh)
	p := w.tls(trusts("a.test"))
	p.upgrade()
	sent := p.sent
	for range 30 {
		p.text("x")
	}
	p.pump()
	r := (*recs)[0]
	if left, got := r.c.Left(); !left || got > p.sent-sent {
		t.Errorf("left: %v; %d bytes are kept of %d", left, got, p.sent-sent)
	}
	if ev, _ := w.k.Interest(p.FD()); ev != 0 {
		t.Errorf("interest while paused: %v", ev)
	}
	p.text("more")
	p.pump()
	if p.Unread() == 0 {
		t.Error("it was read on")
	}
}

// TestTLSEndsBehindAPause: close_notify and FIN come while the input is paused, in
// each order that a wire can have: the handler hears of the end behind the bytes, at
// Resume, and not before. On a stream both wait when it is resumed.
func TestTLSEndsBehindAPause(t *testing.T) {
	for _, how := range []string{"notify", "notify+fin", "fin"} {
		t.Run(how, func(t *testing.T) {
			everyMode(t, func(t *testing.T, m tlsMode) {
				m.mock.LateFeeds = 5
				vh, recs := recorders(func(r *recorder) {
					r.on = func(c *core.Conn, _ core.Fragment) error { return c.Pause() }
				})
				w := m.open(t, sim.Options{}, core.Limits{}, vh)
				p := w.ws()
				p.text("1")
				p.text("2")
				if strings.HasPrefix(how, "notify") {
					p.notify()
				}
				p.pump()
				if strings.HasSuffix(how, "fin") {
					p.CloseWrite()
				}
				w.drive()
				r := (*recs)[0]
				if got, want := strings.ReplaceAll(r.log(), ", writable", ""), `opened, receive "1"`; got != want {
					t.Fatalf("paused: %s, want %s", got, want)
				}
				r.c.Resume()
				w.drive()
				if got, want := strings.ReplaceAll(r.log(), ", writable", ""), `opened, receive "1", receive "2"`; got != want {
					t.Fatalf("resumed once: %s, want %s", got, want)
				}
				r.c.Resume()
				w.drive()
				if got, want := strings.ReplaceAll(r.log(), ", writable", ""), `opened, receive "1", receive "2", closed`; got != want {
					t.Fatalf("resumed: %s, want %s", got, want)
				}
				if cut := strings.Contains(fmt.Sprint(r.err), "no close_notify"); cut != (how == "fin") {
					t.Errorf("it ended with %v", r.err)
				}
			})
		})
	}
}

// TestTLSHalfClose: a client that sends no more still gets its answer, and then
// close_notify.
func TestTLSHalfClose(t *testing.T) {
	for _, how := range []string{"notify", "notify+fin", "fin"} {
		t.Run(how, func(t *testing.T) {
			everyMode(t, func(t *testing.T, m tlsMode) {
				w := m.open(t, sim.Options{}, core.Limits{}, core.VHost{})
				p := w.tls()
				p.put("GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n")
				if strings.HasPrefix(how, "notify") {
					p.notify()
				}
				p.read()
				p.deliver()
				if strings.HasSuffix(how, "fin") {
					p.CloseWrite()
				}
				if got := p.hear(); !strings.HasSuffix(got, "GET /a") || p.err != io.EOF || !p.EOF() {
					t.Errorf("heard %q, then %v, eof %v", got, p.err, p.EOF())
				}
			})
		})
	}
}

// TestTLSChoke: a client takes nothing. What waits is ciphertext, in order; a Ping is
// answered behind it, and a Close frame comes last, and then close_notify.
func TestTLSChoke(t *testing.T) {
	secret := strings.Repeat("secret ", 5000)
	everyMode(t, func(t *testing.T, m tlsMode) {
		vh, recs := recorders(func(r *recorder) {
			r.on = func(c *core.Conn, _ core.Fragment) error { return c.RequestWritable() }
			r.write = func(_ *core.Conn, w *core.WSWriter) error {
				if r.count("receive") == 0 || r.count("sent") > 0 {
					return nil // after a choke it is called unasked
				}
				r.note("sent")
				return w.Text([]byte(secret))
			}
		})
		m.mock.Mark = 4 << 10
		w := m.open(t, sim.Options{Capacity: 4 << 10}, core.Limits{}, vh)
		p := w.ws()
		p.Stall(true)
		p.text("go")
		p.pump()
		conn := (*recs)[0].c
		rest := conn.Waits()
		if len(rest) == 0 || bytes.Contains(rest, []byte("secret")) {
			t.Fatalf("%d bytes wait, or they are plaintext", len(rest))
		}
		if got := conn.Pending(); got < len(rest) || got > 40<<10 {
			t.Errorf("%d bytes are pending, %d wait", got, len(rest))
		}
		p.put(string(frame(ws.Ping, true, "p")))
		p.pump()
		conn.Close(1000, "bye")
		w.drive()
		for before := -1; p.Received() != before; w.drive() {
			before = p.Received()
			p.TakeSome(1000)
		}
		p.Stall(false)
		p.want(`text [35000] | pong "p" | close 1000 "bye"`)
		p.put(string(ws.AppendClose(nil, 1000, "", &testMask)))
		p.want("notify | eof")
		if conn.Pending() != 0 {
			t.Errorf("%d bytes are pending", conn.Pending())
		}
	})
}

// TestTLSFlushAndLingerLimits: a client that takes nothing is given FlushTimeout, one
// that does not stop LingerTimeout.
func TestTLSFlushAndLingerLimits(t *testing.T) {
	makeCerts(t)
	big := strings.Repeat("x", 200<<10)
	respond := func(_ *core.Conn, _ *core.Request, w *core.HTTPWriter) error { return w.Respond(200, nil, []byte(big)) }
	w := secure(t, sim.Options{}, core.Limits{}, core.VHost{Protocols: []core.Protocol{{Name: "big", HTTP: core.HTTPFunc(respond)}}})
	p := w.tls(trusts("a.test"))
	p.Stall(true)
	p.put("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
	p.pump()
	w.k.Advance(5*time.Second - 1)
	if p.Gone() {
		t.Error("gone before FlushTimeout")
	}
	w.k.Advance(10 * time.Second)
	if !p.Gone() {
		t.Error("still there after FlushTimeout")
	}
	q := w.tls(trusts("a.test"))
	if got := q.say("BAD\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") || q.err != io.EOF || !q.EOF() {
		t.Errorf("heard %q, then %v", got, q.err)
	}
	w.k.Advance(2*time.Second - 1)
	if q.Gone() {
		t.Error("gone before LingerTimeout")
	}
	w.k.Advance(1)
	if !q.Gone() {
		t.Error("still there after LingerTimeout")
	}
}

// TestConnTLS: what it says and when.
func TestConnTLS(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		var early, late *tls.ConnectionState
		vh, recs := recorders(nil)
		makeCerts(t)
		vh.TLS = serves(certs.a)
		vh.TLS.Info = func(c *core.Conn, ev core.TLSEvent) error {
			switch ev.Kind {
			case core.TLSStart:
				early = c.TLS()
			case core.TLSDone:
				late = c.TLS()
			}
			return nil
		}
		w := m.open(t, sim.Options{}, core.Limits{}, vh)
		p := w.ws()
		if early != nil {
			t.Error("there is a state before the handshake is complete")
		}
		for _, st := range []*tls.ConnectionState{late, (*recs)[0].c.TLS()} {
			if st == nil || st.Version != m.version || st.ServerName != "a.test" || st.NegotiatedProtocol != "" || !st.HandshakeComplete {
				t.Fatalf("%+v", st)
			}
		}
		p.leave()
		if (*recs)[0].c.TLS() != nil {
			t.Error("there is a state when all is over")
		}
	})
}

// receives returns the Receive events.
func (r *recorder) receives() (got []string) {
	for _, e := range r.events {
		if strings.HasPrefix(e, "receive ") {
			got = append(got, e)
		}
	}
	return got
}
