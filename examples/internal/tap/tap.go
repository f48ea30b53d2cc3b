// Package tap stands between a WebSocket client and its server, passes every byte
// on as it is, and tells afterwards what was on the wire: what the handshake
// agreed upon, the messages and control frames of each side, and which of them
// were compressed. It is for tests, and reads with the standard library alone:
// nothing of the library under test judges itself.
package tap

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// bound is a limit on a hang, far above what anything takes.
const bound = 60 * time.Second

// Tap is a TCP proxy that keeps what passes.
type Tap struct {
	target string
	ln     net.Listener
	ended  chan *Record
	conns  sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // nil once the test has ended
}

// New listens on a free port of the loopback and connects each client to target,
// a host:port. It ends with the test, and then so do its connections.
func New(t testing.TB, target string) *Tap {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Tap{target: target, ln: ln, ended: make(chan *Record, 64), open: map[net.Conn]bool{}}
	p.conns.Add(1)
	go p.accept()
	t.Cleanup(p.close)
	return p
}

// Addr returns where clients connect to: host:port. Any goroutine.
func (p *Tap) Addr() string { return p.ln.Addr().String() }

// Next waits for a connection to end on both sides, and returns it. A connection
// whose wire breaks a rule of the protocol fails the test.
func (p *Tap) Next(t testing.TB) *Record {
	t.Helper()
	select {
	case r := <-p.ended:
		if r.err != nil {
			t.Fatalf("on the wire: %v\n%s", r.err, r)
		}
		return r
	case <-time.After(bound):
		t.Fatal("no connection has ended on both sides")
	}
	return nil
}

func (p *Tap) close() {
	p.ln.Close()
	p.mu.Lock()
	for c := range p.open {
		c.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.conns.Wait()
}

// keep notes a connection that close is to close; false if that has happened.
func (p *Tap) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		c.Close()
		return false
	}
	p.open[c] = true
	return true
}

func (p *Tap) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Close()
	delete(p.open, c)
}

func (p *Tap) accept() {
	defer p.conns.Done()
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.conns.Add(1)
		go p.serve(c)
	}
}

// serve takes one connection from its beginning to its end on both sides.
func (p *Tap) serve(client net.Conn) {
	defer p.conns.Done()
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	server, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	var up, down []byte
	var both sync.WaitGroup
	both.Go(func() { up = pass(server, client) })
	both.Go(func() { down = pass(client, server) })
	both.Wait()
	if len(up) == 0 {
		return // somebody who only looked whether the port is open
	}
	select {
	case p.ended <- read(up, down):
	default: // a client that connects again and again, with nobody asking
	}
}

// pass copies until the end of from's stream, which becomes to's; what ends in
// any other way ends both.
func pass(to, from net.Conn) []byte {
	var seen []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		seen = append(seen, buf[:n]...)
		if _, werr := to.Write(buf[:n]); werr != nil && err == nil {
			// What it sent may still be on its way: the other direction
			// says when it is over.
			io.Copy(io.Discard, from)
			return seen
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			to.(*net.TCPConn).CloseWrite()
			return seen
		default:
			to.Close()
			return seen
		}
	}
}
