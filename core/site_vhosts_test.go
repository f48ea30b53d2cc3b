package core_test

import (
	"errors"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// named answers every request with the name of the vhost that serves it.
func named(name string) core.VHost {
	return core.VHost{Name: name, Protocols: []core.Protocol{{Name: "http", HTTP: core.HTTPFunc(
		func(c *core.Conn, r *core.Request, w *core.HTTPWriter) error {
			return w.Respond(200, nil, []byte("<"+c.VHost().Name()+">"))
		}), WS: core.OnMessage(echoFn)}}}
}

// servedBy asks for a page of host.
func (w *world) servedBy(host string) string {
	p := w.dial()
	p.WriteString("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	got := p.answer()
	if i, j := strings.Index(got, "<"), strings.Index(got, ">"); i >= 0 && j > i {
		return got[i+1 : j]
	}
	return got
}

func TestHTTP10WithoutHostIsServedByTheFirst(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{named("a.test"), named("b.test")}})
	p := w.dial()
	p.WriteString("GET / HTTP/1.0\r\n\r\n")
	if got := p.answer(); !strings.Contains(got, "<a.test>") {
		t.Errorf("%q", got)
	}
}

// TestVHostsComeAndGoOnOneAddress: the names move with them, and the first that is
// left serves what nobody is named.
func TestVHostsComeAndGoOnOneAddress(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{named("a.test"), named("b.test")}})
	w.k.Drive()
	check := func(step string, want map[string]string) {
		t.Helper()
		for host, vh := range want {
			if got := w.servedBy(host); got != vh {
				t.Errorf("%s: %s is served by %s, want %s", step, host, got, vh)
			}
		}
	}
	add := func(name string) {
		t.Helper()
		cfg := named(name)
		cfg.Addr = host
		if _, err := w.eng.AddVHost(cfg); err != nil {
			t.Fatal(err)
		}
	}
	check("at first", map[string]string{"a.test": "a.test", "www.b.test": "b.test", "c.test": "a.test"})
	add("c.test")
	check("with c", map[string]string{"c.test": "c.test", "d.test": "a.test"})
	w.eng.VHost("a.test").Remove()
	check("without a", map[string]string{"a.test": "b.test", "b.test": "b.test", "c.test": "c.test", "d.test": "b.test"})
	add("A.test")
	check("with a again", map[string]string{"a.test": "A.test", "d.test": "b.test"})
	cfg := named("c.TEST")
	cfg.Addr = host
	if _, err := w.eng.AddVHost(cfg); err == nil {
		t.Error("two vhosts of one name")
	}
}

// TestLastVHostReplacedWithoutAGap: the socket outlives the moment in which it is
// nobody's.
func TestLastVHostReplacedWithoutAGap(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{named("old.test")}})
	w.k.Drive()
	early := w.dial() // waits in the queue
	w.eng.VHost("old.test").Remove()
	cfg := named("new.test")
	cfg.Addr = host
	if _, err := w.eng.AddVHost(cfg); err != nil {
		t.Fatal(err)
	}
	early.WriteString("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := early.answer(); !strings.Contains(got, "<new.test>") {
		t.Errorf("%q", got)
	}
}

// TestRemoveKeepsClientsThatHaveNotSaidWhatTheyWant: they came to the address, not
// to the vhost that was the first on it.
func TestRemoveKeepsClientsThatHaveNotSaidWhatTheyWant(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{named("first.test"), named("stays.test")}})
	silent, half, idle := w.dial(), w.dial(), w.dial()
	half.WriteString("GET / HTTP/1.1\r\nHo")
	idle.WriteString("GET / HTTP/1.1\r\nHost: first.test\r\n\r\n")
	if got := idle.answer(); !strings.Contains(got, "<first.test>") {
		t.Errorf("%q", got)
	}
	w.eng.VHost("first.test").Remove()
	w.k.Drive()
	silent.WriteString("GET / HTTP/1.1\r\nHost: stays.test\r\n\r\n")
	half.WriteString("st: stays.test\r\n\r\n")
	for name, p := range map[string]*peer{"silent": silent, "half": half} {
		if got := p.answer(); !strings.Contains(got, "<stays.test>") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if !idle.EOF() {
		t.Error("a connection that the vhost has served is still open")
	}
	w.eng.VHost("stays.test").Remove()
	w.k.Drive()
	if !silent.EOF() {
		t.Error("the last vhost has gone")
	}
}

