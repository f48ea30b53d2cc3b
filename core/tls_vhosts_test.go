package core_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// tlsNamed returns a vhost whose answers are its name.
func tlsNamed(name string, cert tls.Certificate, aliases ...string) core.VHost {
	answer := func(c *core.Conn, r *core.Request, w *core.HTTPWriter) error {
		return w.Respond(200, nil, []byte("<"+name+">"))
	}
	return core.VHost{Name: name, Aliases: aliases, TLS: serves(cert),
		Protocols: []core.Protocol{{Name: "name", HTTP: core.HTTPFunc(answer)}, echoProtocol()}}
}

// get asks for a Host on an open connection and returns status and body.
func (p *tlsPeer) get(host string) string {
	p.t.Helper()
	got := p.say("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	_, status, _ := strings.Cut(head, " ")
	status, _, _ = strings.Cut(status, " ")
	return status + " " + body
}

// shows returns the first name of the certificate that the server showed.
func (p *tlsPeer) shows() string { return p.state.PeerCertificates[0].DNSNames[0] }

// TestTLSNamesPickVHosts: SNI picks the certificate, Host the vhost.
func TestTLSNamesPickVHosts(t *testing.T) {
	makeCerts(t)
	w := secure(t, sim.Options{}, core.Limits{}, tlsNamed("a.test", certs.a, "*.wild.test", "192.0.2.1"), tlsNamed("b.test", certs.b, "192.0.2.2"))
	for _, c := range []struct{ sni, shows, host, gets string }{
		{"a.test", "a.test", "a.test", "<a.test>"},
		{"b.test", "b.test", "b.test", "<b.test>"},
		{"B.Test", "b.test", "B.TEST", "<b.test>"},
		{"b.test", "b.test", "b.test.", "<b.test>"},
		{"b.test", "b.test", "b.test:8443", "<b.test>"},
		{"b.test", "b.test", "a.test", "<a.test>"}, // Host selects anew
		{"", "a.test", "b.test", "<b.test>"},
		{"c.test", "a.test", "c.test", "<a.test>"},
		{"x.b.test", "b.test", "x.y.b.test", "<b.test>"},
		{"xb.test", "a.test", "xb.test", "<a.test>"},
		{"b.tes", "a.test", "b.tes", "<a.test>"},
		{"x.wild.test", "a.test", "x.wild.test", "<a.test>"},
		{"", "a.test", "192.0.2.2", "<b.test>"}, // an address is no SNI (RFC 6066 3)
	} {
		cfg := trusts("")
		cfg.ServerName = c.sni
		p := w.tls(cfg)
		if got := p.shows(); got != c.shows {
			t.Errorf("%s: was shown %s, want %s", c.sni, got, c.shows)
		}
		if got, want := p.get(c.host), "200 "+c.gets; got != want {
			t.Errorf("%s, then %s: got %s, want %s", c.sni, c.host, got, want)
		}
		p.leave()
	}
}

// TestTLSStrictHost: 421 for what the connection must not reach; it goes on.
func TestTLSStrictHost(t *testing.T) {
	makeCerts(t)
	strict := tlsNamed("b.test", certs.b)
	strict.StrictHost = true
	w := secure(t, sim.Options{}, core.Limits{}, tlsNamed("a.test", certs.a), strict)
	p := w.tls(trusts("b.test"))
	for _, c := range []struct{ host, want string }{
		{"b.test", "200 <b.test>"}, {"a.test", "200 <a.test>"}, {"b.test", "200 <b.test>"}, {"c.test", "200 <a.test>"},
	} {
		if got := p.get(c.host); got != c.want {
			t.Errorf("%s by b.test's handshake: %s, want %s", c.host, got, c.want)
		}
	}
	q := w.tls(trusts("a.test"))
	for range 2 {
		if got := q.get("b.test"); !strings.HasPrefix(got, "421 ") {
			t.Errorf("b.test by a.test's handshake: %s", got)
		}
		if got := q.get("a.test"); got != "200 <a.test>" {
			t.Errorf("behind a 421: %s", got)
		}
	}
	if got := q.say(strings.Replace(handshake, "Host: host", "Host: b.test", 1) + "\r\n"); !strings.HasPrefix(got, "HTTP/1.1 421 ") {
		t.Errorf("an upgrade for b.test by a.test's handshake: %q", got)
	}
}

// TestTLSFirstVHostIsStrict: what comes to it because it is nobody's is refused.
func TestTLSFirstVHostIsStrict(t *testing.T) {
	makeCerts(t)
	strict := tlsNamed("a.test", certs.a)
	strict.StrictHost = true
	w := secure(t, sim.Options{}, core.Limits{}, strict)
	p := w.tls(trusts("a.test"))
	for _, c := range []struct{ host, want string }{{"c.test", "421 "}, {"a.test", "200 <a.test>"}, {"A.TEST.:1", "200 <a.test>"}, {"x.a.test", "200 <a.test>"}} {
		if got := p.get(c.host); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.host, got, c.want)
		}
	}
	if got := p.say("GET / HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 421 ") {
		t.Errorf("without a Host: %q", got)
	}
}

