package core_test

import (
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// talk is a conversation from the first hello to close_notify, with requests, a
// WebSocket and its closing handshake. It returns what the peer heard.
func talk(p *tlsPeer) (heard string) {
	p.t.Helper()
	p.shake()
	heard = p.say("GET /one HTTP/1.1\r\nHost: a.test\r\n\r\n")
	p.upgrade()
	p.text("hello")
	p.put(string(frame(ws.Ping, true, "p")))
	heard += p.frames()
	p.text(strings.Repeat("long ", 5000)) // two records
	heard += p.frames()
	p.put(string(ws.AppendClose(nil, 1000, "bye", &testMask)))
	p.notify()
	return heard + p.frames()
}

// TestTLSSplitAtEveryByte: a pause of the loop behind each byte that a client sends,
// in turn; then a byte at a time, and record by record.
func TestTLSSplitAtEveryByte(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		w := m.open(t, sim.Options{}, core.Limits{}, core.VHost{})
		p := w.secret()
		want, size := talk(p), p.sent
		p.CloseWrite()
		w.drive()
		for _, part := range []string{"GET /one", `text "hello" | pong "p"`, "text [25000]", `close 1000 "bye"`, "notify"} {
			if !strings.Contains(want, part) {
				t.Fatalf("no %s in %q", part, want)
			}
		}
		step := 1
		switch {
		case core.Debugging || testing.Short():
			step = 17 // the race detector takes ten times as long
		case m.below != onDescriptor || !m.lend:
			step = 5
		}
		small := min(size, 1200) // behind that there is the middle of a large message
		check := func(p *tlsPeer, how string) {
			t.Helper()
			got := talk(p)
			if got = dateless(got); m.below != onDescriptor {
				got = strings.TrimSuffix(got, " | reset") // a stream is closed with the closing handshake: what follows comes too late
			}
			if got != dateless(want) {
				t.Fatalf("%s: heard %q\nwant %q", how, got, want)
			}
			p.CloseWrite()
			w.drive()
			if !p.Gone() {
				t.Fatalf("%s: still there", how)
			}
		}
		for cut := 1; cut < size; cut += step {
			if cut > small {
				cut = max(cut, size-200)
			}
			p := w.secret()
			p.cut = cut
			check(p, "cut")
		}
		for _, s := range []shape{single, records} {
			p := w.secret()
			p.shape = s
			check(p, s.String())
		}
		if st := w.eng.Stats(); st.ShakeFailures != 0 || st.Shaking != 0 || st.Conns != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// dateless takes the Date field's value out, which moves with the clock.
func dateless(s string) string {
	before, after, ok := strings.Cut(s, "date: ")
	if !ok {
		return s
	}
	_, after, _ = strings.Cut(after, "\r\n")
	return before + after
}

// TestTLSOneByteWires: every read and write of the server moves one byte.
func TestTLSOneByteWires(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		if m.below != onDescriptor {
			m.mock.Piece = 1
		}
		w := m.open(t, sim.Options{}, core.Limits{}, core.VHost{})
		p := w.secret()
		if m.below == onDescriptor {
			p.SetReadSize(1)
			p.SetWriteSize(1)
		}
		p.shake()
		p.upgrade()
		p.text("x")
		p.want(`text "x"`)
	})
}

// TestTLSDataBehindFinished: what comes together with the end of the handshake is
// served, though nothing announces it.
func TestTLSDataBehindFinished(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		w := m.open(t, sim.Options{}, core.Limits{}, core.VHost{})
		p := w.secret()
		p.glue = handshake + "\r\n" + string(frame(ws.Text, true, "early"))
		if got := p.hear(); !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.HasSuffix(got, "\x81\x05early") {
			t.Errorf("heard %q, %v", got, p.err)
		}
	})
}
