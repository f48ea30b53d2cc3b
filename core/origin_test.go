package core_test

import (
	"fmt"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// open tries the opening handshake and returns the answer's first line and whole.
func (w *world) open(host string, fields ...string) (status, all string) {
	w.t.Helper()
	p := w.dial()
	p.WriteString(strings.Replace(handshake, "Host: host", "Host: "+host, 1) + strings.Join(fields, "") + "\r\n")
	all = p.answer()
	status, _, _ = strings.Cut(strings.TrimPrefix(all, "HTTP/1.1 "), " ")
	return status, all
}

func TestSameOriginIsTheDefault(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	for _, c := range []struct {
		host, origin string
		ok           bool
	}{
		{"example.org", "http://example.org", true}, {"example.org", "https://example.org", true}, // TLS may end in front of us
		{"example.org", "ws://example.org", true}, {"example.org", "wss://example.org", true},
		{"Example.ORG", "HTTP://eXample.org", true}, {"example.org.", "http://example.org", true}, {"example.org", "http://example.org.", true},
		{"example.org:80", "http://example.org", true}, {"example.org:443", "https://example.org", true}, {"example.org:", "http://example.org", true},
		{"example.org:8080", "http://example.org:8080", true}, {"example.org", "http://example.org:80", true}, {"example.org", "https://example.org:443", true},
		{"127.0.0.1:7681", "http://127.0.0.1:7681", true}, {"[::1]:7681", "http://[::1]:7681", true}, {"[::1]", "http://[0:0::1]", true}, {"[::A]", "http://[::a]", true},
		{"localhost:7681", "http://localhost:7681", true}, {"a_b", "http://a_b", true},
		{"example.org", "http://evil.example", false}, {"example.org", "http://www.example.org", false}, {"www.example.org", "http://example.org", false},
		{"example.org", "http://example.org:8080", false}, {"example.org:8080", "http://example.org", false},
		{"example.org:80", "https://example.org", false}, {"example.org:443", "http://example.org", false},
		{"example.org", "http://example.org.evil.example", false}, {"example.org", "http://example.org..", false},
		{"[::1]:7681", "http://[::2]:7681", false}, {"127.0.0.1", "http://[::ffff:127.0.0.1]", false},
		{"", "http://", false}, {"", "http://:80", false}, {".", "http://.", false},
		{"example.org", "null", false}, {"example.org", "", false}, {"example.org", "example.org", false}, {"example.org", "//example.org", false},
		{"example.org", "://example.org", false}, {"example.org", "file://", false}, {"example.org", "app://example.org", false}, {"example.org", "1x://example.org", false},
		{"example.org", "http://example.org/", false}, {"example.org", "http://user@example.org", false}, {"example.org", "http://example.org?x", false},
		{"example.org", "http://example.org http://example.org", false}, {"example.org", "http://example.org, http://example.org", false},
		{"example.org", "http://example.org:", false}, {"example.org", "http://example.org:0", false}, {"example.org", "http://example.org:65616", false},
		{"example.org", "http://example.org:+80", false}, {"example.org", "http://example.org:80:80", false}, {"example.org", "http://example.org:8 0", false},
		{"[::1]", "http://[::1", false}, {"[::1]", "http://[::1]x", false}, {"[::1]", "http://[]", false}, {"[::1]", "http://[::1%25eth0]", false},
		{"[::1]", "http://[fe80::1%eth0]", false}, {"127.0.0.1", "http://[127.0.0.1]", false}, {"[127.0.0.1]", "http://[127.0.0.1]", false}, {"example.org", "http://ex%61mple.org", false}, {"example.org", "http://exämple.org", false},
	} {
		want := map[bool]string{true: "101", false: "403"}[c.ok]
		got, all := w.open(c.host, "Origin: "+c.origin+"\r\n")
		if got != want {
			t.Errorf("host %q, origin %q: %s", c.host, c.origin, got)
		}
		if !c.ok && !strings.Contains(all, "origin not allowed") {
			t.Errorf("host %q, origin %q: answered\n%s", c.host, c.origin, all)
		}
	}
}

func TestOriginPolicies(t *testing.T) {
	list, err := core.Origins("https://example.org", "http://localhost:8080", "https://*.wild.example", "https://*.port.example:8443", "app://shell", "http://[::1]")
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]bool{
		"https://example.org": true, "https://EXAMPLE.org.": true, "https://example.org:443": true, "http://localhost:8080": true,
		"https://a.wild.example": true, "https://b.a.wild.example": true, "https://a.port.example:8443": true, "app://shell": true, "http://[0::1]:80": true,
		"http://example.org": false, "https://example.org:8443": false, "https://www.example.org": false, "http://localhost": false,
		"https://wild.example": false, "https://.wild.example": false, "https://awild.example": false, "http://a.wild.example": false, "https://a.wild.example.evil": false,
		"https://a.port.example": false, "app://other": false, "https://localhost:8080": false, "http://[fe80::1%eth0]": false, "http://[fe80::1]": false, "null": false, "": false, "https://x": false, "https://*": false, "https://a.b.example": false,
		"https://slash.example": false, "https://bare.example": false, "https://a.b.twice.example": false, "https://*.wild.example": false,
	} {
		if got := list(nil, origin); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
	if none, err := core.Origins(); err != nil || none(nil, "https://example.org") || !core.AnyOrigin(nil, "null") {
		t.Error("an empty list lets somebody in, or AnyOrigin does not")
	}
}

// TestOriginMistakesAreNotDropped: an entry that is no page's origin lets nobody in, which
// its author is to know at once, by its name.
func TestOriginMistakesAreNotDropped(t *testing.T) {
	vh := httpVHost()
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	for _, entry := range []string{"http://[fe80::1%eth0]", "*", "https://*", "https://*.", "null", "", "https://a.*.example", "https://slash.example/",
		"bare.example", "*.bare.example", "//bare.example", "https://*.*.twice.example", "https://*.192.0.2.1", "https://*.[::1]", "https://user@x.example",
		"https://x.example:0", "https://x.example:", "https://x.example, https://y.example", " https://x.example", "wss://x.example", "ws://*.x.example"} {
		bad := core.VHost{Name: "bad", Protocols: vh.Protocols, Origins: []string{"https://good.example", entry}}
		named := fmt.Sprintf("Origins: %q is no", entry)
		if p, err := core.Origins("https://good.example", entry); p != nil || err == nil || !strings.HasPrefix(err.Error(), "core: "+named) {
			t.Errorf("Origins(%q): %v", entry, err)
		}
		if _, err := w.eng.AddVHost(bad); err == nil || !strings.HasPrefix(err.Error(), `core: vhost "bad": `+named) {
			t.Errorf("AddVHost with %q: %v", entry, err)
		}
		if _, err := core.New(core.Config{Backend: sim.New(sim.Options{}), VHosts: []core.VHost{bad}}); err == nil || !strings.HasPrefix(err.Error(), `core: vhost "bad": `+named) {
			t.Errorf("New with %q: %v", entry, err)
		}
	}
	both := core.VHost{Name: "both", Protocols: vh.Protocols, Origins: []string{"https://good.example"}, Origin: core.SameOrigin}
	if _, err := w.eng.AddVHost(both); err == nil || !strings.Contains(err.Error(), "Origin and Origins exclude each other") {
		t.Errorf("AddVHost with both: %v", err)
	}
}

// TestVHostOrigins: the list holds instead of SameOrigin; an empty one is none.
func TestVHostOrigins(t *testing.T) {
	listed, empty := httpVHost(), httpVHost()
	listed.Origins = []string{"https://*.example.org"}
	empty.Name, empty.Addr, empty.Origins = "empty", "host:8080", []string{}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{listed, empty}})
	for _, c := range []struct{ host, origin, want string }{
		{"host", "https://www.example.org", "101"}, {"host", "http://host", "403"}, {"host", "https://example.org", "403"}, {"host", "", "101"},
	} {
		field := ""
		if c.origin != "" {
			field = "Origin: " + c.origin + "\r\n"
		}
		if got, _ := w.open(c.host, field); got != c.want {
			t.Errorf("host %q, origin %q: %s", c.host, c.origin, got)
		}
	}
	p := &peer{Peer: w.k.Dial("host:8080"), w: w}
	p.WriteString(handshake + "Origin: http://host\r\n\r\n")
	if got := p.answer(); !strings.HasPrefix(got, "HTTP/1.1 101 ") {
		t.Errorf("an empty list is not SameOrigin:\n%s", got)
	}
}