// TestTLSClientAuthIsNotBypassed: a vhost that asks for certificates, or has another say
// about connections, is reached by its own handshake only, and not without TLS.
func TestTLSClientAuthIsNotBypassed(t *testing.T) {
	makeCerts(t)
	for name, ask := range map[string]func(*core.TLS){
		"ClientAuth": func(o *core.TLS) { o.ClientAuth, o.ClientCAs = tls.RequireAndVerifyClientCert, certs.pool },
		"VerifyClient": func(o *core.TLS) {
			o.VerifyClient = func(*core.Conn, *tls.ConnectionState) error { return nil }
		},
		"Config.VerifyConnection": func(o *core.TLS) { o.Config.VerifyConnection = func(tls.ConnectionState) error { return nil } },
		"Config.GetConfigForClient": func(o *core.TLS) {
			o.Config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			open, secret := tlsNamed("a.test", certs.a), tlsNamed("b.test", certs.b)
			open.TLS.Plain = core.PlainServe
			ask(secret.TLS)
			w := secure(t, sim.Options{}, core.Limits{}, open, secret)
			cfg := trusts("b.test")
			cfg.Certificates = []tls.Certificate{certs.own}
			cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for range 2 { // the second one resumes
				p := w.tls(cfg)
				if got := p.get("b.test"); got != "200 <b.test>" {
					t.Errorf("by its own handshake: %s", got)
				}
				p.leave()
			}
			if w.eng.Stats().Resumed != 1 {
				t.Error("the second one did not resume")
			}
			p := w.tls(trusts("a.test"))
			if got := p.get("b.test"); !strings.HasPrefix(got, "421 ") {
				t.Errorf("by a.test's handshake: %s", got)
			}
			if got := p.get("a.test"); got != "200 <a.test>" {
				t.Errorf("behind it: %s", got)
			}
			q := w.dial()
			q.WriteString("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n")
			if got := q.answer(); !strings.HasPrefix(got, "HTTP/1.1 421 ") {
				t.Errorf("without TLS: %q", got)
			}
		})
	}
}

// TestTLSMixedAddress: all vhosts of an address speak TLS, or none. It is the second
// one that fails, when the first listens.
func TestTLSMixedAddress(t *testing.T) {
	makeCerts(t)
	plain := tlsNamed("plain.test", certs.a)
	plain.TLS = nil
	for _, vhosts := range [][]core.VHost{{tlsNamed("a.test", certs.a), plain}, {plain, tlsNamed("a.test", certs.a)}} {
		k := sim.New(sim.Options{})
		for i := range vhosts {
			vhosts[i].Addr = host
		}
		if _, err := core.New(core.Config{Backend: k, VHosts: vhosts}); err == nil || !strings.Contains(err.Error(), "all or none") {
			t.Errorf("New answered %v", err)
		}
		if k.Files() != 0 {
			t.Errorf("%d descriptors are open", k.Files())
		}
	}
}

// TestTLSHSTS: over TLS, and not without.
func TestTLSHSTS(t *testing.T) {
	makeCerts(t)
	vh := tlsNamed("a.test", certs.a)
	vh.TLS.HSTS, vh.TLS.Plain = 30*24*time.Hour, core.PlainServe
	w := secure(t, sim.Options{}, core.Limits{}, vh, tlsNamed("b.test", certs.b))
	const field = "strict-transport-security: max-age=2592000\r\n"
	p := w.tls(trusts("a.test"))
	if got := p.say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"); !strings.Contains(got, field) {
		t.Errorf("%q", got)
	}
	if got := p.say("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n"); strings.Contains(got, "strict") {
		t.Errorf("of b.test: %q", got)
	}
	if got := p.say(handshake + "\r\n"); !strings.HasPrefix(got, "HTTP/1.1 101") {
		t.Errorf("%q", got)
	}
	q := w.dial()
	q.WriteString("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if got := q.answer(); !strings.HasPrefix(got, "HTTP/1.1 200") || strings.Contains(got, "strict") {
		t.Errorf("%q", got)
	}
}

// TestTLSPlain: what becomes of HTTP without TLS.
func TestTLSPlain(t *testing.T) {
	makeCerts(t)
	for policy, want := range map[core.PlainPolicy]string{
		core.PlainRefuse:   "HTTP/1.1 400 ",
		core.PlainRedirect: "HTTP/1.1 301 ",
		core.PlainServe:    "HTTP/1.1 200 ",
		core.PlainClose:    "",
	} {
		everyMode(t, func(t *testing.T, m tlsMode) {
			vh := tlsNamed("", certs.a)
			vh.TLS.Plain = policy
			w := m.open(t, sim.Options{}, core.Limits{}, vh)
			p := w.secret()
			p.WriteString("GET /x?y HTTP/1.1\r\nHost: a.test\r\n\r\n")
			w.drive()
			got := string(p.Peer.Read())
			if !strings.HasPrefix(got, want) || want == "" && got != "" {
				t.Errorf("policy %d: %q", policy, got)
			}
			if policy == core.PlainRedirect && !strings.Contains(got, "location: https://a.test/x?y\r\n") {
				t.Errorf("redirected by %q", got)
			}
			if policy != core.PlainServe && !p.EOF() && !p.Gone() {
				t.Error("it may go on")
			}
			w.k.Advance(20 * time.Second)
			w.drive()
		})
	}
}

// TestTLSSilentClient: TLSTimeout holds from accept on, whatever has been said.
func TestTLSSilentClient(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		w := m.open(t, sim.Options{}, core.Limits{TLSTimeout: 3 * time.Second}, core.VHost{})
		var ps []*tlsPeer
		for _, n := range []int{0, 1, 5, 50, 1 << 20} {
			p := w.secret()
			p.goOn()
			p.Write(p.out[:min(n, len(p.out))])
			ps = append(ps, p)
		}
		w.drive()
		w.k.Advance(3*time.Second - 1)
		w.drive()
		for _, p := range ps {
			if p.Gone() {
				t.Error("gone early")
			}
		}
		w.k.Advance(1)
		w.drive()
		for _, p := range ps {
			if !p.Gone() {
				t.Error("still there")
			}
		}
	})
}
