//go:build linux || darwin || freebsd

package evioloop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
	"anyloop/loops/evio"
	"anyloop/loops/poll"
)

// shared is an application whose port serves core too: what begins with "GET "
// goes to vh.
func shared(vh func() *core.VirtualHost) func(*app, *evio.Events) {
	return func(a *app, ev *evio.Events) {
		ev.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
			if !bytes.HasPrefix(in, []byte("GET ")) {
				return in, evio.None
			}
			action, err := a.bridge.Adopt(c, vh(), in)
			if err != nil {
				a.t.Errorf("Adopt: %v", err)
			}
			return nil, action
		}
	}
}

// TestAdoptWithFirstBytes: one port for both protocols, told apart by what comes
// first; the request comes along, whole or in part.
func TestAdoptWithFirstBytes(t *testing.T) {
	leaks(t)
	for _, threads := range []int{1, 2} {
		b := newBridge(t)
		eng := engine(t, core.Config{Backend: b, Threads: threads, VHosts: []core.VHost{echoes("")}})
		a := serve(t, b, shared(func() *core.VirtualHost { return eng.VHost("default") }))
		l := a.dial()
		l.echo("before")
		for range 8 {
			c := wsDial(t, a.addr)
			if err := c.Echo(ws.Text, []byte("hello")); err != nil {
				t.Error(err)
			}
		}
		l.echo("between")
		c, err := net.Dial("tcp", a.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(looptest.Bound))
		io.WriteString(c, "GET ")
		until(t, "core has it", func() bool {
			for i := range threads {
				on(t, eng.Thread(i), func() {}) // Stats are published after each turn
			}
			return eng.Stats().Conns == 9
		})
		io.WriteString(c, "/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if head, _ := io.ReadAll(c); !strings.HasPrefix(string(head), "HTTP/1.1 404") {
			t.Errorf("a request in two pieces: %q", head)
		}
		l.echo("after")
		end(t, eng)
		l.echo("at last")
		a.stop()
	}
}

// TestAdoptInOpened: evio only accepts. What it sends first goes first; the peer
// is known.
func TestAdoptInOpened(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	peers := make(chan string, 1)
	vh := core.VHost{Protocols: []core.Protocol{{Name: "p", HTTP: core.HTTPFunc(
		func(c *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
			peers <- c.Peer()
			return w.Respond(200, nil, []byte("hi"))
		})}}, Mounts: []core.Mount{core.Callback("/", "p")}}
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{vh}})
	a := serve(t, b, func(a *app, ev *evio.Events) {
		ev.Opened = func(c evio.Conn) ([]byte, evio.Options, evio.Action) {
			action, err := a.bridge.Adopt(c, eng.VHost("default"), nil)
			if err != nil {
				a.t.Errorf("Adopt: %v", err)
			}
			return []byte("welcome\n"), evio.Options{}, action
		}
	})
	l := a.dial()
	if got, err := l.r.ReadString('\n'); got != "welcome\n" {
		t.Errorf("first comes %q, %v", got, err)
	}
	fmt.Fprint(l.c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	all, _ := io.ReadAll(l.r)
	if !strings.HasPrefix(string(all), "HTTP/1.1 200") || !strings.HasSuffix(string(all), "hi") {
		t.Errorf("%q", all)
	}
	if p := take(t, peers, "the request"); p != l.c.LocalAddr().String() {
		t.Errorf("peer %s, want %s", p, l.c.LocalAddr())
	}
	end(t, eng)
	a.stop()
	if got := a.noted(); got != "" {
		t.Errorf("the application heard of it again: %s", got)
	}
}

// TestAdoptIsRefused: without an engine, for what is no connection, and where the
// engine has no room.
func TestAdoptIsRefused(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	errs := make(chan error, 1)
	var eng *core.Engine
	a := serve(t, b, func(a *app, ev *evio.Events) {
		ev.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
			if _, err := a.bridge.Adopt(c, nil, in); err != nil {
				errs <- err
				return in, evio.None
			}
			return nil, evio.Close
		}
	})
	a.dial().echo("no engine")
	if err := <-errs; !errors.Is(err, evioloop.ErrNotServing) {
		t.Errorf("without an engine: %v", err)
	}
	if _, err := b.Adopt(notEvio{}, nil, nil); !errors.Is(err, evioloop.ErrShape) {
		t.Errorf("another Conn: %v", err)
	}
	a.stop()

	b = newBridge(t)
	eng = engine(t, core.Config{Backend: b, Limits: core.Limits{MaxConns: 1}, VHosts: []core.VHost{echoes("")}})
	a = serve(t, b, shared(func() *core.VirtualHost { return eng.VHost("default") }))
	first := wsDial(t, a.addr)
	second, err := client.Dial(a.addr, looptest.Bound)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	second.AskUpgrade("")
	if err := second.ReadUpgrade(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("beyond MaxConns: %v", err)
	}
	if err := first.Echo(ws.Text, []byte("in")); err != nil {
		t.Error(err)
	}
	end(t, eng)
	a.stop()
}

