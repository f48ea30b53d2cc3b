package poll_test

import (
	"crypto/tls"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/tlsio"
	"anyloop/loops/poll"
)

// tcpClient connects to the engine's address.
func (b *tlsBench) tcpClient() int {
	b.t.Helper()
	var port int
	for _, c := range []byte(b.eng.VHost("default").Addr()[len("127.0.0.1:"):]) {
		port = 10*port + int(c-'0')
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.clients = append(b.clients, fd)
	return fd
}

// until turns the loop until cond holds: what is sent on TCP arrives in its own time.
func (b *tlsBench) until(what string, cond func(core.Stats) bool) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); !cond(b.eng.Stats()); {
		if time.Now().After(end) {
			b.t.Fatalf("never: %s; %+v", what, b.eng.Stats())
		}
		b.loop.Pass(0)
		runtime.Gosched()
	}
}

// readable reports whether the loop has something to do.
func (b *tlsBench) readable() bool {
	p := []unix.PollFd{{Fd: int32(b.loop.FD()), Events: unix.POLLIN}}
	n, _ := unix.Poll(p, 0)
	return n > 0
}

// arrived waits until n bytes wait unread at the engine's end of all connections: the
// client's own queue of what was not acknowledged is empty then.
func (b *tlsBench) arrived(fd int) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		left, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		if err != nil {
			b.t.Fatal(err)
		}
		if left == 0 {
			return
		}
		if time.Now().After(end) {
			b.t.Fatal("what was sent does not arrive")
		}
	}
}

func (b *tlsBench) hello() ([]byte, *tlsio.Session) {
	s := tlsio.Client(b.client, tlsio.Options{})
	out, _, err := s.Handshake(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return out, s
}

// half connects and sends n bytes of a hello, which the engine has looked at.
func (b *tlsBench) half(hello []byte) (fd int) {
	b.t.Helper()
	accepted := b.eng.Stats().Accepted
	fd = b.tcpClient()
	if len(hello) > 0 {
		b.send(fd, hello)
		b.arrived(fd)
	}
	b.until("the connection", func(st core.Stats) bool { return st.Accepted == accepted+1 })
	for range 3 {
		b.loop.Pass(0)
	}
	return fd
}

// TestHalfAHelloStaysInTheKernel: nothing of it is read and the loop sleeps; then the
// rest is noticed, and the handshake read whole.
func TestHalfAHelloStaysInTheKernel(t *testing.T) {
	b := tlsEngine(t, "127.0.0.1:0", core.TLS{MinVersion: tls.VersionTLS13}, longLimits)
	hello, s := b.hello()
	s.Abort()
	for i, n := range []int{1, 4, 5, 6, len(hello) / 2, len(hello) - 1} {
		fd := b.half(hello[:n])
		if b.readable() {
			t.Errorf("%d bytes of a hello keep the loop busy", n)
		}
		if st := b.eng.Stats(); st.Reads != 0 && i == 0 || st.Shaking != i {
			t.Errorf("%d bytes: %+v", n, st)
		}
		reads := b.eng.Stats().Reads
		b.send(fd, hello[n:])
		b.until("the handshake", func(st core.Stats) bool { return st.Shaking == i+1 })
		if st := b.eng.Stats(); st.Reads != reads+1 {
			t.Errorf("%d reads for a hello", st.Reads-reads)
		}
	}
}

// TestHalfAHelloEnds: FIN and RST behind a part of a hello are noticed at once.
func TestHalfAHelloEnds(t *testing.T) {
	b := tlsEngine(t, "127.0.0.1:0", core.TLS{}, longLimits)
	hello, s := b.hello()
	s.Abort()
	for _, n := range []int{0, 1, 5, len(hello) / 2} {
		unix.Shutdown(b.half(hello[:n]), unix.SHUT_WR)
		b.until("the end", func(st core.Stats) bool { return st.Conns == 0 })
		fd := b.half(hello[:n])
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(fd)
		b.clients = b.clients[:len(b.clients)-1]
		b.until("the reset", func(st core.Stats) bool { return st.Conns == 0 })
	}
}

// TestHalfAHelloHoldsNothing: beyond what a silent connection without TLS does, a slow
// hello costs half a KiB at most. The clients' ends cost no heap.
func TestHalfAHelloHoldsNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory counts; CI runs this once more without it")
	}
	const n = 400
	raiseFiles(t, 2*n+100)
	each := func(b *tlsBench, hello []byte) int64 {
		b.half(hello)
		before := heapInUse()
		for range n {
			b.half(hello)
		}
		return (heapInUse() - before) / n
	}
	b := tlsEngine(t, "127.0.0.1:0", core.TLS{}, longLimits)
	hello, s := b.hello()
	s.Abort()
	plain := newPlainTCP(t)
	silent, slow := each(plain, nil), each(b, hello[:len(hello)/2])
	t.Logf("heap of a silent connection without TLS %d bytes, of one with half a hello %d", silent, slow)
	if slow > silent+512 {
		t.Errorf("half a hello holds %d bytes, a silent connection %d", slow, silent)
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// newPlainTCP is an engine without TLS.
func newPlainTCP(t testing.TB) *tlsBench {
	t.Helper()
	back := poll.Backend(poll.Nested())
	eng, err := core.New(core.Config{Backend: back, Limits: longLimits, VHosts: []core.VHost{{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{
		Name: "echo", WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &tlsBench{bench: &bench{t: t, eng: eng, loop: back.Thread(0)}}
	t.Cleanup(b.stop)
	return b
}

// TestAdoptSocketWithPartOfAHello: what was read before is not looked for in the kernel.
func TestAdoptSocketWithPartOfAHello(t *testing.T) {
	lim := longLimits
	lim.ShakeBatch = -1
	b := tlsEngine(t, "", core.TLS{MinVersion: tls.VersionTLS13}, lim)
	b.loop.Pass(0)
	probe, s := b.hello()
	s.Abort()
	for _, early := range []int{0, 1, 5, 6, len(probe) / 2, len(probe)} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.clients = append(b.clients, fds[0])
		hello, s := b.hello()
		if _, err := b.eng.Thread(0).AdoptSocket(fds[1], b.eng.VHost("default"), "them", hello[:early]); err != nil {
			t.Fatal(err)
		}
		b.turnUntilQuiet()
		if early < len(hello) {
			b.send(fds[0], hello[early:])
			b.turnUntilQuiet()
		}
		b.feed(fds[0], s)
		b.shake(fds[0], s)
	}
}
