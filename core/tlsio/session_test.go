package tlsio

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
)

// owner has addresses, which callbacks ask the connection of a hello for.
type owner struct{ local, remote net.Addr }

func (o *owner) LocalAddr() net.Addr  { return o.local }
func (o *owner) RemoteAddr() net.Addr { return o.remote }

// A callback finds the session, its owner and the owner's addresses; whoever has
// no session finds none.
func TestOwner(t *testing.T) {
	if From(context.Background()) != nil {
		t.Error("a session from nowhere")
	}
	o := &owner{&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2}}
	for _, m := range modes {
		sc, cc := suites()[0].configs()
		calls := 0
		sc.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			calls++
			if s := From(h.Context()); s == nil || s.Owner() != o || h.Conn.LocalAddr() != o.local || h.Conn.RemoteAddr() != o.remote {
				t.Error("the owner is not found")
			}
			if h.Context().Value("other") != nil {
				t.Error("a value of another key")
			}
			return nil, nil
		}
		cc.VerifyConnection = func(tls.ConnectionState) error { calls++; return nil }
		opt := m.options()
		opt.Owner = o
		server, client := newSide(t, Server(sc, opt)), newSide(t, Client(cc, m.options()))
		exchange(server, client, whole, whole)
		server.must(t)
		if a := client.s.tc.RemoteAddr(); calls != 2 || a == nil || a.String() == "" || client.s.tc.LocalAddr() == nil {
			t.Errorf("%d calls; without an owner the address is %v", calls, a)
		}
	}
}

// What is written to the connection of a hello outside of a call goes nowhere.
func TestStrayWrites(t *testing.T) {
	server, client := open(t, suites()[0], mode{})
	if n, err := server.s.tc.NetConn().Write([]byte("stray")); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	holdsNothing(t, server.s)
	server.write([]byte("data"))
	exchange(server, client, whole, whole)
	if string(client.got) != "data" || client.err != nil {
		t.Errorf("got %q, %v", client.got, client.err)
	}
}
