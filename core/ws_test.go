package core_test

import (
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

func TestEcho(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.ws()
	p.text("hello")
	p.want(`text "hello"`)
	p.ping("x")
	p.want(`pong "x"`)
	p.Write(frame(ws.Binary, false, "ab"))
	p.Write(frame(ws.Ping, true, "mid"))
	p.Write(frame(ws.Continuation, true, "cd"))
	p.want(`pong "mid" | binary "abcd"`)
	p.close(1000, "bye")
	p.want(`close 1000 "bye" | eof`)
	if !p.Gone() {
		t.Error("the descriptor is still open")
	}
}

func TestSixteenMessagesTogetherAreOneReadAndOneWrite(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.ws()
	var all []byte
	for range 16 {
		all = append(all, frame(ws.Text, true, strings.Repeat("x", 64))...)
	}
	before := w.eng.Stats()
	p.Write(all)
	w.k.Drive()
	after := w.eng.Stats()
	if r, wr, ch := after.Reads-before.Reads, after.Writes-before.Writes, after.Changes-before.Changes; r != 1 || wr != 1 || ch != 0 {
		t.Errorf("%d reads, %d writes, %d interest changes for 16 messages", r, wr, ch)
	}
	if n := strings.Count(p.frames(), "text [64]"); n != 16 {
		t.Errorf("%d echoes", n)
	}
}

func TestHTTP(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.dial()
	p.WriteString("GET /a HTTP/1.1\r\nHost: h\r\n\r\nHEAD /b HTTP/1.1\r\nHost: h\r\n\r\nPOST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /d HTTP/1.0\r\n\r\n")
	got := p.answer()
	for _, want := range []string{"GET /a", "content-length: 7\r\n", "POST /c", "GET /d"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "HEAD /b") {
		t.Error("HEAD got a body")
	}
	if strings.Count(got, "HTTP/1.1 200 OK\r\n") != 4 {
		t.Errorf("answers:\n%s", got)
	}
	if !p.EOF() {
		t.Error("HTTP/1.0 was kept alive")
	}
}
