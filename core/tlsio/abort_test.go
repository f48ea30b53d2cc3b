package tlsio

import (
	"crypto/tls"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// upTo runs a handshake until n pieces have been delivered, and reports whether
// it is over by then.
func upTo(server, client *side, n int, piece chop) (over bool) {
	client.service()
	for len(server.out)+len(client.out) > 0 {
		for _, d := range [][2]*side{{client, server}, {server, client}} {
			b := d[0].out
			d[0].out = nil
			for len(b) > 0 {
				if n--; n < 0 {
					d[0].out = b // the rest is still to be delivered
					return false
				}
				k := piece(0, len(b))
				d[1].feed(b[:k])
				b = b[k:]
			}
		}
	}
	return true
}

// TestAbortAnywhere: at every suspension point, between all of them, and when it
// is over.
func TestAbortAnywhere(t *testing.T) {
	base := runtime.NumGoroutine()
	for _, u := range []suite{suites()[0], suites()[2]} {
		for _, m := range modes {
			over := false
			for n := 0; !over; n++ {
				server, client := pair(t, u, m)
				over = upTo(server, client, n, func(_, n int) int { return min(n, 100) })
				for _, e := range []*side{server, client} {
					e.s.Abort()
					e.s.Abort()
					if out, step, err := e.s.Handshake(nil); step != Failed || err != ErrAborted || len(out) > 0 {
						t.Fatalf("Handshake: step %d, %v, %d bytes", step, err, len(out))
					}
					if out, n, err := e.s.Read(nil, e.p); n != 0 || err != ErrAborted || len(out) > 0 {
						t.Fatalf("Read: %d, %v", n, err)
					}
					if out, err := e.s.Write(nil, e.p); err != ErrAborted || len(out) > 0 {
						t.Fatalf("Write: %v", err)
					}
					e.s.Feed([]byte("x"))
					e.s.Release()
					if len(e.s.CloseNotify(nil)) > 0 || e.s.Ready() || e.s.Buffered() > 0 || e.s.Job() != nil || e.s.State().HandshakeComplete {
						t.Fatal("something is left after Abort")
					}
				}
			}
		}
	}
	quiet(t, base)
}

// A thousand in all, each mode its part, suspended at once.
func TestThousandAborted(t *testing.T) {
	base := resting()
	for _, m := range modes {
		var all []*side
		for range 125 {
			server, client := pair(t, suites()[0], m)
			upTo(server, client, 1, whole)
			all = append(all, server, client)
		}
		for _, e := range all {
			if e.s.run == nil {
				t.Fatal("a handshake is not suspended")
			}
			e.s.Abort()
		}
		quiet(t, base)
	}
}

// A server that has heard nothing, or half a hello, holds no goroutine.
func TestHalfAHelloHoldsNoGoroutine(t *testing.T) {
	for _, m := range modes {
		base := runtime.NumGoroutine()
		server, client := pair(t, suites()[0], m)
		client.service()
		server.service()
		server.feed(client.out[:len(client.out)-1])
		if n := runtime.NumGoroutine(); n > base+1 || server.s.tc != nil {
			t.Errorf("%d goroutines, %d before; tls.Conn %v", n, base, server.s.tc != nil)
		}
		client.s.Abort()
	}
}

// Abort in a callback takes effect when that has returned; nothing is sent.
func TestAbortInCallback(t *testing.T) {
	base := runtime.NumGoroutine()
	for name, hook := range map[string]func(sc *tls.Config, abort func()){
		"first": func(sc *tls.Config, abort func()) {
			sc.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { abort(); return nil, nil }
		},
		"last": func(sc *tls.Config, abort func()) {
			sc.VerifyConnection = func(tls.ConnectionState) error { abort(); return nil }
		},
		"closed": func(sc *tls.Config, abort func()) {
			sc.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { return nil, h.Conn.Close() }
		},
		"awaiting": func(sc *tls.Config, abort func()) {
			sc.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				abort()
				return nil, From(h.Context()).Await(func() { panic("it runs") })
			}
		},
	} {
		for _, u := range []suite{suites()[0], suites()[2]} {
			for _, m := range modes {
				t.Run(name+"/"+u.name+"/"+m.String(), func(t *testing.T) {
					sc, cc := u.configs()
					var server *side
					aborted := false
					hook(sc, func() { server.s.Abort(); aborted = true })
					server = newSide(t, Server(sc, m.options()))
					client := newSide(t, Client(cc, m.options()))
					sent := 0
					exchange(server, client, whole, func(_, n int) int { sent += n; return n })
					if server.err != ErrAborted || server.done || !aborted && name != "closed" {
						t.Errorf("%v, complete %v", server.err, server.done)
					}
					if sent > 0 && name != "last" {
						t.Errorf("%d bytes were sent after Abort", sent)
					}
					client.s.Abort()
				})
			}
		}
	}
	quiet(t, base)
}

