package interop

import (
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/examples/internal/try"
)

// accept is the answer to a client's opening handshake (RFC 6455 4.2.2).
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

// dialled is a client of ours with its server, which is openssl's.
type dialled struct {
	*try.Ended
	eng    *core.Engine
	server *opensslServer
	state  chan *tls.ConnectionState
}

// Connected implements core.Connector.
func (d *dialled) Connected(c *core.Conn, r *core.Response) error {
	d.state <- c.TLS()
	return d.Ended.Connected(c, r)
}

// greeted is how the client's greeting begins; the rest is masked.
const greeted = "\x81\x95"

// dial connects our client to openssl's server.
func dial(t *testing.T, server *opensslServer, host string, how *core.ClientTLS) *dialled {
	t.Helper()
	d := &dialled{Ended: &try.Ended{Greet: "hello from the client"}, server: server, state: make(chan *tls.ConnectionState, 1)}
	made := try.Ends(d.Ended, core.OnMessage(echoBack))
	d.eng = try.Engine(t, core.VHost{Protocols: []core.Protocol{{Name: "end", WS: func(c *core.Conn) core.WSHandler { made(c); return d }}}})
	try.Connect(t, d.eng, core.Dial{URL: "wss://" + host + "/", Addr: server.addr, TLS: how})
	return d
}

// opens answers the opening handshake, lets the client's greeting come, closes, and
// returns what the client knows of its TLS.
func (d *dialled) opens(t *testing.T) *tls.ConnectionState {
	t.Helper()
	d.server.Say(accept(d.server.Until(`(?i)sec-websocket-key: (\S+)`)[1]))
	d.server.Times(greeted, 1)
	d.closes(t)
	return <-d.state
}

// closes has the server close in good order.
func (d *dialled) closes(t *testing.T) {
	t.Helper()
	d.server.Say("\x88\x02\x03\xe8")
	d.server.Times("\x88\x82", 1) // the answer
	d.server.Say("q\n")
	var ce *core.CloseError
	if err := d.Wait(t); !errors.As(err, &ce) || !ce.Remote || ce.Code != 1000 {
		t.Errorf("closed with %v", err)
	}
}

// TestOurClientOpenSSLVersions: our client meets openssl's server by both versions.
func TestOurClientOpenSSLVersions(t *testing.T) {
	ca := try.NewCA(t)
	for _, c := range []*try.Cert{ca.Issue(t, "a.test"), ca.IssueRSA(t, "a.test")} {
		for _, version := range versions {
			d := dial(t, sServer(t, c, version, "-alpn", "http/1.1"), "a.test", &core.ClientTLS{RootCAFile: ca.CertFile})
			st := d.opens(t)
			want := map[string]uint16{"-tls1_2": tls.VersionTLS12, "-tls1_3": tls.VersionTLS13}[version]
			if st == nil || st.Version != want || st.NegotiatedProtocol != "http/1.1" || len(st.VerifiedChains) == 0 {
				t.Errorf("%s: %+v", version, st)
			}
			d.server.Until(`Cipher is|CIPHER is`)
		}
	}
}

// TestOurClientOpenSSLOldServer: a server of TLS 1.1 alone is not spoken to.
func TestOurClientOpenSSLOldServer(t *testing.T) {
	ca := try.NewCA(t)
	d := dial(t, sServer(t, ca.Issue(t, "a.test"), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), "a.test", &core.ClientTLS{RootCAFile: ca.CertFile})
	if err := d.Wait(t); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("it failed with %v", err)
	}
}

