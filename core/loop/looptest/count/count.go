//go:build linux

// Package count tells what a server in this process spends on messages: calls of
// read(2) and write(2), and allocations. It knows no clock.
package count

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/ws"
)

// Peers are connected clients on blocking descriptors that Go's poller does not
// know: each costs one write and one read per burst.
type Peers struct {
	t     testing.TB
	fds   []int
	reads uint64
	buf   [1 << 16]byte
}

// Message is a masked message of 64 bytes; its echo has Echoed bytes.
var (
	Message = ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, 4}}, bytes.Repeat([]byte("m"), 64))
	Echoed  = len(ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, bytes.Repeat([]byte("m"), 64)))
)

// bound is on a hang.
const bound = time.Minute

const upgradeRequest = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// NewPeers connects n peers, which are closed at the test's end, as WebSockets or
// without a word.
func NewPeers(t testing.TB, network, addr string, websocket bool, n int) *Peers {
	t.Helper()
	p := &Peers{t: t}
	t.Cleanup(p.Close)
	for range n {
		c, err := net.DialTimeout(network, addr, bound)
		if err != nil {
			t.Fatal(err)
		}
		f, err := c.(interface{ File() (*os.File, error) }).File()
		c.Close()
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Dup(int(f.Fd()))
		f.Close()
		if err == nil {
			err = unix.SetNonblock(fd, false)
		}
		bound := unix.NsecToTimeval(bound.Nanoseconds())
		if err == nil {
			err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &bound)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.fds = append(p.fds, fd)
		if !websocket {
			continue
		}
		unix.Write(fd, []byte(upgradeRequest))
		if n, err := p.read(fd); err != nil || !bytes.HasPrefix(p.buf[:n], []byte("HTTP/1.1 101")) {
			t.Fatalf("upgrade: %q %v", p.buf[:max(n, 0)], err)
		}
	}
	return p
}

// Close closes them.
func (p *Peers) Close() {
	for _, fd := range p.fds {
		unix.Close(fd)
	}
	p.fds = nil
}

func (p *Peers) send(burst []byte) {
	for _, fd := range p.fds {
		if n, err := unix.Write(fd, burst); n != len(burst) {
			p.t.Fatal(n, err)
		}
	}
}

func (p *Peers) read(fd int) (n int, err error) {
	for err = unix.EINTR; err == unix.EINTR; p.reads++ {
		n, err = unix.Read(fd, p.buf[:])
	}
	return n, err
}

// receive reads an answer of so many bytes on each.
func (p *Peers) receive(back int) {
	for _, fd := range p.fds {
		for got := 0; got < back; {
			n, err := p.read(fd)
			if n <= 0 {
				p.t.Fatal(n, err)
			}
			got += n
		}
	}
}

// ioCalls returns how often this process has called read(2) and write(2) and their
// like.
func ioCalls(t testing.TB) (reads, writes uint64) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	for _, f := range []struct {
		name string
		n    *uint64
	}{{"syscr: ", &reads}, {"syscw: ", &writes}} {
		_, rest, _ := bytes.Cut(b, []byte(f.name))
		if _, err := fmt.Sscan(string(rest), f.n); err != nil {
			t.Skip("system calls are not counted here")
		}
	}
	return reads, writes
}

// Cost is what a server has spent on some rounds.
type Cost struct{ Reads, Writes, Mallocs uint64 }

// WarmUp is how many rounds come before those that count.
const WarmUp = 3

// Spend runs rounds in which every peer sends a burst and gets an answer of back
// bytes, and returns what the server has spent on all of them. before and after, if
// not nil, are called around the sending.
func (p *Peers) Spend(rounds int, burst []byte, back int, before, after func()) (c Cost) {
	p.t.Helper()
	var m0, m1 runtime.MemStats
	for i := range rounds + WarmUp {
		if i == WarmUp {
			runtime.GC()
			runtime.ReadMemStats(&m0)
			p.reads = 0
			c.Reads, c.Writes = ioCalls(p.t)
		}
		if before != nil {
			before()
		}
		p.send(burst)
		if after != nil {
			after()
		}
		p.receive(back)
	}
	r, w := ioCalls(p.t)
	runtime.ReadMemStats(&m1)
	return Cost{r - c.Reads - p.reads, w - c.Writes - uint64(rounds*len(p.fds)), m1.Mallocs - m0.Mallocs}
}

// Hold keeps a service thread in a callback, and with it the engine's loop, until
// release is called.
func Hold(t testing.TB, eng *core.Engine) (release func()) {
	t.Helper()
	in, out := make(chan struct{}), make(chan struct{})
	if err := eng.Post(func() { close(in); <-out }); err != nil {
		t.Fatal(err)
	}
	<-in
	return func() { close(out) }
}

// Inside runs f on the service thread, in a turn after what has been answered.
func Inside(t testing.TB, eng *core.Engine, f func()) {
	t.Helper()
	done := make(chan struct{})
	if err := eng.Post(func() { f(); close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
}

// Calls compares how often something was called with what each round should make.
// The little that a process does besides, a collection now and then, is let pass.
func Calls(t testing.TB, what string, got uint64, rounds, each int) {
	t.Helper()
	if exact := uint64(rounds * each); got < exact || got > exact+uint64(rounds/2) {
		t.Errorf("%s: %d calls in %d rounds, want %d each", what, got, rounds, each)
	}
}

// SameInterest fails if a loop was told of an interest between two looks.
func SameInterest(t testing.TB, before, after core.Stats) {
	t.Helper()
	if n := after.Adds + after.Changes + after.Dels - before.Adds - before.Changes - before.Dels; n != 0 {
		t.Errorf("%d changes of interest", n)
	}
}
