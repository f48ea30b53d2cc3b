package poll_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

// TestIdleConnectionCost: what the thousandth WebSocket costs on the heap, once it
// has echoed a message: three objects (link with conn, role, handler) and their
// places in two tables (twice as large here, where the clients have every second
// descriptor), and nothing that was thrown away on the way there.
func TestIdleConnectionCost(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	mallocs, bytes := idleCost(t)
	for range 2 { // Go's runtime has 6 KiB for a thread that it starts meanwhile
		if m, b := idleCost(t); b < bytes {
			mallocs, bytes = m, b
		}
	}
	t.Logf("%.2f objects, %.1f bytes per connection", mallocs, bytes)
	if mallocs > 3.1 {
		t.Errorf("%.2f objects per connection, want 3", mallocs)
	}
	if bytes > 308 {
		t.Errorf("%.1f bytes allocated per connection, want at most 308", bytes)
	}
}

// idleCost returns what each of a thousand more takes, in objects and bytes.
func idleCost(t *testing.T) (mallocs, bytes float64) {
	const conns, warm = 1000, 64
	b := newBench(t, warm) // the pools are filled
	b.round(1)
	addr, err := unix.Getpeername(b.clients[0])
	if err != nil {
		t.Fatal(err)
	}
	fds := make([]int, 0, conns)
	p := make([]unix.PollFd, 1)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range conns {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, addr)
		}
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		b.send(fd, upgradeRequest)
		b.quiet(p)
		b.recv(fd)
		b.send(fd, message)
		b.quiet(p)
		b.recv(fd)
	}
	runtime.ReadMemStats(&after)
	b.clients = append(b.clients, fds...)
	b.stop()
	mallocs = float64(after.Mallocs-before.Mallocs) / conns
	bytes = float64(after.TotalAlloc-before.TotalAlloc) / conns
	return mallocs, bytes
}

// quiet is turnUntilQuiet without an allocation.
func (b *bench) quiet(p []unix.PollFd) {
	for {
		p[0] = unix.PollFd{Fd: int32(b.loop.FD()), Events: unix.POLLIN}
		if n, _ := unix.Poll(p, 0); n == 0 {
			return
		}
		if _, err := b.loop.Pass(0); err != nil {
			b.t.Fatal(err)
		}
	}
}
