package extpoll

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/ws"
)

// echoes is an echo engine in a set that the test turns, with clients on unix
// sockets, where a write has arrived when it returns: so that system calls can be
// counted exactly.
type echoes struct {
	t       testing.TB
	set     *Set
	eng     *core.Engine
	clients []int
	buf     [1 << 16]byte
}

var (
	message = ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, 4}}, bytes.Repeat([]byte("m"), 64))
	echoed  = len(ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, bytes.Repeat([]byte("m"), 64)))
)

func newEchoes(t testing.TB, conns int) *echoes {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	e := &echoes{t: t, set: New()}
	var err error
	e.eng, err = core.New(core.Config{Backend: e.set.Backend(), VHosts: []core.VHost{{Addr: "unix:" + path, Protocols: []core.Protocol{{
		Name: "echo", WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range e.clients {
			unix.Close(fd)
		}
		e.eng.Stop(-1)
		for e.eng.Thread(0).Hosted() {
			e.turn(-1)
		}
		<-e.eng.Done()
	})
	for range conns {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
		if err != nil {
			t.Fatal(err)
		}
		e.clients = append(e.clients, fd)
		unix.Write(fd, []byte("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"))
		for n := 0; n <= 0; {
			e.turn(-1)
			n, _, _ = unix.Recvfrom(fd, e.buf[:], unix.MSG_DONTWAIT)
		}
	}
	return e
}

func (e *echoes) turn(d time.Duration) {
	if err := e.set.Turn(d, func(p *loop.PollFD) { e.t.Errorf("%+v is not core's", *p) }); err != nil {
		e.t.Fatal(err)
	}
}

// round echoes a burst on every connection, in one turn.
func (e *echoes) round(burst []byte) {
	for _, fd := range e.clients {
		unix.Write(fd, burst)
	}
	e.turn(-1)
	for _, fd := range e.clients {
		if n, _, err := unix.Recvfrom(fd, e.buf[:], unix.MSG_DONTWAIT); n != len(burst)/len(message)*echoed {
			e.t.Fatalf("%d bytes came back, %v", n, err)
		}
	}
}

// TestSystemCallsPerMessage is the golden table: connections, messages at once on
// each, then what a round of all costs, which is what a bare poll(2) echo makes:
// one wait, and one read and one write for each connection.
func TestSystemCallsPerMessage(t *testing.T) {
	want := strings.TrimSpace(`
conns burst reads writes waits changes
    1     1     1      1     1       0
    1    16     1      1     1       0
   64     1    64     64     1       0
   64    16    64     64     1       0
`)
	got := "conns burst reads writes waits changes\n"
	for _, conns := range []int{1, 64} {
		e := newEchoes(t, conns)
		for _, n := range []int{1, 16} {
			burst := bytes.Repeat(message, n)
			e.round(burst) // whatever happens only once
			b, waits := e.eng.Stats(), e.set.asks
			e.round(burst)
			a := e.eng.Stats()
			got += fmt.Sprintf("%5d %5d %5d %6d %5d %7d\n", conns, n, a.Reads-b.Reads, a.Writes-b.Writes, e.set.asks-waits,
				a.Changes-b.Changes+a.Adds-b.Adds+a.Dels-b.Dels)
		}
	}
	if strings.TrimSpace(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestEchoAllocatesNothing: neither one message nor sixteen together.
func TestEchoAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; CI runs this once more without it")
	}
	e := newEchoes(t, 1)
	for _, n := range []int{1, 16} {
		burst := bytes.Repeat(message, n)
		if n := testing.AllocsPerRun(200, func() {
			unix.Write(e.clients[0], burst)
			e.set.Wait(-1)
			e.set.Each(nil)
			e.set.Pending()
			unix.Read(e.clients[0], e.buf[:])
		}); n != 0 {
			t.Errorf("%d bytes: %v allocations", len(burst), n)
		}
	}
}

func ends(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

// TestABusySetIsAskedBriefly: after a wait that has found something, the system is
// asked for a moment before the wait in which other goroutines have the processor;
// after one that has not, at once.
func TestABusySetIsAskedBriefly(t *testing.T) {
	r, w := ends(t)
	s := New()
	if err := s.Add(r, loop.In); err != nil {
		t.Fatal(err)
	}
	asks := func(d time.Duration) uint64 {
		before := s.asks
		if _, err := s.Wait(d); err != nil {
			t.Fatal(err)
		}
		return s.asks - before
	}
	unix.Write(w, []byte("x"))
	steps := []struct {
		what string
		do   func()
		d    time.Duration
		want uint64
	}{
		{"ready", func() {}, -1, 1},
		{"ready again", func() {}, -1, 1},
		{"read, not asked to wait", func() { unix.Read(r, make([]byte, 1)) }, 0, 1},
		{"quiet", func() {}, time.Millisecond, 1},
		{"ready after that", func() { unix.Write(w, []byte("x")) }, -1, 1},
		{"read", func() { unix.Read(r, make([]byte, 1)) }, time.Millisecond, 2},
		{"quiet again", func() {}, time.Millisecond, 1},
	}
	for _, step := range steps {
		if step.do(); asks(step.d) != step.want {
			t.Errorf("%s: not asked %d times", step.what, step.want)
		}
	}
}

// TestMissesMakeBriefWaitsRare: a set whose peers are slow hardly waits briefly,
// and comes back to it when they are not.
func TestMissesMakeBriefWaitsRare(t *testing.T) {
	r, w := ends(t)
	fds := []unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}}
	var b brief
	tries := 0
	for range 3 * maxPenalty {
		if b.skip == 0 {
			tries++
		}
		if n := b.wait(fds, true); n != 0 {
			t.Fatalf("%d ready", n)
		}
	}
	if b.penalty != maxPenalty || tries > 20 {
		t.Errorf("penalty %d after %d tries", b.penalty, tries)
	}
	unix.Write(w, []byte("x"))
	for range 2 * maxPenalty {
		if n := b.wait(fds, true); n != 1 || fds[0].Revents != unix.POLLIN {
			t.Fatalf("%d ready: %+v", n, fds)
		}
	}
	if b.penalty != 0 || b.skip != 0 {
		t.Errorf("penalty %d, skip %d, after that many hits", b.penalty, b.skip)
	}
}
