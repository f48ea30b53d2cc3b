package core_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// verbs are what a callback may do with its connection, and what becomes of that.
var verbs = []struct {
	name string
	do   func(w *modal, c *core.Conn)
	gone bool // it ends the connection
	wait bool // Resume is needed
}{
	{"Close", func(_ *modal, c *core.Conn) { c.Close(1000, "") }, true, false},
	{"Drop", func(_ *modal, c *core.Conn) { c.Drop() }, true, false},
	{"Pause", func(_ *modal, c *core.Conn) { c.Pause() }, false, true},
	{"Post", func(_ *modal, c *core.Conn) { c.Post(func(c *core.Conn) { c.Drop() }) }, true, false},
	{"SetTimer", func(_ *modal, c *core.Conn) { c.SetTimer(time.Millisecond) }, false, false},
	{"RequestWritable", func(_ *modal, c *core.Conn) { c.RequestWritable() }, false, false},
	{"Remove", func(_ *modal, c *core.Conn) { c.VHost().Remove() }, true, false},
	{"Stop", func(w *modal, c *core.Conn) { w.eng.Stop(-1) }, true, false},
	{"Shutdown", func(w *modal, c *core.Conn) {
		if err := w.eng.Shutdown(context.Background()); !errors.Is(err, core.ErrWouldDeadlock) {
			w.t.Errorf("Shutdown answered %v", err)
		}
	}, false, false},
	{"TLS", func(_ *modal, c *core.Conn) { c.TLS() }, false, false},
	{"ReloadTLS", func(_ *modal, c *core.Conn) { c.VHost().ReloadTLS() }, false, false},
}

// TestTLSVerbsInCallbacks: each verb in each callback of a handshake, which may run on
// a stack of its own.
func TestTLSVerbsInCallbacks(t *testing.T) {
	for _, v := range verbs {
		for _, in := range []string{"start", "done", "VerifyClient", "GetCertificate"} {
			t.Run(v.name+"/"+in, func(t *testing.T) {
				everyMode(t, func(t *testing.T, m tlsMode) {
					var w *modal
					var conn *core.Conn
					d := &diary{then: func(c *core.Conn, ev core.TLSEvent) {
						conn = c
						if [...]string{"start", "done", "", ""}[ev.Kind] == in {
							v.do(w, c)
						}
					}}
					w, recs := m.openWith(t, d, func(o *core.TLS) {
						switch in {
						case "VerifyClient":
							o.VerifyClient = func(c *core.Conn, _ *tls.ConnectionState) error { v.do(w, c); return nil }
						case "GetCertificate":
							o.Config = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
								v.do(w, conn)
								return &certs.a, nil
							}}
						}
					}, nil)
					p := w.secret()
					p.glue = handshake + "\r\n"
					p.pump()
					if v.wait {
						if len(*recs) != 0 {
							t.Error("opened while paused")
						}
						conn.Resume()
						p.pump()
					}
					opened := len(*recs) == 1 && (*recs)[0].count("opened") == 1
					if v.gone && (opened && v.name != "Post" && v.name != "Remove" && v.name != "Stop") || !v.gone && !opened {
						t.Errorf("opened %v", opened)
					}
					p.CloseWrite()
					w.drive()
					w.k.Advance(3 * time.Second)
					w.drive()
					if !p.Gone() {
						t.Error("still there")
					}
					if st := w.eng.Stats(); st.Misuses != 0 || st.Panics != 0 || st.Shaking != 0 || st.Conns != 0 {
						t.Errorf("%+v\n%s", st, w.log)
					}
				})
			})
		}
	}
}

// TestTLSPanicsInCallbacks: counted, blamed, and the end of that connection only.
func TestTLSPanicsInCallbacks(t *testing.T) {
	for _, in := range []string{"Info", "VerifyClient", "GetCertificate", "GetConfigForClient"} {
		t.Run(in, func(t *testing.T) {
			everyMode(t, func(t *testing.T, m tlsMode) {
				bad := true
				fail := func() {
					if bad {
						panic("asked to " + in)
					}
				}
				d := &diary{}
				w, _ := m.openWith(t, d, func(o *core.TLS) {
					switch in {
					case "Info":
						o.Info = func(*core.Conn, core.TLSEvent) error { fail(); return nil }
					case "VerifyClient":
						o.VerifyClient = func(*core.Conn, *tls.ConnectionState) error { fail(); return nil }
					case "GetCertificate":
						o.Config = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { fail(); return &certs.a, nil }}
					case "GetConfigForClient":
						o.Config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { fail(); return nil, nil }
					}
				}, nil)
				p := w.secret()
				p.pump()
				p.CloseWrite()
				w.drive()
				st := w.eng.Stats()
				if st.Handshakes != 0 || !p.Gone() || st.Panics != 1 || st.Shaking != 0 || st.ShakeFailures != 1 {
					t.Errorf("gone %v, %+v", p.Gone(), st)
				}
				if log := w.log.String(); !strings.Contains(log, "asked to "+in) || !strings.Contains(log, "stack=") || !strings.Contains(log, "vhost=default") {
					t.Errorf("logged %s", log)
				}
				bad = false
				w.ws()
			})
		})
	}
}

// TestTLSLoadPanics: at the start it fails the vhost, later the reload.
func TestTLSLoadPanics(t *testing.T) {
	makeCerts(t)
	bad := true
	load := func(*core.VirtualHost) (*tls.Config, error) {
		if bad {
			panic("asked to Load")
		}
		return &tls.Config{Certificates: []tls.Certificate{certs.a}}, nil
	}
	cfg := core.VHost{Addr: host, TLS: &core.TLS{Load: load}, Protocols: []core.Protocol{echoProtocol()}}
	if _, err := core.New(core.Config{Backend: sim.New(sim.Options{}), VHosts: []core.VHost{cfg}}); err == nil || !strings.Contains(err.Error(), "asked to Load") {
		t.Errorf("New answered %v", err)
	}
	bad = false
	w := secure(t, sim.Options{}, core.Limits{}, core.VHost{TLS: cfg.TLS})
	bad = true
	var pe *core.PanicError
	if err := w.eng.VHost("default").ReloadTLS(); !errors.As(err, &pe) || pe.Callback != "Load" {
		t.Errorf("ReloadTLS answered %v", err)
	}
	p := w.tls(trusts("a.test"))
	if got := p.say("GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "GET /a") || p.err != io.EOF {
		t.Errorf("heard %q, %v", got, fmt.Sprint(p.err))
	}
}
