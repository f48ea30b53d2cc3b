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
	"anyloop/core/tlsio"
	"anyloop/core/ws"
)

// secureClient starts an engine whose client trusts the tests' authority.
func secureClient(t *testing.T, o core.ClientTLS) (*world, *caller) {
	t.Helper()
	makeCerts(t)
	if o.Config == nil {
		o.Config = &tls.Config{}
	}
	if o.Config.RootCAs == nil {
		o.Config.RootCAs = certs.pool
	}
	h := &caller{}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{ClientTLS: &o,
		Protocols: []core.Protocol{{Name: "client", WS: h.made}}}}})
	h.w = w
	return w, h
}

// serverOf answers f's client with cfg; nil: a.test's certificate.
func (w *world) serverOf(f *far, cfg *tls.Config) *tlsPeer {
	w.t.Helper()
	w.k.Drive()
	if f.peer == nil {
		w.t.Fatal("nobody has come")
	}
	if cfg == nil {
		cfg = &tls.Config{Certificates: []tls.Certificate{certs.a}}
	}
	p := newTLSPeer(w.t, f.Peer, tlsio.Server(cfg, tlsio.Options{}), w.k.Drive)
	p.reader.side = ws.Server
	return p
}

// opens completes TLS and the opening handshake.
func (p *tlsPeer) opens(f *far) {
	p.t.Helper()
	p.shake()
	f.head = p.hear()
	if !strings.HasPrefix(f.head, "GET ") {
		p.t.Fatalf("asked %q, %v", f.head, p.err)
	}
	p.put(f.accept(""))
	p.pump()
}

// wantStage checks where a dial has failed, and with what.
func (h *caller) wantStage(stage, text string) {
	h.w.t.Helper()
	h.want("made, failed")
	var ce *core.ConnectError
	if !errors.As(h.err, &ce) || ce.Stage != stage || !strings.Contains(h.err.Error(), text) {
		h.w.t.Errorf("failed with %v, want stage %s and %q", h.err, stage, text)
	}
}

// TestDialWSS: whole, byte by byte and record by record, and resumed the second time.
func TestDialWSS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, s := range []shape{whole, single, records} {
			for _, lend := range []bool{false, true} {
				t.Run(fmt.Sprint(tls.VersionName(version), s, lend), func(t *testing.T) {
					w, h := secureClient(t, core.ClientTLS{MinVersion: version, MaxVersion: version, LendBuffers: lend})
					w.eng.Thread(0).Steady(lend)
					cfg := &tls.Config{Certificates: []tls.Certificate{certs.a}}
					for i := range 2 {
						f := w.listens("192.0.2.1:443")
						h.heard = nil
						h.given = nil
						c := h.dial(core.Dial{URL: "wss://192.0.2.1/"})
						p := w.serverOf(f, cfg)
						p.shape = s
						p.opens(f)
						h.want("made, connected 101 m")
						if st := c.TLS(); st == nil || st.Version != version || st.DidResume != (i == 1) || p.state.DidResume != (i == 1) {
							t.Errorf("dial %d: %+v", i, st)
						}
						p.put(string(unmasked(ws.Text, "down")))
						h.sendAt = "up"
						c.RequestWritable()
						p.want(`text "up"`)
						c.Close(1000, "bye")
						p.want(`close 1000 "bye"`)
						p.put(string(ws.AppendClose(nil, 1000, "", nil)))
						p.notify()
						p.pump()
						p.CloseWrite()
						p.want("notify | eof")
						h.want(`made, connected 101 m, receive "down", closed`)
					}
				})
			}
		}
	}
}

