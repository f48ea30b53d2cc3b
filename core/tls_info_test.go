package core_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// diary notes what Info is told.
type diary struct {
	lines []string
	fail  core.TLSEventKind // at which it returns an error, if fails
	fails bool
	then  func(c *core.Conn, ev core.TLSEvent)
}

var errDiary = errors.New("the diary says no")

func (d *diary) info(c *core.Conn, ev core.TLSEvent) error {
	name := [...]string{"start", "done", "sent", "received"}[ev.Kind]
	if ev.Kind >= core.TLSAlertSent {
		name += fmt.Sprintf(" %d", ev.Alert)
		if ev.Err == nil {
			name += " without an error"
		}
	}
	d.lines = append(d.lines, name)
	if (c.TLS() != nil) != d.done() {
		d.lines = append(d.lines, "a wrong Conn.TLS")
	}
	if d.then != nil {
		d.then(c, ev)
	}
	if d.fails && ev.Kind == d.fail {
		return errDiary
	}
	return nil
}

// done reports whether the handshake was complete.
func (d *diary) done() bool { return strings.Contains(strings.Join(d.lines, " "), "done") }

func (d *diary) String() string { return strings.Join(d.lines, ", ") }

// openWith is open with a diary; edit may be nil.
func (m tlsMode) openWith(t *testing.T, d *diary, edit func(*core.TLS), setup func(*recorder)) (*modal, *[]*recorder) {
	t.Helper()
	makeCerts(t)
	vh, recs := recorders(setup)
	vh.TLS = serves(certs.a)
	vh.TLS.Info = d.info
	if edit != nil {
		edit(vh.TLS)
	}
	return m.open(t, sim.Options{}, core.Limits{}, vh), recs
}

// TestTLSInfo: what is told, and when, in each kind of end.
func TestTLSInfo(t *testing.T) {
	none := func(*tls.Config) {}
	mutual := func(o *core.TLS) { o.ClientAuth, o.ClientCAs = tls.RequireAndVerifyClientCert, certs.pool }
	for _, c := range []struct {
		name   string
		server func(*core.TLS)
		client func(*tls.Config)
		want13 string
		want12 string
	}{
		{"good", nil, none, "start, done", "start, done"},
		{"distrusts us", nil, func(c *tls.Config) { c.RootCAs = nil }, "start, received 42", "start, received 42"},
		{"wrong name", nil, func(c *tls.Config) { c.ServerName = "c.test" }, "start, received 42", "start, received 42"},
		{"no client certificate", mutual, none, "start, sent 116", "start, sent 40"},
		{"unknown authority", mutual, func(c *tls.Config) {
			cert := strange(t)
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		}, "start, sent 48", "start, sent 48"},
		{"refused by VerifyClient", func(o *core.TLS) {
			o.VerifyClient = func(*core.Conn, *tls.ConnectionState) error { return errDiary }
		}, none, "start, sent 42", "start, sent 42"},
		{"ALPN", nil, func(c *tls.Config) { c.NextProtos = []string{"x"} }, "start, sent 120", "start, sent 120"},
		{"version", func(o *core.TLS) { o.MinVersion, o.MaxVersion = tls.VersionTLS13, tls.VersionTLS13 },
			func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, "start, sent 70", "start, sent 70"},
		{"cipher", func(o *core.TLS) {
			o.MaxVersion, o.Ciphers = tls.VersionTLS12, []string{"ECDHE-ECDSA-AES256-GCM-SHA384"}
		},
			func(c *tls.Config) {
				c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
				c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
			}, "start, sent 40", "start, sent 40"},
	} {
		t.Run(c.name, func(t *testing.T) {
			everyMode(t, func(t *testing.T, m tlsMode) {
				d := &diary{}
				w, _ := m.openWith(t, d, c.server, nil)
				cfg := trusts("a.test")
				cfg.MinVersion, cfg.MaxVersion = m.version, m.version
				c.client(cfg)
				p := w.secretOf(cfg)
				p.pump()
				want := c.want13
				if m.version == tls.VersionTLS12 {
					want = c.want12
				}
				if d.String() != want {
					t.Errorf("told %s, want %s", d, want)
				}
				if failed := !d.done(); failed != (w.eng.Stats().ShakeFailures == 1) {
					t.Errorf("%+v", w.eng.Stats())
				}
				p.leave()
				w.k.Advance(3 * time.Second)
				w.drive()
				if !p.Gone() || d.String() != want {
					t.Errorf("gone %v; told %s at the end", p.Gone(), d)
				}
			})
		})
	}
}

// strange makes a client's certificate of an authority that nobody knows.
func strange(t testing.TB) tls.Certificate {
	c, _, _ := core.NewTestCA(t).Leaf(t, "stranger.test")
	return c
}

// TestTLSInfoAfterTheHandshake: alerts of an open connection, both ways.
func TestTLSInfoAfterTheHandshake(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		d := &diary{}
		w, recs := m.openWith(t, d, nil, nil)
		p := w.ws()
		p.WriteString("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32))
		p.want("alert 20 sent=false | eof")
		if d.String() != "start, done, sent 20" {
			t.Errorf("told %s", d)
		}
		d.lines = nil
		p = w.ws()
		p.deaf = true
		p.s.Feed([]byte("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)))
		p.goOn() // and says so
		p.deliver()
		w.drive()
		if d.String() != "start, done, received 20" {
			t.Errorf("told %s", d)
		}
		// It has given up: its end of stream is not waited for.
		if r := (*recs)[1]; r.count("closed") != 1 || !strings.Contains(fmt.Sprint(r.err), "received alert 20 ") {
			t.Errorf("%s: %v", r.log(), r.err)
		}
	})
}

// TestTLSInfoCloses: an error that Info returns ends the connection, at each event.
func TestTLSInfoCloses(t *testing.T) {
	for kind, want := range []string{"start", "start, done", "start, done, sent 20", "start, done, received 20"} {
		everyMode(t, func(t *testing.T, m tlsMode) {
			d := &diary{fails: true, fail: core.TLSEventKind(kind)}
			w, recs := m.openWith(t, d, nil, nil)
			p := w.secret()
			p.glue = handshake + "\r\n"
			p.pump()
			switch kind {
			case 2:
				p.WriteString("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32))
			case 3:
				p.s.Feed([]byte("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)))
				p.goOn()
			}
			p.pump()
			p.CloseWrite()
			w.drive()
			if !p.Gone() || d.String() != want {
				t.Errorf("gone %v, told %s, want %s", p.Gone(), d, want)
			}
			if kind < 2 && len(*recs) != 0 {
				t.Error("the WebSocket was opened all the same")
			}
			if kind >= 2 && !errors.Is((*recs)[0].err, errDiary) {
				t.Errorf("it ended with %v", (*recs)[0].err)
			}
		})
	}
}
