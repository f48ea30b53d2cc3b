package core_test

import (
	"fmt"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// secureRaw is a port that speaks TLS, and raw.
func secureRaw(t *testing.T, vh core.VHost, plain core.PlainPolicy) (*world, *[]*rawRec) {
	t.Helper()
	makeCerts(t)
	vh.TLS = serves(certs.a)
	vh.TLS.Plain = plain
	vh.Protocols = httpVHost().Protocols
	return rawWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}}, nil)
}

// TestPlainRaw: what is not TLS is the business of TLS.Plain; what is inside TLS is
// that of RawFallback.
func TestPlainRaw(t *testing.T) {
	const banner, request = "SSH-2.0-x\r\n", "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"
	for plain, want := range map[core.PlainPolicy][2]string{
		core.PlainRaw:    {banner, request},
		core.PlainServe:  {banner, "HTTP/1.1 200"},
		core.PlainRefuse: {"HTTP/1.1 400", "HTTP/1.1 400"},
		core.PlainClose:  {"", ""},
	} {
		w, recs := secureRaw(t, core.VHost{RawFallback: "raw"}, plain)
		for i, s := range []string{banner, request} {
			p := w.dial()
			p.WriteString(s)
			got := p.answer()
			if !strings.HasPrefix(got, want[i]) || got != "" && want[i] == "" {
				t.Errorf("policy %d: %q is answered by %q", plain, s, got)
			}
			p.Close()
			w.k.Drive()
		}
		made := len(*recs)
		inside := w.tls(trusts("a.test"))
		if got := inside.say(banner); got != banner || len(*recs) != made+1 {
			t.Errorf("policy %d: inside TLS: %q", plain, got)
		}
		if got := w.tls(trusts("a.test")).say(request); !strings.HasSuffix(got, "GET /x") {
			t.Errorf("policy %d: HTTP inside TLS: %q", plain, got)
		}
		if want := strings.Count(fmt.Sprint(want), "SSH") + strings.Count(fmt.Sprint(want), "GET"); made != want {
			t.Errorf("policy %d: %d raw connections without TLS, want %d", plain, made, want)
		}
	}
}

// TestRawOverTLS: RawOnly inside TLS; pausing holds back what is received already,
// and CloseWrite ends the connection when everything is sent.
func TestRawOverTLS(t *testing.T) {
	w, recs := secureRaw(t, core.VHost{RawOnly: "raw"}, core.PlainRefuse)
	p := w.tls(trusts("a.test"))
	big := strings.Repeat("0123456789", 10_000)
	if got := p.say(big); got != big {
		t.Errorf("%d bytes came back", len(got))
	}
	r := (*recs)[0]
	r.c.Pause()
	if got := p.say("later"); got != "" {
		t.Errorf("while paused: %q", got)
	}
	r.c.Resume()
	if got := p.hear(); got != "later" {
		t.Errorf("after Resume: %q", got)
	}
	r.write = func(c *core.Conn, w *core.RawWriter) error {
		w.Write([]byte("bye"))
		return w.CloseWrite()
	}
	if got := p.say("?"); got != "bye" || strings.Join(p.ends(), " ") != "notify eof" {
		t.Errorf("the end: %q, %v", got, p.ends())
	}
	p.leave()
	w.k.Drive()
	if n := len(r.events); r.events[n-1] != "closed" || r.err != nil {
		t.Errorf("%s, ended with %v", r.log(), r.err)
	}
}
