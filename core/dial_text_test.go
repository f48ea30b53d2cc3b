package core_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/deflate"
	"anyloop/core/h1"
	"anyloop/core/loop/sim"
	"anyloop/core/socks"
	"anyloop/core/tlsio"
	"anyloop/core/ws"
)

// book is a resolver: names and their addresses.
type book map[string]string

func (b book) LookupNetIP(_ context.Context, _, host string) (addrs []netip.Addr, err error) {
	for _, s := range strings.Fields(b[host]) {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// failing is a client that is to fail, its servers, and what they do.
type failing struct {
	*world
	h *caller
	f *far // who was reached
}

// failingClient starts an engine whose client trusts the tests' authority, and reaches far
// wherever it goes, but for the addresses of answers.
func failingClient(t *testing.T, answers map[string]sim.Answer) *failing {
	t.Helper()
	o := &core.ClientTLS{Config: &tls.Config{RootCAs: certs.pool}}
	h := &caller{}
	w := newWorld(t, sim.Options{}, core.Config{Resolver: book{"two.example": "192.0.2.4 2001:db8::4"},
		VHosts: []core.VHost{{ClientTLS: o, Protocols: []core.Protocol{{Name: "client", WS: h.made}}}}})
	h.w = w
	x := &failing{world: w, h: h, f: &far{}}
	for _, addr := range []string{farAddr, "192.0.2.1:443", "192.0.2.9:3128"} {
		w.k.Answer(addr, sim.Answer{Accept: func(p *sim.Peer) { x.f.peer = &peer{Peer: p, w: w} }})
	}
	for addr, a := range answers {
		w.k.Answer(addr, a)
	}
	return x
}

// until drives until the dial has failed.
func (x *failing) until() error {
	x.t.Helper()
	for end := time.Now().Add(time.Minute); x.h.err == nil; runtime.Gosched() {
		x.k.Drive()
		if time.Now().After(end) {
			x.t.Fatalf("it never failed; the handler heard %q", x.h.heard)
		}
	}
	x.h.want("made, failed")
	return x.h.err
}

// says answers the request, or whatever comes, with text; "+" stands for a right answer
// with further fields.
func says(text string) func(*failing) {
	return func(x *failing) {
		if extra, ok := strings.CutPrefix(text, "+"); ok {
			x.f.request()
			text = x.f.accept(extra)
		}
		x.f.WriteString(text)
	}
}

// shows makes the server speak TLS.
func shows(cfg *tls.Config) func(*failing) {
	return func(x *failing) {
		p := x.serverOf(x.f, cfg)
		p.pump()
		x.f.CloseWrite()
	}
}

func after(d time.Duration) func(*failing) { return func(x *failing) { x.k.Advance(d) } }

func as[E error](err error) bool { return errors.As(err, new(E)) }

func limitIs(name string) func(error) bool {
	return func(err error) bool {
		var le *core.LimitError
		return errors.As(err, &le) && le.Limit == name
	}
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

var never = sim.Answer{Silent: true}

func refusal(e syscall.Errno) sim.Answer { return sim.Answer{Err: e} }

// dialText is a way in which a dial fails: what a user reads, and what a program finds.
type dialText struct {
	d       core.Dial
	answers map[string]sim.Answer
	far     func(*failing)
	want    string // behind "core: "
	is      func(error) bool
}

func answersAt(addr string, a sim.Answer) map[string]sim.Answer {
	return map[string]sim.Answer{addr: a}
}

func connectTexts() []dialText {
	const late = 5 * time.Second
	return []dialText{
		{core.Dial{}, answersAt(farAddr, refusal(syscall.ECONNREFUSED)), nil,
			"connect 192.0.2.1:80: connection refused", is(syscall.ECONNREFUSED)},
		{core.Dial{URL: "ws://two.example:81/"}, map[string]sim.Answer{"192.0.2.4:81": refusal(syscall.ECONNREFUSED), "[2001:db8::4]:81": {Err: syscall.ENETUNREACH, Now: true}}, nil,
			"connect two.example:81: [2001:db8::4]:81: network is unreachable; 192.0.2.4:81: connection refused", is(syscall.ENETUNREACH)},
		{core.Dial{URL: "ws://none.example/"}, nil, nil,
			"connect none.example:80: lookup none.example: no such host", as[*net.DNSError]},
		{core.Dial{Addr: "unix:/run/none"}, answersAt("/run/none", sim.Answer{Err: syscall.ENOENT, Now: true}), nil,
			"connect 192.0.2.1:80: unix:/run/none: no such file or directory", is(syscall.ENOENT)},
		{core.Dial{}, answersAt(farAddr, never), after(late),
			"connect 192.0.2.1:80: no answer within 5s (Limits.ConnectTimeout)", limitIs("ConnectTimeout")},
		{core.Dial{Addr: "192.0.2.7:80"}, answersAt("192.0.2.7:80", never), after(late),
			"connect 192.0.2.1:80: no connection within 5s (Limits.ConnectTimeout); until then: 192.0.2.7:80: no answer yet", limitIs("ConnectTimeout")},
		{core.Dial{}, answersAt(farAddr, never), func(x *failing) { x.h.given.Drop() },
			"connect 192.0.2.1:80: dropped by the handler", is(core.ErrDrop)},
		{core.Dial{}, answersAt(farAddr, never), func(x *failing) { x.h.given.Close(1000, "never mind") },
			`connect 192.0.2.1:80: closed here with code 1000 "never mind"`, as[*core.CloseError]},
		{core.Dial{}, answersAt(farAddr, never), func(x *failing) { x.eng.Stop(0) },
			"connect 192.0.2.1:80: closed by Stop: the engine has stopped", is(core.ErrStopped)},
		{core.Dial{Proxy: "http://192.0.2.9:3128"}, answersAt("192.0.2.9:3128", refusal(syscall.ECONNREFUSED)), nil,
			"connect 192.0.2.1:80: the proxy cannot be reached: 192.0.2.9:3128: connection refused", is(syscall.ECONNREFUSED)},
	}
}

func proxyTexts() []dialText {
	const setUser = "; Dial.Proxy takes user:password@host:port"
	web, socks5 := core.Dial{Proxy: "http://192.0.2.9:3128"}, core.Dial{Proxy: "socks5://192.0.2.9:3128"}
	list := []dialText{
		{web, nil, after(5 * time.Second), "no consent of the proxy within 5s (Limits.ConnectTimeout)", limitIs("ConnectTimeout")},
		{web, nil, says("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), "the proxy 192.0.2.9:3128 answered 407 Proxy Authentication Required" + setUser, nil},
		{web, nil, says("HTTP/1.1 403 Forbidden\r\n\r\n"), "the proxy 192.0.2.9:3128 answered 403 Forbidden", nil},
		{web, nil, says("SSH-2.0-x\r\n"), "the proxy 192.0.2.9:3128 does not speak HTTP", as[*h1.Error]},
		{web, nil, func(x *failing) { x.f.CloseWrite() }, "the proxy 192.0.2.9:3128 closed the connection instead of answering", nil},
		{web, nil, func(x *failing) { x.f.Reset() }, "the proxy 192.0.2.9:3128: read: connection reset by peer", is(syscall.ECONNRESET)},
		{socks5, nil, says("HTTP/1.1 400 Bad Request\r\n\r\n"), "the proxy 192.0.2.9:3128 does not speak SOCKS5", is(socks.ErrVersion)},
		{socks5, nil, says("\x05\xff"), "the proxy 192.0.2.9:3128 wants an authentication that was not offered" + setUser, is(socks.ErrMethod)},
		{core.Dial{Proxy: "socks5://u:p@192.0.2.9:3128"}, nil, says("\x05\x02\x01\x01"), "the proxy 192.0.2.9:3128 refused user name and password" + setUser, is(socks.ErrAuth)},
		{socks5, nil, says("\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"), "the proxy 192.0.2.9:3128 refused: connection refused", as[*socks.ReplyError]},
		{socks5, nil, says("\x05\x00\x05\x00\x07"), "the proxy 192.0.2.9:3128's reply is malformed (RFC 1928)", is(socks.ErrReply)},
	}
	for i := range list {
		list[i].want = "proxy 192.0.2.1:80: " + list[i].want
	}
	return list
}

func tlsTexts(t *testing.T) []dialText {
	const day = 24 * time.Hour
	other, _, _ := core.NewTestCA(t).Leaf(t, "192.0.2.1")
	certOf := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	strict := certOf(certs.a)
	strict.ClientAuth = tls.RequireAnyClientCert
	modern := certOf(certs.a)
	modern.MinVersion = tls.VersionTLS13
	opts := func(edit func(*core.ClientTLS)) core.Dial {
		o := &core.ClientTLS{Config: &tls.Config{RootCAs: certs.pool}}
		edit(o)
		return core.Dial{TLS: o}
	}
	then := time.Now().Add(5 * 365 * day).UTC().Truncate(time.Second)
	old := opts(func(o *core.ClientTLS) { o.MaxVersion = tls.VersionTLS12 })
	own := errors.New("not whom I wanted")
	list := []dialText{
		{core.Dial{}, nil, shows(certOf(other)), "the server's certificate is signed by unknown authority; ClientTLS.RootCAFile can name it", as[x509.UnknownAuthorityError]},
		{core.Dial{}, nil, shows(certOf(certs.b)), "the server's certificate is valid for 192.0.2.2, not 192.0.2.1", as[x509.HostnameError]},
		{opts(func(o *core.ClientTLS) { o.Config.Time = func() time.Time { return then } }), nil, shows(strict),
			"the server's certificate has expired or is not yet valid: current time " + then.Format(time.RFC3339) + " is after " + certs.a.Leaf.NotAfter.Format(time.RFC3339), as[x509.CertificateInvalidError]},
		{opts(func(o *core.ClientTLS) { o.Config.VerifyConnection = func(tls.ConnectionState) error { return own } }), nil, shows(nil),
			"sent alert 42 (bad certificate): not whom I wanted", is(own)},
		{opts(func(o *core.ClientTLS) { o.Config.VerifyConnection = func(tls.ConnectionState) error { panic("oops") } }), nil, shows(nil),
			"panic in TLS: oops", as[*core.PanicError]},
		{old, nil, shows(modern), "the server refused with alert 70 (protocol version not supported); see ClientTLS.MinVersion and MaxVersion", as[*tlsio.Alert]},
		{old, nil, shows(strict), "the server refused with alert 40 (handshake failure); it may want ClientTLS.CertFile, or other Ciphers or Curves", as[*tlsio.Alert]},
		{core.Dial{}, nil, says("HTTP/1.1 400 Bad Request\r\n\r\n"), "the server does not speak TLS: first record does not look like a TLS handshake; ws and http are the schemes without", as[tls.RecordHeaderError]},
		{core.Dial{}, nil, func(x *failing) { x.f.CloseWrite() }, "the peer closed the connection during the handshake", as[*core.TransportError]},
		{core.Dial{}, nil, func(x *failing) { x.f.Reset() }, "read: connection reset by peer", is(syscall.ECONNRESET)},
		{core.Dial{}, nil, after(15 * time.Second), "the TLS handshake was not complete within 15s (Limits.AnswerTimeout)", limitIs("AnswerTimeout")},
	}
	for i := range list {
		list[i].d.URL = "wss://192.0.2.1/"
		list[i].want = "tls 192.0.2.1:443: " + list[i].want
	}
	// With TLS 1.3 a server looks at the client's certificate when the client is done.
	return append(list, dialText{core.Dial{URL: "wss://192.0.2.1/"}, nil, shows(strict),
		"handshake 192.0.2.1:443: the server refused with alert 116 (certificate required); it wants a certificate: ClientTLS.CertFile", as[*tlsio.Alert]})
}

func handshakeTexts() []dialText {
	const answer = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	zip, d := core.Dial{Deflate: &core.Deflate{}}, core.Dial{}
	own := errors.New("not this one")
	list := []dialText{
		{d, nil, says("HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nwhy?"), "the server answered 400 Bad Request", nil},
		{d, nil, says("HTTP/1.1 401 Unauthorized\r\n\r\n"), "the server answered 401 Unauthorized; Dial.URL takes user:password@host, and Dial.Header an authorization field", nil},
		{d, nil, says("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), "the server answered 403 Forbidden; see Dial.Origin", nil},
		{d, nil, says("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nwhere"), "the server answered 404 Not Found; see the path of Dial.URL", nil},
		{d, nil, says("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"), "the server answered 200", nil},
		{d, nil, says("HTTP/1.1 503 " + strings.Repeat("x", 500) + "\r\n\r\n"), "the server answered 503 " + strings.Repeat("x", 64), nil},
		{d, nil, says("\x15\x03\x01\x00\x02\x02\x46"), "the server speaks TLS: the scheme for that is wss or https", as[*h1.Error]},
		{d, nil, says("SSH-2.0-OpenSSH_9.2\r\n"), "the server does not speak HTTP", as[*h1.Error]},
		{d, nil, says("HTTP/1.1 101 x\r\nX: " + strings.Repeat("y", 5000) + "\r\n\r\n"), "the server's answer: header fields too large (RFC 6585 5); see Limits.HeaderBytes and HeaderFields", as[*h1.Error]},
		{d, nil, says(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 20)), "the server's answer: too many interim responses (RFC 9110 15.2)", as[*h1.Error]},
		{d, nil, says(answer + "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), "the server's answer is no WebSocket's: accept hash wrong (RFC 6455 4.1)", is(ws.ErrAccept)},
		{d, nil, says(answer + "\r\n"), "the server's answer is no WebSocket's: accept missing (RFC 6455 4.1)", is(ws.ErrNoAccept)},
		{d, nil, says("HTTP/1.1 101 x\r\n\r\n"), "the server's answer is no WebSocket's: upgrade missing (RFC 6455 4.1)", is(ws.ErrNoUpgrade)},
		{core.Dial{Subprotocols: []string{"chat"}}, nil, says("+Sec-WebSocket-Protocol: what\r\n"), "the server's answer is no WebSocket's: protocol that was not offered (RFC 6455 4.1); see Dial.Subprotocols", is(ws.ErrProtocol)},
		{d, nil, says("+Sec-WebSocket-Extensions: permessage-deflate\r\n"), "the server's answer is no WebSocket's: extension that was not offered (RFC 6455 4.1); see Dial.Deflate", is(ws.ErrExtension)},
		{zip, nil, says("+Sec-WebSocket-Extensions: foo\r\n"), `bad Sec-WebSocket-Extensions in the server's answer: extension "foo" was not offered; Dial.NoDeflate goes without compression`, is(deflate.ErrAnswer)},
		{d, nil, func(x *failing) { x.f.CloseWrite() }, "the server closed the connection instead of answering", nil},
		{d, nil, func(x *failing) { x.f.Reset() }, "read: connection reset by peer", is(syscall.ECONNRESET)},
		{d, nil, after(15 * time.Second), "no answer within 15s (Limits.AnswerTimeout)", limitIs("AnswerTimeout")},
		{core.Dial{Check: func(*core.Conn, *core.Response) error { return own }}, nil, says("+"), "not this one", is(own)},
		{core.Dial{Check: func(*core.Conn, *core.Response) error { return core.ErrDrop }}, nil, says("+"), "dropped by the handler", is(core.ErrDrop)},
		{core.Dial{Check: func(*core.Conn, *core.Response) error { panic("oops") }}, nil, says("+"), "panic in Check: oops", as[*core.PanicError]},
	}
	for i := range list {
		list[i].want = "handshake 192.0.2.1:80: " + list[i].want
	}
	return list
}

func redirectTexts() []dialText {
	to := func(location string) func(*failing) {
		return says("HTTP/1.1 302 Found\r\nLocation: " + location + "\r\n\r\n")
	}
	list := []dialText{
		{core.Dial{}, nil, to("/x"), `the server answered 302, a redirect to "/x"; Dial.Redirects is 0`, nil},
		{core.Dial{Redirects: 2}, nil, func(x *failing) {
			for range 3 {
				to("/again")(x)
				x.k.Drive()
			}
		}, `the server answered 302, a redirect to "/again"; Dial.Redirects is 2`, nil},
		{core.Dial{Redirects: 2}, nil, to("ftp://x/"), `the server answered 302, a redirect to "ftp://x/": scheme "ftp" is none of ws, wss, http, https`, nil},
		{core.Dial{Redirects: 2}, nil, to(""), `the server answered 302, a redirect to "", which is no URL`, nil},
	}
	for i := range list {
		list[i].want = "redirect 192.0.2.1:80: " + list[i].want
	}
	return list
}

// TestDialErrorTexts: each way in which a dial fails is told in one line, with one prefix,
// and says at which stage, of which address, who and what; a program finds the cause.
func TestDialErrorTexts(t *testing.T) {
	makeCerts(t)
	for _, c := range slices.Concat(connectTexts(), proxyTexts(), tlsTexts(t), handshakeTexts(), redirectTexts()) {
		t.Run(c.want, func(t *testing.T) {
			x := failingClient(t, c.answers)
			if c.d.URL == "" {
				c.d.URL = "ws://192.0.2.1/"
			}
			x.h.dial(c.d)
			x.k.Drive()
			if c.far != nil {
				c.far(x)
			}
			err := x.until()
			if got, want := err.Error(), "core: "+c.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if !as[*core.ConnectError](err) || c.is != nil && !c.is(err) {
				t.Errorf("%v is something else: %#v", err, errors.Unwrap(err))
			}
		})
	}
}

// TestDialArgumentTexts: what is wrong with a Dial is told in one line that names the URL,
// without its password, and the field.
func TestDialArgumentTexts(t *testing.T) {
	w, _ := client(t, core.Limits{})
	w.eng.AddVHost(core.VHost{Name: "bare", Protocols: []core.Protocol{{Name: "p", HTTP: func(*core.Conn) core.HTTPHandler { return nil }}}})
	for _, c := range []struct {
		d    core.Dial
		want string // behind "core: dial "
		is   error
	}{
		{core.Dial{}, `"": scheme "" is none of ws, wss, http, https`, nil},
		{core.Dial{URL: "ws://"}, `"ws://": there is no host in it`, nil},
		{core.Dial{URL: "ftp://u:secret@h/"}, `"ftp://u:xxxxx@h/": scheme "ftp" is none of ws, wss, http, https`, nil},
		{core.Dial{URL: "ws://u:secret@h:x/"}, `"...@h:x/": invalid port ":x" after host`, nil},
		{core.Dial{URL: "ws://h:70000/"}, `"ws://h:70000/": port "70000" is not a number from 1 to 65535`, nil},
		{core.Dial{Proxy: "ftp://u:secret@x"}, `Dial.Proxy: scheme "ftp" is none of http, socks5`, nil},
		{core.Dial{Proxy: "http://u:secret@x:y"}, `Dial.Proxy: invalid port ":y" after host`, nil},
		{core.Dial{Proxy: "socks5://u@"}, `Dial.Proxy: there is no host in it`, nil},
		{core.Dial{Proxy: "socks5://:secret@x"}, `Dial.Proxy: user name or password of more than 255 bytes, or a password without a user name`, socks.ErrCredentials},
		{core.Dial{Proxy: "http://u%0A@x"}, `Dial.Proxy: a control byte in the credentials, or a colon in the user name`, h1.ErrBadCredentials},
		{core.Dial{Protocol: "none"}, `Dial.Protocol "none" with WS: no such protocol on this vhost`, core.ErrUnknownProtocol},
		{core.Dial{Header: core.Header{{Name: "host", Value: "x"}}}, `Dial.Header "host": a connection-level header (connection, transfer-encoding, ...) is set by the library; see Dial.Host`, core.ErrHeaderForbidden},
		{core.Dial{Header: core.Header{{Name: "x", Value: "a\r\nb: c"}}}, `Dial.Header "x": a header name or value has illegal bytes`, core.ErrHeaderSyntax},
		{core.Dial{Subprotocols: []string{"a", "a"}}, `Dial.Subprotocols ["a" "a"]: offered protocol is not a token, or is offered twice (RFC 6455 4.1)`, ws.ErrProtocolOffer},
		{core.Dial{Origin: "a\nb"}, `Dial.Origin "a\nb": a header name or value has illegal bytes`, core.ErrHeaderSyntax},
		{core.Dial{Host: "a\nb"}, `Dial.Host "a\nb": a header name or value has illegal bytes`, core.ErrHeaderSyntax},
		{core.Dial{Host: "a/b"}, `Dial.Host "a/b": malformed host`, h1.ErrBadHost},
		{core.Dial{LocalAddr: "x"}, `Dial.LocalAddr "x" is neither an IP address nor one with a port`, nil},
		{core.Dial{Addr: "192.0.2.1"}, `Dial.Addr "192.0.2.1" is none of host:port, unix:/path and unix:@name`, nil},
		{core.Dial{Addr: "192.0.2.1:99999"}, `Dial.Addr "192.0.2.1:99999" is none of host:port, unix:/path and unix:@name`, nil},
		{core.Dial{Addr: "unix:"}, `Dial.Addr "unix:" is none of host:port, unix:/path and unix:@name`, nil},
		{core.Dial{Deflate: &core.Deflate{WindowBits: 7}}, `Deflate: a window of 7 bits; it has 8 to 15`, nil},
		{core.Dial{URL: "wss://h/", TLS: &core.ClientTLS{RootCAFile: "/none"}}, `"wss://h/": ClientTLS: RootCAFile: open /none: no such file or directory`, fs.ErrNotExist},
		{core.Dial{URL: "wss://h/", TLS: &core.ClientTLS{Ciphers: []string{"none"}}}, `"wss://h/": ClientTLS: unknown cipher "none"`, nil},
	} {
		if c.d.URL == "" && c.want[0] != '"' {
			c.d.URL, c.want = "ws://h/", `"ws://h/": `+c.want
		}
		_, err := w.eng.Thread(0).Dial(w.eng.VHost("default"), c.d)
		if err == nil || err.Error() != "core: dial "+c.want || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("got  %v\nwant core: dial %s", err, c.want)
		}
	}
	_, err := w.eng.Thread(0).Dial(w.eng.VHost("bare"), core.Dial{URL: "ws://h/"})
	if !errors.Is(err, core.ErrUnknownProtocol) || err.Error() != `core: dial "ws://h/": neither this vhost nor Dial has a WS: no such protocol on this vhost` {
		t.Errorf("without any WS: %v", err)
	}
	if st := w.eng.Stats(); st.Conns != 0 {
		t.Errorf("%d conns are left", st.Conns)
	}
}
