package poll_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/ws"
	"anyloop/loops/poll"
)

// bench is an echo engine on a nested loop that the test turns itself, with
// clients on unix sockets, where a write has arrived when it returns: so that
// system calls can be counted exactly.
type bench struct {
	t       testing.TB
	eng     *core.Engine
	loop    *poll.Loop
	clients []int
	buf     [1 << 16]byte
}

// longLimits are on, and do not come to pass in a test, however slow the machine is.
var longLimits = core.Limits{HandshakeTimeout: time.Hour, TLSTimeout: time.Hour, HeaderIdleTimeout: time.Hour,
	KeepAliveTimeout: time.Hour, ContentTimeout: time.Hour, PingInterval: time.Hour, PongTimeout: 2 * time.Hour}

func newBench(t testing.TB, conns int) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	back := poll.Backend(poll.Nested())
	lim := longLimits
	lim.AcceptBatch = 10
	eng, err := core.New(core.Config{Backend: back, Limits: lim, VHosts: []core.VHost{{Addr: "unix:" + path, Protocols: []core.Protocol{{
		Name: "echo", WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, eng: eng, loop: back.Thread(0)}
	t.Cleanup(b.stop)
	for range conns {
		b.upgrade(b.connect(path))
	}
	return b
}

// connect adds a client.
func (b *bench) connect(path string) int {
	b.t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.clients = append(b.clients, fd)
	return fd
}

var (
	upgradeRequest = []byte("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	upgradeAnswer = []byte("HTTP/1.1 101")
)

// upgrade makes a WebSocket of a connected client.
func (b *bench) upgrade(fd int) {
	b.send(fd, upgradeRequest)
	b.turnUntilQuiet()
	if n := b.recv(fd); !bytes.HasPrefix(b.buf[:n], upgradeAnswer) {
		b.t.Fatalf("upgrade: %q", b.buf[:n])
	}
}

func (b *bench) stop() {
	for _, fd := range b.clients {
		unix.Close(fd)
	}
	b.clients = nil
	b.eng.Stop(-1)
	for b.eng.Thread(0).Hosted() {
		b.loop.Pass(0)
	}
	<-b.eng.Done()
}

func (b *bench) send(fd int, p []byte) {
	if n, err := unix.Write(fd, p); err != nil || n != len(p) {
		b.t.Fatalf("write: %d %v", n, err)
	}
}

func (b *bench) recv(fd int) int {
	n, err := unix.Read(fd, b.buf[:])
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// turnUntilQuiet makes passes until the set's descriptor is not readable.
func (b *bench) turnUntilQuiet() {
	for {
		p := []unix.PollFd{{Fd: int32(b.loop.FD()), Events: unix.POLLIN}}
		if n, _ := unix.Poll(p, 0); n == 0 {
			return
		}
		if _, err := b.loop.Pass(0); err != nil {
			b.t.Fatal(err)
		}
	}
}

var (
	message = ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, 4}}, bytes.Repeat([]byte("m"), 64))
	echoed  = ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, bytes.Repeat([]byte("m"), 64))
)

// round sends count messages on every connection, turns the loop until all are
// served, and reads the echoes.
func (b *bench) round(count int) {
	for _, fd := range b.clients {
		b.send(fd, bytes.Repeat(message, count))
	}
	for served := 0; served < len(b.clients); {
		n, err := b.loop.Pass(0)
		if err != nil {
			b.t.Fatal(err)
		}
		served += n
	}
	for _, fd := range b.clients {
		if n := b.recv(fd); n != count*len(echoed) {
			b.t.Fatalf("%d bytes came back, want %d", n, count*len(echoed))
		}
	}
}

// TestSystemCallsPerMessage is the golden table: connections, messages at once
// on each, then reads, writes, waits and interest changes for the whole round.
func TestSystemCallsPerMessage(t *testing.T) {
	want := strings.TrimSpace(`
conns burst reads writes waits changes
    1     1     1      1     1       0
    1    16     1      1     1       0
   16     1    16     16     1       0
   16    16    16     16     1       0
 1000     1  1000   1000     4       0
 1000    16  1000   1000     4       0
`)
	got := "conns burst reads writes waits changes\n"
	for _, conns := range []int{1, 16, 1000} {
		if conns == 1000 {
			raiseFiles(t, 2200)
		}
		b := newBench(t, conns)
		for _, burst := range []int{1, 16} {
			b.round(burst) // whatever happens only once
			before, waits := b.eng.Stats(), b.loop.Waits()
			b.round(burst)
			after := b.eng.Stats()
			got += fmt.Sprintf("%5d %5d %5d %6d %5d %7d\n", conns, burst, after.Reads-before.Reads,
				after.Writes-before.Writes, b.loop.Waits()-waits, after.Changes-before.Changes)
		}
	}
	if strings.TrimSpace(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// raiseFiles raises the open-file limit to what is allowed, and skips by name if
// that is less than n.
func raiseFiles(t testing.TB, n int) {
	t.Helper()
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	r.Cur = r.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	if int64(r.Max) >= 0 && int64(r.Max) < int64(n) { // negative: no limit
		t.Skipf("the open-file limit is %d, this needs %d", r.Max, n)
	}
}

// TestEchoAllocatesNothing: steady 64-byte echoes cost no allocation.
func TestEchoAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; CI runs this once more without it")
	}
	b := newBench(t, 1)
	fd := b.clients[0]
	burst := bytes.Repeat(message, 16)
	for name, msg := range map[string][]byte{"one": message, "sixteen together": burst} {
		if n := testing.AllocsPerRun(200, func() {
			unix.Write(fd, msg)
			b.loop.Pass(0)
			unix.Read(fd, b.buf[:])
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestFDIsReadableExactlyWhenThereIsWork: for the loop that watches a nested one.
func TestFDIsReadableExactlyWhenThereIsWork(t *testing.T) {
	b := newBench(t, 2)
	readable := func() bool {
		p := []unix.PollFd{{Fd: int32(b.loop.FD()), Events: unix.POLLIN}}
		n, _ := unix.Poll(p, 0)
		return n > 0
	}
	if readable() {
		t.Error("readable with nothing to do")
	}
	b.send(b.clients[0], message)
	if !readable() {
		t.Error("not readable with a message waiting")
	}
	b.turnUntilQuiet()
	b.eng.Wake()
	if !readable() {
		t.Error("not readable after a wake-up")
	}
	b.turnUntilQuiet()
	b.recv(b.clients[0])
	// Work asked for between passes, without any descriptor.
	b.eng.RequestWritable("echo")
	if !readable() {
		t.Error("not readable with a Writable owed")
	}
	b.turnUntilQuiet()
	if readable() {
		t.Error("still readable")
	}
}

func TestPassIsBounded(t *testing.T) {
	b := newBench(t, 10)
	for _, fd := range b.clients {
		b.send(fd, message)
	}
	total := 0
	for range 4 {
		n, err := b.loop.Pass(3)
		if err != nil || n > 3 {
			t.Fatalf("Pass(3) = %d, %v", n, err)
		}
		total += n
	}
	if total != 10 {
		t.Errorf("%d events in 4 passes", total)
	}
}

// TestNothingIsLeftOpen: engines come and go without leaving descriptors.
func TestNothingIsLeftOpen(t *testing.T) {
	count := func() int {
		ents, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc/self/fd")
		}
		return len(ents)
	}
	run := func(opts ...poll.Option) {
		back := poll.Backend(opts...)
		eng, err := core.New(core.Config{Backend: back, VHosts: []core.VHost{{Addr: "127.0.0.1:0"}}})
		if err != nil {
			t.Fatal(err)
		}
		eng.Stop(0)
		if back.Info().Foreign {
			for eng.Thread(0).Hosted() {
				back.Thread(0).Pass(0)
			}
		} else if err := eng.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-eng.Done()
	}
	run()
	before := count()
	for range 100 {
		run()
		run(poll.WithPoller(poll.Poll2))
		run(poll.Nested())
	}
	if after := count(); after > before+2 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestUnknownPoller(t *testing.T) {
	for _, opts := range [][]poll.Option{{poll.WithPoller("none")}, {poll.WithPoller(poll.Poll2), poll.Nested()}} {
		if _, err := core.New(core.Config{Backend: poll.Backend(opts...)}); err == nil {
			t.Error("accepted")
		} else {
			t.Log(err)
		}
	}
}

func Example() {
	back := poll.Backend(poll.Nested())
	eng, err := core.New(core.Config{Backend: back})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Any loop that can watch one descriptor hosts the engine: watch
	// back.Thread(0).FD() for reading, and call Pass when it is readable.
	eng.Post(func() { fmt.Println("on the loop"); eng.Stop(0) })
	for eng.Thread(0).Hosted() {
		unix.Poll([]unix.PollFd{{Fd: int32(back.Thread(0).FD()), Events: int16(loop.In)}}, -1)
		back.Thread(0).Pass(64)
	}
	// Output: on the loop
}
