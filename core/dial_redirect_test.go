package core_test

import (
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// TestRedirects: followed as often as allowed; what is secret stays with the first
// host; the second socket is a new one.
func TestRedirects(t *testing.T) {
	w, h := client(t, core.Limits{})
	first, second := w.listens(farAddr), w.listens("192.0.2.2:8080")
	h.dial(core.Dial{URL: "ws://u:p@192.0.2.1/a", Redirects: 2, Header: core.Header{{Name: "cookie", Value: "c"}, {Name: "x-a", Value: "b"}}})
	w.k.Drive()
	if head := first.request(); !strings.Contains(head, "authorization: Basic dTpw\r\n") || !strings.Contains(head, "cookie: c\r\n") {
		t.Errorf("the first request:\n%s", head)
	}
	first.WriteString("HTTP/1.1 301 Moved Permanently\r\nLocation: http://192.0.2.2:8080/b?c\r\nContent-Length: 3\r\n\r\nabc")
	w.k.Drive()
	if !first.Gone() {
		t.Error("the first connection is still open")
	}
	head := second.request()
	if !strings.HasPrefix(head, "GET /b?c HTTP/1.1\r\nhost: 192.0.2.2:8080\r\n") || strings.Contains(head, "authorization") ||
		strings.Contains(head, "cookie") || !strings.Contains(head, "x-a: b\r\n") {
		t.Errorf("the second request:\n%s", head)
	}
	second.WriteString("HTTP/1.1 307 Temporary Redirect\r\nLocation: /d\r\n\r\n")
	w.k.Drive()
	second.opens()
	if !strings.HasPrefix(second.head, "GET /d HTTP/1.1\r\n") {
		t.Errorf("the third request:\n%s", second.head)
	}
	h.want("made, connected 101 m")
}

// TestRedirectWithALongBody: a body that fills the receive buffer is not read on from
// a descriptor that is gone.
func TestRedirectWithALongBody(t *testing.T) {
	w, h := client(t, core.Limits{})
	first, second := w.listens(farAddr), w.listens("192.0.2.2:80")
	h.dial(core.Dial{Redirects: 1})
	w.k.Drive()
	first.request()
	first.WriteString("HTTP/1.1 302 Found\r\nLocation: ws://192.0.2.2/\r\n\r\n" + strings.Repeat("x", 128<<10))
	w.k.Drive()
	second.opens()
	h.want("made, connected 101 m")
}

// TestRedirectsKeepAddrWithinTheHost: Addr and Host say how the URL's host is
// reached and called, and hold for every hop to it, and for no other.
func TestRedirectsKeepAddrWithinTheHost(t *testing.T) {
	w, h := client(t, core.Limits{})
	first, second := w.listens("unix:/run/app"), w.listens("192.0.2.2:80")
	w.k.Answer("/run/app", sim.Answer{Accept: func(p *sim.Peer) { first.peer = &peer{Peer: p, w: w} }})
	h.dial(core.Dial{URL: "ws://app/a", Addr: "unix:/run/app", Host: "app.example", Redirects: 2})
	w.k.Drive()
	for _, step := range []struct {
		f          *far
		head, next string
	}{
		{first, "GET /a HTTP/1.1\r\nhost: app.example\r\n", "/b"},
		{first, "GET /b HTTP/1.1\r\nhost: app.example\r\n", "ws://192.0.2.2/c"},
	} {
		if head := step.f.request(); !strings.HasPrefix(head, step.head) {
			t.Errorf("asked\n%s\nwant %s", head, step.head)
		}
		step.f.WriteString("HTTP/1.1 307 x\r\nLocation: " + step.next + "\r\n\r\n")
		w.k.Drive()
	}
	second.opens()
	if !strings.HasPrefix(second.head, "GET /c HTTP/1.1\r\nhost: 192.0.2.2\r\n") {
		t.Errorf("asked\n%s", second.head)
	}
	h.want("made, connected 101 m")
}
