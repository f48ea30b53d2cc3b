package poll_test

import (
	"bytes"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/loops/poll"
)

// connectUnix connects to the unix socket at path.
func connectUnix(t testing.TB, path string) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// path returns where the bench listens.
func (b *bench) path() string {
	addr, err := unix.Getpeername(b.clients[0])
	if err != nil {
		b.t.Fatal(err)
	}
	return addr.(*unix.SockaddrUnix).Name
}

// crowd opens n more WebSockets, which are idle after one echo each.
func (b *bench) crowd(n int) {
	b.t.Helper()
	path := b.path()
	for n > 0 {
		k := min(n, 64)
		n -= k
		from := len(b.clients)
		for range k {
			fd := connectUnix(b.t, path)
			b.send(fd, upgradeRequest)
			b.clients = append(b.clients, fd)
		}
		b.turnUntilQuiet()
		for _, fd := range b.clients[from:] {
			if n := b.recv(fd); !bytes.HasPrefix(b.buf[:n], upgradeAnswer) {
				b.t.Fatalf("upgrade: %q", b.buf[:n])
			}
			b.send(fd, message)
		}
		b.turnUntilQuiet()
		for _, fd := range b.clients[from:] {
			if n := b.recv(fd); n != len(echoed) {
				b.t.Fatalf("%d bytes came back", n)
			}
		}
	}
}

// TestHeapPerConnectionIsFlat: an idle WebSocket takes as much of the heap among ten
// times as many as it takes among few.
func TestHeapPerConnectionIsFlat(t *testing.T) {
	few, many := 800, 8000
	if testing.Short() {
		many = 4000
	}
	raiseFiles(t, 2*many+400) // both ends are here
	// A piece of each table, 3 KiB together, that some just begin is shared by those
	// who follow; and Go's runtime has 6 KiB for a thread that it starts meanwhile. It
	// may start several.
	first, further := heapEach(t, few, many)
	for n := 1; n < 3 && math.Abs(first-further) > 16; n++ {
		first, further = heapEach(t, few, many)
	}
	if math.Abs(first-further) > 16 {
		t.Errorf("%.1f bytes each for the first %d, but %.1f for further %d", first, few, further, many-few)
	}
	if most := 400.; !raceEnabled && (further < 100 || further > most) {
		t.Errorf("%.1f bytes each, expected 100 to %.0f", further, most)
	}
}

// heapEach returns what each of few takes of the heap, and each of those who follow.
func heapEach(t *testing.T, few, many int) (first, further float64) {
	b := newBench(t, 64)
	b.clients = slices.Grow(b.clients, many+64)
	b.crowd(64) // the pools are filled, for as many at a time
	live := func() int {
		runtime.GC()
		runtime.GC() // what pools hold outlives the first
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	none := live()
	b.crowd(few)
	some := live()
	b.crowd(many - few)
	all := live()
	first, further = float64(some-none)/float64(few), float64(all-some)/float64(many-few)
	t.Logf("%.1f bytes each for the first %d, %.1f for further %d", first, few, further, many-few)
	b.stop()
	return first, further
}

// counted are loops that count their turns.
type counted struct {
	*poll.Loops
	loop.Service
	turns atomic.Int64
	asked atomic.Int64 // how long the last turn was allowed to sleep, ns
}

func (c *counted) Open(thread int, s loop.Service) (loop.Loop, error) {
	c.Service = s
	return c.Loops.Open(thread, c)
}

func (c *counted) AdjustTimeout(d time.Duration) time.Duration {
	c.turns.Add(1)
	d = c.Service.AdjustTimeout(d)
	c.asked.Store(int64(d))
	return d
}

// serving starts an echo engine that turns itself, and returns where it listens.
func serving(t *testing.T, back loop.Backend) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	eng, err := core.New(core.Config{Backend: back, VHosts: []core.VHost{{Addr: "unix:" + path, Protocols: []core.Protocol{{
		Name: "echo", WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- eng.Run(t.Context()) }()
	t.Cleanup(func() {
		eng.Stop(-1)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

// opened is a WebSocket after one echo.
func opened(t *testing.T, path string) int {
	fd := connectUnix(t, path)
	t.Cleanup(func() { unix.Close(fd) })
	var buf [512]byte
	unix.Write(fd, upgradeRequest)
	if n, err := unix.Read(fd, buf[:]); err != nil || !bytes.HasPrefix(buf[:n], upgradeAnswer) {
		t.Fatalf("upgrade: %q %v", buf[:max(n, 0)], err)
	}
	echo(t, fd)
	return fd
}

func echo(t *testing.T, fd int) {
	var buf [512]byte
	unix.Write(fd, message)
	if n, err := unix.Read(fd, buf[:]); err != nil || n != len(echoed) {
		t.Fatalf("echo: %d %v", n, err)
	}
}

// TestIdleConnectionsMakeNoTurns: while nobody says anything a loop does not turn,
// with all the time limits and Pings that are on by default. The time that passes is
// that of another engine's echoes.
func TestIdleConnectionsMakeNoTurns(t *testing.T) {
	const conns, pingInterval = 300, 40 * time.Second
	raiseFiles(t, 2*conns+100)
	began := time.Now()
	back := &counted{Loops: poll.Backend()}
	path := serving(t, back)
	for range conns {
		opened(t, path)
	}
	clock := opened(t, serving(t, poll.Backend()))
	tick := func(n int) {
		for range n {
			echo(t, clock)
		}
	}
	for n := 0; n < 50; n++ { // the loop goes to sleep
		was := back.turns.Load()
		if tick(200); back.turns.Load() == was {
			break
		}
	}
	before := back.turns.Load()
	tick(2000)
	turns, asked := back.turns.Load()-before, time.Duration(back.asked.Load())
	if time.Since(began) > pingInterval {
		t.Skip("this took so long that Pings were due")
	}
	if turns > 3 { // a signal to the thread, of Go's runtime, makes one
		t.Errorf("%d turns while nobody said anything", turns)
	}
	if least := pingInterval - time.Since(began); asked < least {
		t.Errorf("the loop sleeps for %v, but the first Ping is due in %v or more", asked, least)
	}
}