// TestDialWSSFails: each way in which TLS does not come about is a failure of its stage.
func TestDialWSSFails(t *testing.T) {
	for _, c := range []struct {
		name string
		o    core.ClientTLS
		d    core.Dial
		do   func(w *world, f *far)
		text string
	}{
		{"wrong name", core.ClientTLS{}, core.Dial{}, func(w *world, f *far) {
			w.serverOf(f, &tls.Config{Certificates: []tls.Certificate{certs.b}}).pump()
		}, "the server's certificate is valid for 192.0.2.2, not 192.0.2.1"},
		{"alert", core.ClientTLS{MaxVersion: tls.VersionTLS12}, core.Dial{}, func(w *world, f *far) {
			w.serverOf(f, &tls.Config{Certificates: []tls.Certificate{certs.a}, MinVersion: tls.VersionTLS13}).pump()
		}, "refused with alert 70 "},
		{"no TLS", core.ClientTLS{}, core.Dial{}, func(w *world, f *far) {
			f.WriteString("HTTP/1.1 400 Bad Request\r\n\r\n")
		}, "does not look like a TLS handshake"},
		{"fin", core.ClientTLS{}, core.Dial{}, func(w *world, f *far) { f.CloseWrite() }, "closed the connection during the handshake"},
		{"reset", core.ClientTLS{}, core.Dial{}, func(w *world, f *far) { f.Reset() }, "read"},
		{"silence", core.ClientTLS{}, core.Dial{}, func(w *world, f *far) { w.k.Advance(15 * time.Second) }, "AnswerTimeout"},
		{"Close", core.ClientTLS{}, core.Dial{}, func(w *world, f *far) { w.eng.Post(func() { connOf(w).Close(1000, "") }) }, "1000"},
		{"Drop", core.ClientTLS{}, core.Dial{}, func(w *world, f *far) { w.eng.Post(func() { connOf(w).Drop() }) }, ""},
		{"Info", core.ClientTLS{Info: func(*core.Conn, core.TLSEvent) error { return errDiary }}, core.Dial{}, func(*world, *far) {}, errDiary.Error()},
		{"panic", core.ClientTLS{Config: &tls.Config{VerifyConnection: func(tls.ConnectionState) error { panic("asked to") }}}, core.Dial{}, func(w *world, f *far) {
			w.serverOf(f, nil).pump()
		}, "panic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, h := secureClient(t, c.o)
			f := w.listens("192.0.2.1:443")
			c.d.URL = "wss://192.0.2.1/"
			dialled[w] = h.dial(c.d)
			defer delete(dialled, w)
			w.k.Drive()
			c.do(w, f)
			w.k.Drive()
			h.wantStage("tls", c.text)
			if st := w.eng.Stats(); st.Shaking != 0 || st.ShakeFailures != 1 || st.ConnectFailures != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

var dialled = map[*world]*core.Conn{}

func connOf(w *world) *core.Conn { return dialled[w] }

// TestDialWSSGoneAtEveryByte: the server goes behind each byte of its part.
func TestDialWSSGoneAtEveryByte(t *testing.T) {
	w, h := secureClient(t, core.ClientTLS{})
	size := 1500
	step := 1
	if core.Debugging {
		step = 13
	}
	for cut := 0; cut < size; cut += step {
		f := w.listens("192.0.2.1:443")
		h.heard, h.given = nil, nil
		h.dial(core.Dial{URL: "wss://192.0.2.1/"})
		p := w.serverOf(f, nil)
		p.read()
		size = min(size, len(p.out)) // its first flight
		p.Write(p.out[:min(cut, len(p.out))])
		w.k.Drive()
		if cut%2 == 0 {
			p.CloseWrite()
		} else {
			p.Reset()
		}
		p.s.Abort()
		w.k.Drive()
		h.wantStage("tls", "")
	}
	if st := w.eng.Stats(); st.Shaking != 0 || st.Handshakes != 0 {
		t.Errorf("%+v", st)
	}
}

// TestDialWSSThroughProxies: TLS follows the proxy's consent, also where its first bytes
// come together with that.
func TestDialWSSThroughProxies(t *testing.T) {
	for _, c := range []struct{ proxy, want, grant string }{
		{"http://192.0.2.9:3128", "CONNECT a.test:443 ", "HTTP/1.1 200 OK\r\n\r\n"},
		{"socks5://192.0.2.9:1080", "\x05\x01\x00", "\x05\x00"},
	} {
		w, h := secureClient(t, core.ClientTLS{})
		_, addr, _ := strings.Cut(c.proxy, "//")
		f := w.listens(addr)
		h.dial(core.Dial{URL: "wss://a.test/", Proxy: c.proxy})
		w.k.Drive()
		if got := string(f.Read()); !strings.HasPrefix(got, c.want) {
			t.Fatalf("the proxy was asked %q", got)
		}
		f.WriteString(c.grant)
		if strings.HasPrefix(c.proxy, "socks") {
			w.k.Drive()
			f.Read()
			f.WriteString("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
		}
		p := w.serverOf(f, nil)
		p.opens(f)
		h.want("made, connected 101 m")
		if !strings.Contains(f.head, "host: a.test\r\n") || p.state.ServerName != "a.test" {
			t.Errorf("asked %q, SNI %s", f.head, p.state.ServerName)
		}
	}
}

// TestDialWSSRedirects: from ws to wss, and to another host with its own name; never
// back to ws.
func TestDialWSSRedirects(t *testing.T) {
	w, h := secureClient(t, core.ClientTLS{})
	first, second, third := w.listens(farAddr), w.listens("192.0.2.1:443"), w.listens("192.0.2.2:443")
	h.dial(core.Dial{URL: "ws://192.0.2.1/", Redirects: 3, Header: core.Header{{Name: "cookie", Value: "c"}}})
	w.k.Drive()
	first.request()
	first.WriteString("HTTP/1.1 301 x\r\nLocation: wss://192.0.2.1/b\r\n\r\n")
	p := w.serverOf(second, nil)
	p.shake()
	if got := p.hear(); !strings.HasPrefix(got, "GET /b ") {
		t.Fatalf("asked %q", got)
	}
	p.put("HTTP/1.1 302 x\r\nLocation: https://192.0.2.2/c\r\nContent-Length: 70000\r\n\r\n" + strings.Repeat("x", 70_000))
	p.deliver()
	q := w.serverOf(third, &tls.Config{Certificates: []tls.Certificate{certs.b}})
	q.shake()
	if got := q.hear(); !strings.HasPrefix(got, "GET /c ") || strings.Contains(got, "cookie") {
		t.Fatalf("asked %q", got)
	}
	if !p.Gone() {
		t.Error("the connection that was redirected is still there")
	}
	q.put("HTTP/1.1 307 x\r\nLocation: ws://192.0.2.2/d\r\n\r\n")
	q.pump()
	h.wantStage("redirect", "would give up TLS")
	if st := w.eng.Stats(); st.Handshakes != 2 || st.Shaking != 0 {
		t.Errorf("%+v", st)
	}
}

// TestDialRedirectToBrokenTLS: options that cannot be read are TLS's failure.
func TestDialRedirectToBrokenTLS(t *testing.T) {
	w, h := client(t, core.Limits{})
	first, _ := w.listens(farAddr), w.listens("192.0.2.1:443")
	h.dial(core.Dial{Redirects: 1, TLS: &core.ClientTLS{RootCAFile: "/does/not/exist"}})
	w.k.Drive()
	first.request()
	first.WriteString("HTTP/1.1 301 x\r\nLocation: wss://192.0.2.1/b\r\n\r\n")
	w.k.Drive()
	h.wantStage("tls", "RootCAFile")
}

// TestDialWSSInfo: what the client's Info is told.
func TestDialWSSInfo(t *testing.T) {
	d := &diary{}
	w, h := secureClient(t, core.ClientTLS{Info: d.info})
	f := w.listens("192.0.2.1:443")
	h.dial(core.Dial{URL: "wss://192.0.2.1/"})
	p := w.serverOf(f, nil)
	p.opens(f)
	p.WriteString("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32))
	w.k.Drive()
	if d.String() != "start, done, sent 20" {
		t.Errorf("told %s", d)
	}
	p.CloseWrite()
	w.k.Drive()
	h.want("made, connected 101 m, closed")
}
