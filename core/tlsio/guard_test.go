package tlsio

import (
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// The tests here are about crypto/tls itself: what this package relies upon, and
// a new release of Go may change. Each says which file it concerns.

// scripted is a net.Conn that hands out what was put into in, then ErrAgain.
type scripted struct {
	in, out []byte
	piece   int // most bytes of a Read; 0: any
	reads   int
}

func (c *scripted) Read(p []byte) (int, error) {
	c.reads++
	if len(c.in) == 0 {
		return 0, ErrAgain
	}
	if c.piece > 0 {
		p = p[:min(len(p), c.piece)]
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *scripted) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	return len(p), nil
}

func (c *scripted) Close() error                     { return nil }
func (c *scripted) LocalAddr() net.Addr              { return noAddr{} }
func (c *scripted) RemoteAddr() net.Addr             { return noAddr{} }
func (c *scripted) SetDeadline(time.Time) error      { return nil }
func (c *scripted) SetReadDeadline(time.Time) error  { return nil }
func (c *scripted) SetWriteDeadline(time.Time) error { return nil }

// bridged is a net.Conn that forwards, so that what is below can be exchanged.
type bridged struct{ net.Conn }

// bare returns a tls.Conn of the standard library with its handshake done, whose
// net.Conn is the script, and the client that talks to it.
func bare(t *testing.T, u suite) (tc *tls.Conn, script *scripted, client *side) {
	t.Helper()
	sc, cc := u.configs()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	wire := &bridged{a}
	tc = tls.Server(wire, sc)
	client = newSide(t, Client(cc, Options{}))
	failed := make(chan error, 1)
	go func() { failed <- tc.Handshake() }()
	over(t, client, b)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	script = &scripted{}
	wire.Conn = script
	return tc, script, client
}

// over drives e's handshake over conn, until it is complete and the peer has
// nothing more to say.
func over(t *testing.T, e *side, conn net.Conn) {
	t.Helper()
	buf := make([]byte, 1<<15)
	e.service()
	for {
		if len(e.out) > 0 {
			if _, err := conn.Write(e.out); err != nil {
				t.Fatal(err)
			}
			e.out = nil
		}
		if e.done || e.err != nil {
			return
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		e.feed(buf[:n])
	}
}

func TestGuardTemporaryErrorsPass(t *testing.T) {
	for _, u := range suites() {
		tc, script, client := bare(t, u)
		buf := make([]byte, maxPlaintext)
		for range 3 {
			client.write([]byte("hello"))
			stream := client.out
			client.out = nil
			for i := range stream {
				if _, err := tc.Read(buf); err != ErrAgain {
					t.Fatalf("%s: a temporary error of net.Conn is not what tls.Conn.Read returns: %v; errors.go and wire.go rest on it", u.name, err)
				}
				script.in = stream[i : i+1]
			}
			if n, err := tc.Read(buf); string(buf[:n]) != "hello" || err != nil {
				t.Fatalf("%s: a temporary error stays with tls.Conn after the handshake: %q, %v; errors.go and wire.go rest on it", u.name, buf[:n], err)
			}
		}
	}
}

func TestGuardHandshakeErrorsStay(t *testing.T) {
	sc, cc := suites()[0].configs()
	script := &scripted{}
	tc := tls.Server(script, sc)
	if err := tc.Handshake(); err != ErrAgain {
		t.Fatalf("Handshake without input: %v; errors.go rests on ErrAgain", err)
	}
	script.in, _, _ = Client(cc, Options{}).Handshake(nil)
	if err := tc.Handshake(); err != ErrAgain {
		t.Fatalf("Handshake goes on after a temporary error (%v): runner.go, and its goroutines, are not needed any more", err)
	}
}

func TestGuardFields(t *testing.T) {
	for _, f := range []struct {
		name string
		ok   bool
	}{{"rawInput", rawInputOK}, {"input", inputOK}, {"hand", handOK}} {
		if !f.ok {
			t.Errorf("tls.Conn has no field %s of the type that lend.go knows: Options.Lend has no effect", f.name)
		}
	}
	if v := outErr(&tls.Conn{}); !v.IsValid() {
		t.Error("tls.Conn has no field out.err: alert.go cannot tell which alerts were sent")
	}
}

func TestGuardDryReadAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are not counted under the race detector")
	}
	tc, _, _ := bare(t, suites()[0])
	buf := make([]byte, maxPlaintext)
	if n := testing.AllocsPerRun(100, func() { tc.Read(buf) }); n > 1 {
		t.Errorf("a Read of tls.Conn without input allocates %v times, 1 was known: what data.go saves by looking at the record first has changed", n)
	}
}

// crypto/tls reads a record by its header's length, and not a byte more than it
// is given.
func TestGuardNoReadAhead(t *testing.T) {
	tc, script, client := bare(t, suites()[0])
	client.write(make([]byte, 10000))
	script.in, script.reads = client.out, 0
	buf := make([]byte, maxPlaintext)
	if n, err := tc.Read(buf); n != 10000 || err != nil || len(script.in) != 0 {
		t.Fatalf("Read: %d, %v", n, err)
	}
	if script.reads > 3 {
		t.Errorf("%d reads for one record: wire.go counts on crypto/tls asking for what is missing only", script.reads)
	}
}
