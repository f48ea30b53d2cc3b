package gopeers

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	gorillaws "github.com/gorilla/websocket"

	"anyloop/core"
	"anyloop/examples/internal/try"
)

// overTLS is how a library connects to wss and drives; its server is as without TLS.
var overTLS = []struct {
	lib
	dial func(ctx context.Context, url string, cfg *tls.Config) error
}{
	{gorilla, func(_ context.Context, url string, cfg *tls.Config) error {
		d := gorillaws.Dialer{TLSClientConfig: cfg, HandshakeTimeout: bound}
		c, _, err := d.Dial(url, nil)
		if err != nil {
			return err
		}
		return driveGorilla(c)
	}},
	{coder, func(ctx context.Context, url string, cfg *tls.Config) error {
		tr := &http.Transport{TLSClientConfig: cfg}
		defer tr.CloseIdleConnections()
		c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: tr}})
		if err != nil {
			return err
		}
		return driveCoder(ctx, c)
	}},
}

func secured(cert *try.Cert) *core.TLS { return &core.TLS{Cert: cert.Cert, Key: cert.Key} }

// TestOurServerTLS: the libraries' clients drive an echo of ours over TLS, three times
// with one cache of sessions, and check the certificate.
func TestOurServerTLS(t *testing.T) {
	for _, l := range overTLS {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(l.name+"/"+tls.VersionName(version), func(t *testing.T) {
				ca := try.NewCA(t)
				eng := try.Engine(t, core.VHost{Addr: "127.0.0.1:0", TLS: secured(ca.Issue(t, "127.0.0.1")),
					Protocols: []core.Protocol{{Name: "echo", WS: core.OnMessage(echo)}}})
				url := "wss://" + eng.VHost("default").Addr() + "/"
				cfg := &tls.Config{RootCAs: ca.Pool(), ClientSessionCache: tls.NewLRUClientSessionCache(4), MaxVersion: version}
				for range 3 {
					if err := l.dial(t.Context(), url, cfg); err != nil {
						t.Fatal(err)
					}
				}
				if st := try.Stats(t, eng); st.Handshakes != 3 || st.Resumed != 2 {
					t.Errorf("%d handshakes, %d resumed", st.Handshakes, st.Resumed)
				}
				if err := l.dial(t.Context(), url, new(tls.Config)); err == nil {
					t.Error("it trusts an authority that nobody knows")
				}
			})
		}
	}
}

// TestOurClientTLS: an echo of ours connects over TLS to the libraries' servers, which
// drive, and resumes its session.
func TestOurClientTLS(t *testing.T) {
	for _, l := range overTLS {
		t.Run(l.name, func(t *testing.T) {
			ca := try.NewCA(t)
			leaf := ca.Issue(t, "127.0.0.1")
			cert, err := tls.X509KeyPair(leaf.Cert, leaf.Key)
			if err != nil {
				t.Fatal(err)
			}
			resumed := make(chan bool, 3)
			drive := l.server(t, modes[0])
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				resumed <- r.TLS.DidResume
				drive.ServeHTTP(w, r)
			}), TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go srv.ServeTLS(ln, "", "")
			defer srv.Close()
			eng := try.Engine(t, core.VHost{ClientTLS: &core.ClientTLS{RootCAFile: ca.CertFile}})
			for i := range 3 {
				h := new(try.Ended)
				try.Connect(t, eng, core.Dial{URL: "wss://" + ln.Addr().String() + "/", WS: try.Ends(h, core.OnMessage(echo))})
				var ce *core.CloseError
				if err := h.Wait(t); !errors.As(err, &ce) || ce.Code != 1000 || ce.Text != goodbye {
					t.Fatalf("closed with %v", err)
				}
				if got := <-resumed; got != (i > 0) {
					t.Errorf("connection %d has resumed: %v", i, got)
				}
			}
		})
	}
}

// TestHTTPClientTLS: net/http's client keeps its connection, as it does with any server
// that offers HTTP/1.1 alone, and HTTP/2 is not chosen.
func TestHTTPClientTLS(t *testing.T) {
	ca := try.NewCA(t)
	eng := try.Engine(t, core.VHost{Addr: "127.0.0.1:0", TLS: secured(ca.Issue(t, "127.0.0.1")), Protocols: []core.Protocol{
		{Name: "page", HTTP: core.HTTPFunc(func(_ *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
			return w.Respond(200, nil, []byte("hello"))
		})}}})
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	client := http.Client{Transport: tr, Timeout: bound}
	for range 5 {
		res, err := client.Get("https://" + eng.VHost("default").Addr() + "/")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if string(b) != "hello" || err != nil || res.ProtoMajor != 1 || res.TLS.NegotiatedProtocol != "http/1.1" {
			t.Errorf("%q, %v, %s", b, err, res.Proto)
		}
	}
	if st := try.Stats(t, eng); st.Handshakes != 1 || st.Requests != 5 {
		t.Errorf("%d handshakes for %d requests", st.Handshakes, st.Requests)
	}
}
