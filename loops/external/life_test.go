package external_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
	"anyloop/loops/external"
)

// ownLoop is an application's poll(2) loop with a descriptor of its own: a pipe
// that it writes to and reads from in every turn.
type ownLoop struct {
	t     *testing.T
	table map[int]loop.Events
	r, w  int
	mine  int // turns in which the pipe was ready
}

func newOwnLoop(t *testing.T) *ownLoop {
	t.Helper()
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	l := &ownLoop{t: t, table: map[int]loop.Events{p[0]: loop.In}, r: p[0], w: p[1]}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return l
}

func (l *ownLoop) backend() loop.Backend {
	return external.Backend(external.Hooks{
		Add:    func(fd int, ev loop.Events) error { l.table[fd] = ev; return nil },
		Change: func(fd int, _, next loop.Events) { l.table[fd] = next },
		Del:    func(fd int) { delete(l.table, fd) },
	})
}

// turn is one turn of the application's loop; seen is called for each descriptor
// of core's that was served.
func (l *ownLoop) turn(th *core.Thread, seen func()) {
	if _, err := unix.Write(l.w, []byte{1}); err != nil {
		l.t.Fatal(err)
	}
	var fds []unix.PollFd
	for fd, ev := range l.table {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: int16(ev)})
	}
	if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
		l.t.Fatal(err)
	}
	for i := range fds {
		p := loop.PollFD(fds[i])
		switch {
		case p.Revents == 0:
		case th.Hosted() && th.ServiceFD(&p):
			if seen != nil {
				seen()
			}
		case int(p.Fd) == l.r:
			var b [1]byte
			if n, err := unix.Read(l.r, b[:]); n != 1 || err != nil {
				l.t.Fatalf("the application's pipe: %d, %v", n, err)
			}
			l.mine++
		}
	}
	if th.Hosted() {
		th.ServicePending()
	}
}

// footprint is what a round may not leave behind.
type footprint struct{ files, goroutines, watched, headers, heap int }