func TestVHostThatFailsLeavesTheSocketToTheOthers(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{named("a.test")}})
	w.k.Drive()
	files := w.k.Files()
	for _, bad := range []core.VHost{
		{Addr: host, Interface: "eth0"}, // not on a simulated kernel
		{Addr: host, Family: 9},
		{Addr: host, BindInterface: true},
		{Addr: host, Backlog: -1},
		{Addr: host, UnixMode: 0o600},
		{Addr: "unix:/x", Interface: "eth0"},
		{Addr: "unix:/x", FastOpen: 1},
	} {
		cfg := named("bad.test")
		bad.Name, bad.Protocols = cfg.Name, cfg.Protocols
		if _, err := w.eng.AddVHost(bad); err == nil || !strings.Contains(err.Error(), "bad.test") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if n := w.k.Files(); n != files {
		t.Errorf("%d descriptors, %d before", n, files)
	}
	if got := w.servedBy("bad.test"); got != "a.test" {
		t.Errorf("served by %s", got)
	}
}

// TestVHostRemovedInItsOwnCallback_27: wherever it is asked for, its conns end in
// good order and Destroy comes last.
func TestVHostRemovedInItsOwnCallback_27(t *testing.T) {
	for _, where := range []string{"request", "receive", "closed", "init"} {
		t.Run(where, func(t *testing.T) {
			var events []string
			remove := func(at string, vh *core.VirtualHost) {
				events = append(events, at)
				if at == where {
					vh.Remove()
				}
			}
			proto := core.Protocol{Name: "p",
				Init:    func(vh *core.VirtualHost) error { remove("init", vh); return nil },
				Destroy: func(vh *core.VirtualHost) { remove("destroy", vh) },
				HTTP: core.HTTPFunc(func(c *core.Conn, r *core.Request, out *core.HTTPWriter) error {
					remove("request", c.VHost())
					return out.Respond(200, nil, []byte("answered"))
				}),
				WS: func(c *core.Conn) core.WSHandler { return &removing{remove} },
			}
			w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Name: "gone.test", Protocols: []core.Protocol{proto}}, named("other.test")}})
			w.k.Drive()
			if where != "init" {
				p, q := w.ws(), w.dial()
				q.WriteString("GET / HTTP/1.1\r\nHost: gone.test\r\n\r\n")
				if got := q.answer(); !strings.Contains(got, "answered") {
					t.Errorf("the request: %q", got)
				}
				if where != "request" {
					p.text("x")
				}
				if where == "closed" {
					p.close(1000, "")
					p.frames()
				} else if got := p.frames(); !strings.Contains(got, `close 1001 "server is going away"`) {
					t.Errorf("the WebSocket saw %s", got)
				}
				p.close(1001, "")
				p.frames()
			}
			w.k.Drive()
			if n := len(events); n == 0 || events[n-1] != "destroy" {
				t.Errorf("callbacks: %v", events)
			}
			if w.eng.VHost("gone.test") != nil {
				t.Error("it is still there")
			}
			if got := w.servedBy("gone.test"); got != "other.test" {
				t.Errorf("then %s serves", got)
			}
		})
	}
}

type removing struct {
	at func(string, *core.VirtualHost)
}

func (h *removing) Receive(c *core.Conn, f core.Fragment) error {
	h.at("receive", c.VHost())
	return nil
}
func (h *removing) Writable(*core.Conn, *core.WSWriter) error { return nil }
func (h *removing) Closed(c *core.Conn, err error)            { h.at("closed", c.VHost()) }

// TestRemoveWhenPostsAreFull: what must happen is not a post that may be refused.
func TestRemoveWhenPostsAreFull(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{PostQueue: 1}, VHosts: []core.VHost{named("a.test")}})
	p := w.ws()
	if err := w.eng.Post(func() {}); err != nil {
		t.Fatal(err)
	}
	if err := w.eng.Post(func() {}); !errors.Is(err, core.ErrFull) {
		t.Fatalf("there is room: %v", err)
	}
	w.eng.VHost("a.test").Remove()
	p.want(`close 1001 "server is going away"`)
	if w.k.Dial(host) != nil {
		t.Error("its socket is still open")
	}
}