func TestOriginHook(t *testing.T) {
	vh := httpVHost()
	var asked []string
	answer := false
	vh.Origin = func(r *core.Request, origin string) bool {
		asked = append(asked, fmt.Sprint(origin, " ", r.Host(), " ", r.Path(), " ", r.Conn() != nil))
		return answer
	}
	filtered := 0
	for i := range vh.Protocols {
		if vh.Protocols[i].WS != nil {
			vh.Protocols[i].FilterWS = func(*core.Conn, *core.Request) error { filtered++; return nil }
		}
	}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	for _, c := range []struct {
		fields, status, asked string
		filtered              int
	}{
		{"", "101", "[]", 1}, // no browser, no question
		{"Origin: http://x\r\n", "403", "[http://x host / true]", 1},
		{"Origin: \r\n", "403", "[ host / true]", 1},
		{"Origin: http://x\r\nOrigin: http://x\r\n", "400", "[]", 1},
		{"Origin: http://x\r\nSec-WebSocket-Key: again\r\n", "400", "[]", 1}, // no valid handshake, no question
	} {
		asked = nil
		status, _ := w.open("host", c.fields)
		if status != c.status || fmt.Sprint(asked) != c.asked || filtered != c.filtered {
			t.Errorf("%q: %s, asked %q, filtered %d", c.fields, status, asked, filtered)
		}
	}
	if log := w.log.String(); !strings.Contains(log, `level=INFO msg="websocket refused"`) || !strings.Contains(log, `why="origin not allowed" origin=http://x`) {
		t.Errorf("the origin is not in the log:\n%s", log)
	}
	answer = true
	if status, _ := w.open("host", "Origin: null\r\n"); status != "101" {
		t.Errorf("an allowed origin got %s", status)
	}
	// Plain requests are none of the policy's business.
	asked = nil
	p := w.dial()
	p.WriteString("GET /a HTTP/1.1\r\nHost: host\r\nOrigin: http://x\r\n\r\n")
	if got := p.answer(); !strings.Contains(got, "GET /a") || asked != nil {
		t.Errorf("asked %q, answered\n%s", asked, got)
	}
}

// TestRefusedOriginLeavesTheConnection as it was: the next request is served.
func TestRefusedOriginLeavesTheConnection(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.dial()
	p.WriteString(handshake + "Origin: http://evil.example\r\n\r\nGET /a HTTP/1.1\r\nHost: host\r\n\r\n")
	if got := p.answer(); !strings.HasPrefix(got, "HTTP/1.1 403 ") || !strings.Contains(got, "GET /a") {
		t.Errorf("answered\n%s", got)
	}
}
