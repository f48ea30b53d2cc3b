package poll_test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

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
			var before, after runtime.MemStats
			accepted := b.eng.Stats().Accepted
			runtime.ReadMemStats(&before)
			for range conns {
				come(read)
			}
			runtime.ReadMemStats(&after)
			stats := b.eng.Stats()
			if stats.Accepted-accepted != conns || stats.Conns != 1 {
				t.Errorf("%d came, %d are left", stats.Accepted-accepted, stats.Conns-1)
			}
			mallocs := float64(after.Mallocs-before.Mallocs) / conns
			bytes := float64(after.TotalAlloc-before.TotalAlloc) / conns
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