// TestOurClientOpenSSLCertificates: what each flag of ClientTLS lets through, and
// nothing else.
func TestOurClientOpenSSLCertificates(t *testing.T) {
	ca := try.NewCA(t)
	good, wrong, expired := ca.Issue(t, "a.test"), ca.Issue(t, "b.test"), ca.IssueExpired(t, "a.test")
	stranger, self := try.NewCA(t).Issue(t, "a.test"), try.SelfSigned(t, "a.test")
	is := func(reason x509.InvalidReason) func(error) bool {
		return func(err error) bool {
			var e x509.CertificateInvalidError
			return errors.As(err, &e) && e.Reason == reason
		}
	}
	name := func(err error) bool { return errors.As(err, new(x509.HostnameError)) }
	unknown := func(err error) bool { return errors.As(err, new(x509.UnknownAuthorityError)) }
	dates := is(x509.Expired)
	for what, c := range map[string]struct {
		cert  *try.Cert
		fails func(error) bool // nil: it never does
		flag  string           // the one that lets it through, beside Insecure
	}{
		"good":        {good, nil, ""},
		"wrong name":  {wrong, name, "SkipHostname"},
		"expired":     {expired, dates, "AllowExpired"},
		"unknown CA":  {stranger, unknown, ""},
		"self-signed": {self, unknown, "AllowSelfSigned"},
	} {
		for flag, how := range map[string]core.ClientTLS{
			"none":            {},
			"SkipHostname":    {SkipHostname: true},
			"AllowExpired":    {AllowExpired: true},
			"AllowSelfSigned": {AllowSelfSigned: true},
			"Insecure":        {Insecure: true},
		} {
			t.Run(what+"/"+flag, func(t *testing.T) {
				how.RootCAFile = ca.CertFile
				d := dial(t, sServer(t, c.cert), "a.test", &how)
				if c.fails == nil || flag == c.flag || flag == "Insecure" {
					d.opens(t)
					return
				}
				if err := d.Wait(t); err == nil || !c.fails(err) {
					t.Errorf("it failed with %v", err)
				}
				// What the server hears is an alert about the certificate.
				d.server.Until(`alert number (42|45|46|48)|alert (bad certificate|unknown ca|certificate expired)`)
			})
		}
	}
}

// TestOurClientOpenSSLShowsCertificate: a server that asks gets our certificate, and
// one that insists is not served without.
func TestOurClientOpenSSLShowsCertificate(t *testing.T) {
	ca := try.NewCA(t)
	cert, client := ca.Issue(t, "a.test"), ca.Issue(t, "the client")
	for _, version := range versions {
		for _, insists := range []string{"-verify", "-Verify"} {
			d := dial(t, sServer(t, cert, version, insists, "1", "-CAfile", ca.CertFile, "-verify_return_error"), "a.test",
				&core.ClientTLS{RootCAFile: ca.CertFile, CertFile: client.CertFile, KeyFile: client.KeyFile})
			d.opens(t)
			d.server.Until(`subject=CN = the client`)
		}
		d := dial(t, sServer(t, cert, version, "-verify", "1"), "a.test", &core.ClientTLS{RootCAFile: ca.CertFile})
		d.opens(t)
		d = dial(t, sServer(t, cert, version, "-Verify", "1"), "a.test", &core.ClientTLS{RootCAFile: ca.CertFile})
		if err := d.Wait(t); err == nil || !strings.Contains(err.Error(), "certificate required") && !strings.Contains(err.Error(), "handshake failure") {
			t.Errorf("%s: it failed with %v", version, err)
		}
	}
}

// TestOurClientOpenSSLHelloRequest: a server that wants to negotiate again is refused,
// and that ends it; a KeyUpdate of TLS 1.3 is taken and answered.
func TestOurClientOpenSSLHelloRequest(t *testing.T) {
	ca := try.NewCA(t)
	d := dial(t, sServer(t, ca.Issue(t, "a.test"), "-tls1_2"), "a.test", &core.ClientTLS{RootCAFile: ca.CertFile})
	d.server.Say(accept(d.server.Until(`(?i)sec-websocket-key: (\S+)`)[1]))
	d.server.Times(greeted, 1)
	d.server.Say("r\n")
	var te *core.TransportError
	if err := d.Wait(t); !errors.As(err, &te) || te.Op != "tls" {
		t.Errorf("it ended with %v", err)
	}
	d.server.Until("alert number 100|no renegotiation")

	d = dial(t, sServer(t, ca.Issue(t, "a.test"), "-tls1_3", "-msg"), "a.test", &core.ClientTLS{RootCAFile: ca.CertFile})
	d.server.Say(accept(d.server.Until(`(?i)sec-websocket-key: (\S+)`)[1]))
	d.server.Times(greeted, 1)
	for i := range 20 {
		d.server.Say([]string{"K\n", "k\n"}[i%2])
		d.server.Times(">>> TLS 1.3, Handshake [length 0005], KeyUpdate", i+1)
		d.server.Say("\x81\x02hi")
		d.server.Times("\x81\x82", i+1) // its echo, masked
	}
	d.closes(t)
}