// TestAdoptToAVHostThatIsNotThere: nil, as Engine.VHost returns it for a name that no
// vhost has, and one of an engine that is not in the bridge. The connection stays the
// application's.
func TestAdoptToAVHostThatIsNotThere(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("")}})
	other := engine(t, core.Config{Backend: poll.Backend(), VHosts: []core.VHost{echoes("")}})
	errs := make(chan error, 1)
	vhosts := make(chan *core.VirtualHost, 1)
	a := serve(t, b, func(a *app, ev *evio.Events) {
		ev.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
			action, err := a.bridge.Adopt(c, <-vhosts, in)
			errs <- err
			if err == nil {
				return nil, evio.Close
			}
			return in, action
		}
	})
	vhosts <- eng.VHost("none of this name")
	a.dial().echo("no vhost")
	if err := <-errs; !errors.Is(err, core.ErrNoVHost) {
		t.Errorf("nil: %v", err)
	}
	vhosts <- other.VHost("default")
	a.dial().echo("another engine's")
	if err := <-errs; !errors.Is(err, core.ErrOtherEngine) {
		t.Errorf("another engine's: %v", err)
	}
	end(t, eng)
	finish(t, other)
	a.stop()
}

// TestAdoptDatagram: the stand-in for a datagram's sender is no connection.
func TestAdoptDatagram(t *testing.T) {
	leaks(t)
	b := newBridge(t)
	eng := engine(t, core.Config{Backend: b, VHosts: []core.VHost{echoes("")}})
	errs := make(chan error, 1)
	up := make(chan string, 1)
	served := make(chan error, 1)
	go func() {
		served <- b.Serve(evio.Events{
			Serving: func(s evio.Server) evio.Action { up <- s.Addrs[0].String(); return evio.None },
			Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) {
				_, err := b.Adopt(c, eng.VHost("default"), in)
				errs <- err
				return nil, evio.None
			}}, "udp://127.0.0.1:0")
	}()
	c, err := net.Dial("udp", take(t, up, "the server serves"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
	if err := take(t, errs, "the datagram arrives"); !errors.Is(err, evioloop.ErrNotSocket) {
		t.Errorf("%v", err)
	}
	end(t, eng)
	if err := b.Shutdown(); err != nil {
		t.Error(err)
	}
	take(t, served, "Serve returns")
}

// TestDetachStaysTheApplications: what the application detaches itself it gets.
func TestDetachStaysTheApplications(t *testing.T) {
	leaks(t)
	for _, handled := range []bool{true, false} {
		b := newBridge(t)
		got := make(chan io.ReadWriteCloser, 1)
		a := serve(t, b, func(_ *app, ev *evio.Events) {
			ev.Data = func(evio.Conn, []byte) ([]byte, evio.Action) { return nil, evio.Detach }
			if handled {
				ev.Detached = func(_ evio.Conn, rwc io.ReadWriteCloser) evio.Action {
					got <- rwc
					return evio.None
				}
			}
		})
		l := a.dial()
		fmt.Fprintln(l.c, "x")
		if handled {
			rwc := take(t, got, "Detached")
			io.WriteString(rwc, "mine\n")
			rwc.Close()
			if s, _ := l.r.ReadString('\n'); s != "mine\n" {
				t.Errorf("%q", s)
			}
		}
		if _, err := l.r.ReadByte(); err != io.EOF {
			t.Errorf("the end is %v", err)
		}
		a.stop()
		want := map[bool]string{true: "opened 0", false: "opened 0, closed 0"}[handled]
		if got := a.noted(); got != want {
			t.Errorf("the application saw %s, want %s", got, want)
		}
	}
}

// notEvio is a Conn that is not evio's.
type notEvio struct{}

func (notEvio) Context() any         { return nil }
func (notEvio) SetContext(any)       {}
func (notEvio) AddrIndex() int       { return 0 }
func (notEvio) LocalAddr() net.Addr  { return nil }
func (notEvio) RemoteAddr() net.Addr { return nil }
func (notEvio) Wake()                {}
