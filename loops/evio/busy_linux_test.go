package evioloop_test

import (
	"bytes"
	"io"
	"os"
	"sync/atomic"
	"testing"

	"github.com/tidwall/evio"

	"anyloop/core"
)

// writes returns how often this process has called write(2) and its like.
func writes(t testing.TB) (n uint64) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	_, b, ok := bytes.Cut(b, []byte("syscw: "))
	if !ok {
		t.Skip("system calls are not counted here")
	}
	for _, d := range b {
		if d < '0' || d > '9' {
			break
		}
		n = 10*n + uint64(d-'0')
	}
	return n
}

// TestStreamBusyLoop: evio alone, with output pending for a peer that has sent
// something, tries to write for ever; this shows that the count sees it. A stream
// in the same state costs nothing.
func TestStreamBusyLoop(t *testing.T) {
	leaks(t)
	asked := make(chan struct{})
	a := serve(t, newBridge(t), func(_ *app, ev *evio.Events) {
		ev.Data = func(evio.Conn, []byte) ([]byte, evio.Action) {
			close(asked)
			return make([]byte, 16<<20), evio.None
		}
	})
	l := a.dial()
	io.WriteString(l.c, "answer me")
	take(t, asked, "evio asks for the answer")
	io.WriteString(l.c, "and this is not read")
	before := writes(t)
	until(t, "evio spins", func() bool { return writes(t)-before > 20000 })
	l.c.Close()
	a.stop()

	var conn atomic.Pointer[core.Conn]
	eng := run(t, core.Config{VHosts: []core.VHost{pusher(&conn)}})
	stalled(t, eng, &conn)
	before = writes(t)
	const turns = 200
	for range turns {
		on(t, eng.Thread(0), func() {})
	}
	// A turn costs a ring of core's wake-up and a byte over the bridge.
	if n := writes(t) - before; n > 4*turns {
		t.Errorf("%d writes in %d turns", n, turns)
	} else {
		t.Logf("%d writes in %d turns", n, turns)
	}
}
