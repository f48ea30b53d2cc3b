package poll_test

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

// leastOf runs f some times and returns how many objects and bytes of the heap it has
// taken per connection, where that was least: besides, Go's runtime has 6 KiB for each
// thread that it starts meanwhile.
func leastOf(times, conns int, f func()) (mallocs, bytes float64) {
	mallocs, bytes = math.Inf(1), math.Inf(1)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools
	for range times {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		mallocs = min(mallocs, float64(after.Mallocs-before.Mallocs)/float64(conns))
		bytes = min(bytes, float64(after.TotalAlloc-before.TotalAlloc)/float64(conns))
	}
	return mallocs, bytes
}

// TestHandshakeCost: what a WebSocket that comes and goes allocates: the link with
// its conn, the role and the handler, which its user may hold for ever, and nothing
// else, however it ends.
func TestHandshakeCost(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	b := newBench(t, 1)
	addr, err := unix.Getpeername(b.clients[0])
	if err != nil {
		t.Fatal(err)
	}
	p := make([]unix.PollFd, 1)
	come := func(read bool) {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, addr)
		}
		if err != nil {
			t.Fatal(err)
		}
		b.send(fd, upgradeRequest)
		b.quiet(p)
		if read {
			b.recv(fd)
		}
		unix.Close(fd) // with the answer unread it is a reset
		b.quiet(p)
	}
	for name, read := range map[string]bool{"the peer ends": true, "the peer resets": false} {
		t.Run(name, func(t *testing.T) {
			for range 10 { // whatever happens only once
				come(read)
			}
			const conns = 500
			accepted := b.eng.Stats().Accepted
			mallocs, bytes := leastOf(3, conns, func() {
				for range conns {
					come(read)
				}
			})
			stats := b.eng.Stats()
			if stats.Accepted-accepted != 3*conns || stats.Conns != 1 {
				t.Errorf("%d came, %d are left", stats.Accepted-accepted, stats.Conns-1)
			}
			t.Logf("%.2f objects, %.1f bytes per connection", mallocs, bytes)
			if mallocs > 3.05 {
				t.Errorf("%.2f objects per connection, want 3", mallocs)
			}
			if bytes > 274 {
				t.Errorf("%.1f bytes per connection, want at most 274", bytes)
			}
		})
	}
}