func (l *ownLoop) footprint(eng *core.Engine) footprint {
	l.t.Helper()
	d, err := os.ReadDir("/dev/fd")
	if err != nil {
		l.t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{len(d), runtime.NumGoroutine(), len(l.table), eng.Stats().Headers, int(m.HeapAlloc)}
}

func (f footprint) check(t *testing.T, first footprint) {
	t.Helper()
	for end := time.Now().Add(time.Minute); f.goroutines > first.goroutines && time.Now().Before(end); runtime.Gosched() {
		f.goroutines = runtime.NumGoroutine()
	}
	// In round 10 a client that had told its end may have been on its way out.
	f.goroutines = max(f.goroutines, first.goroutines)
	if grown := f.heap - first.heap; grown > 64<<10 {
		t.Errorf("the live heap grew by %d bytes from round 10 to round 100", grown)
	}
	f.heap, first.heap = 0, 0
	if f != first {
		t.Errorf("after round 10: %+v, after round 100: %+v", first, f)
	}
}

func echoEngine(t *testing.T, b loop.Backend, conns int) *core.Engine {
	t.Helper()
	eng, err := core.New(core.Config{Backend: b, Limits: core.Limits{MaxConns: conns}, VHosts: []core.VHost{{
		Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "e", WS: core.OnMessage(
			func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return eng
}

// serve has a client make an echo while the application turns its loop.
func (l *ownLoop) serve(eng *core.Engine) {
	l.t.Helper()
	done := make(chan error, 1)
	addr := eng.VHost("default").Addr()
	go func() { done <- echoOnce(addr) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				l.t.Fatal(err)
			}
			// The connection has closed; core learns it in the next turns.
			for eng.Stats().Conns > 0 {
				l.turn(eng.Thread(0), nil)
			}
			return
		default:
			l.turn(eng.Thread(0), nil)
		}
	}
}

func echoOnce(addr string) error {
	c, err := client.Dial(addr, time.Minute)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Upgrade(""); err != nil {
		return err
	}
	if err := c.Text("round"); err != nil {
		return err
	}
	if _, p, err := c.Message(); err != nil || string(p) != "round" {
		return fmt.Errorf("the echo is %q: %w", p, err)
	}
	return nil
}

// TestHundredEnginesInOneLoop: attach, serve, end, a hundred times in one loop of
// an application, leave nothing behind.
func TestHundredEnginesInOneLoop(t *testing.T) {
	l := newOwnLoop(t)
	var first footprint
	for round := 1; round <= 100; round++ {
		eng := echoEngine(t, l.backend(), 0)
		l.serve(eng)
		eng.Stop(0)
		for eng.Thread(0).Hosted() {
			l.turn(eng.Thread(0), nil)
		}
		<-eng.Done()
		if len(l.table) != 1 {
			t.Fatalf("%d descriptors are left in the loop", len(l.table)-1)
		}
		switch round {
		case 10:
			first = l.footprint(eng)
		case 100:
			l.footprint(eng).check(t, first)
		}
	}
	if l.mine < 100 {
		t.Errorf("the application's own descriptor was ready in %d turns", l.mine)
	}
}

// TestHundredAttachmentsOfOneEngine: the same engine comes and goes.
func TestHundredAttachmentsOfOneEngine(t *testing.T) {
	l := newOwnLoop(t)
	eng := echoEngine(t, l.backend(), 0)
	var first footprint
	for round := 1; round <= 100; round++ {
		l.serve(eng)
		eng.Detach()
		if len(l.table) != 1 {
			t.Fatalf("%d descriptors are left in the loop", len(l.table)-1)
		}
		l.turn(eng.Thread(0), nil) // the loop goes on alone
		switch round {
		case 10:
			first = l.footprint(eng)
		case 100:
			l.footprint(eng).check(t, first)
		}
		if err := eng.Attach(l.backend()); err != nil {
			t.Fatal(err)
		}
	}
	eng.Stop(-1)
	for eng.Thread(0).Hosted() {
		l.turn(eng.Thread(0), nil)
	}
	<-eng.Done()
}

// TestFloodLeavesTheHostItsTurns: while a thousand WebSockets have more to send
// than is ever read, the application's own descriptor has its turn every time,
// and between two of its callbacks core serves each of its descriptors at most
// once, with at most two reads.
func TestFloodLeavesTheHostItsTurns(t *testing.T) {
	const turns = 4
	conns := 1000
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	conns = min(conns, int(r.Cur)/2-50)
	l := newOwnLoop(t)
	// The peers answer no Ping, and a slow machine needs longer than until the first.
	eng, err := core.New(core.Config{Backend: l.backend(), Limits: core.Limits{MaxConns: conns, PingInterval: -1, PongTimeout: -1}, VHosts: []core.VHost{{
		Addr: "unix:" + filepath.Join(t.TempDir(), "s"), Protocols: []core.Protocol{{Name: "sink", WS: func(*core.Conn) core.WSHandler { return sink{} }}}}}})
	if err != nil {
		t.Fatal(err)
	}
	th := eng.Thread(0)
	flood := l.peers(eng, conns)
	sent := make([]int, conns) // bytes of the burst
	for range turns {
		for i, fd := range flood {
			var err error
			for n := 0; n >= 0; { // until its socket is full
				n, err = unix.Write(fd, burst[sent[i]:])
				sent[i] = (sent[i] + max(n, 0)) % len(burst)
			}
			if err != unix.EAGAIN {
				t.Fatalf("connection %d: %v", i, err)
			}
		}
		served, before, mine := 0, th.Stats(), l.mine
		l.turn(th, func() { served++ })
		after := th.Stats()
		if l.mine != mine+1 {
			t.Fatal("the application's descriptor missed its turn")
		}
		if served != conns {
			t.Fatalf("%d of %d descriptors served in one turn; %d connections\nbefore: %+v\nafter:  %+v", served, conns, after.Conns, before, after)
		}
		if n := after.Reads - before.Reads; n > uint64(2*served) {
			t.Fatalf("%d reads for %d descriptors in one turn", n, served)
		}
		if after.Messages == before.Messages {
			t.Fatal("there is no flood")
		}
	}
	eng.Stop(-1)
	for th.Hosted() {
		l.turn(th, nil)
	}
	<-eng.Done()
}

type sink struct{}

func (sink) Receive(*core.Conn, core.Fragment) error   { return nil }
func (sink) Writable(*core.Conn, *core.WSWriter) error { return nil }

var burst = bytes.Repeat(client.Append(nil, ws.Binary, true, make([]byte, 1024)), 8)

// peers opens WebSockets from the goroutine that turns the loop.
func (l *ownLoop) peers(eng *core.Engine, n int) (fds []int) {
	l.t.Helper()
	path := strings.TrimPrefix(eng.VHost("default").Addr(), "unix:")
	for range n {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
		if err == nil {
			_, err = unix.Write(fd, []byte("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"))
		}
		if err == nil {
			err = unix.SetNonblock(fd, true)
		}
		if err != nil {
			l.t.Fatal(err)
		}
		fds = append(fds, fd)
		l.t.Cleanup(func() { unix.Close(fd) })
		var buf [512]byte
		for {
			if n, err := unix.Read(fd, buf[:]); err == nil {
				if !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 101")) {
					l.t.Fatalf("upgrade: %q", buf[:n])
				}
				break
			}
			l.turn(eng.Thread(0), nil)
		}
	}
	return fds
}