// Abort in a callback of Read; no job runs after it.
func TestAbortInRead(t *testing.T) {
	for _, m := range modes {
		sc, cc := suites()[0].configs()
		var client *side
		cc.ClientSessionCache = cacheFunc(func() {
			client.s.Abort()
			if err := client.s.Await(func() { t.Error("a job runs") }); err != ErrAborted {
				t.Errorf("Await: %v", err)
			}
		})
		server := newSide(t, Server(sc, m.options()))
		client = newSide(t, Client(cc, m.options()))
		exchange(server, client, whole, whole)
		if !client.done || client.err != ErrAborted {
			t.Errorf("complete %v, %v", client.done, client.err)
		}
	}
}

// cacheFunc is a session cache that calls a function for each ticket.
type cacheFunc func()

func (cacheFunc) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (f cacheFunc) Put(string, *tls.ClientSessionState)      { f() }

func TestPanicInCallbacks(t *testing.T) {
	base := runtime.NumGoroutine()
	cause := errors.New("oh")
	for _, m := range modes {
		sc, cc := suites()[0].configs()
		sc.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { panic(cause) }
		server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
		exchange(server, client, whole, whole)
		var p *PanicError
		if !errors.As(server.err, &p) || !errors.Is(server.err, cause) || !strings.Contains(string(p.Stack), "TestPanicInCallbacks") {
			t.Errorf("%v", server.err)
		}
		client.s.Abort()

		// In Read, after the handshake.
		sc.GetConfigForClient = nil
		cc.ClientSessionCache = cacheFunc(func() { panic("ah") })
		server, client = newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
		exchange(server, client, whole, whole)
		if p = nil; !client.done || !errors.As(client.err, &p) || p.Value != "ah" || p.Unwrap() != nil {
			t.Errorf("complete %v, %v", client.done, client.err)
		}

		// While Abort unwinds the handshake.
		cc.ClientSessionCache = nil
		sc.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			defer func() { panic("unwinding") }()
			return nil, From(h.Context()).Await(func() {})
		}
		server, client = newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
		server.async = func(func()) {}
		exchange(server, client, whole, whole)
		server.s.Abort()
		if _, _, err := server.s.Handshake(nil); err != ErrAborted || server.jobs == 0 {
			t.Errorf("%v", err)
		}
		client.s.Abort()
	}
	quiet(t, base)
}

// runtime.Goexit in a callback ends a handshake in lock step, not its caller.
func TestGoexitInCallback(t *testing.T) {
	base := runtime.NumGoroutine()
	sc, cc := suites()[0].configs()
	sc.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		runtime.Goexit()
		return nil, nil
	}
	server, client := newSide(t, Server(sc, Options{})), newSide(t, Client(cc, Options{}))
	exchange(server, client, whole, whole)
	if !errors.Is(server.err, ErrGoexit) {
		t.Errorf("%v", server.err)
	}
	client.s.Abort()
	quiet(t, base)
}

// lockedThread runs f on a goroutine that is locked to its thread.
func lockedThread(f func()) {
	wait(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	})
}

// TestLeave: a handshake that began as a coroutine goes on, or is aborted, from a
// thread-locked goroutine. Without Leave the runtime would end the process.
func TestLeave(t *testing.T) {
	base := runtime.NumGoroutine()
	for _, u := range []suite{suites()[0], suites()[2]} {
		for n := range 40 {
			for _, abort := range []bool{false, true} {
				server, client := pair(t, u, mode{true, true})
				upTo(server, client, n, func(_, n int) int { return min(n, 100) })
				server.s.Leave()
				client.s.Leave()
				if abort {
					lockedThread(func() { server.s.Abort(); client.s.Abort() })
					continue
				}
				lockedThread(func() { exchange(server, client, single, single) })
				server.must(t)
				client.must(t)
			}
		}
	}
	quiet(t, base)
}
