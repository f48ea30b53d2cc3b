package sim

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"anyloop/core/loop"
)

// TestConnectionCost: what both ends of an idle connection take.
func TestConnectionCost(t *testing.T) {
	const n = 10_000
	k := New(Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range n {
		k.Pipe()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	bytes := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.0f bytes", bytes)
	if bytes > 235 {
		t.Errorf("%.0f bytes per connection, want at most 235", bytes)
	}
	runtime.KeepAlive(k)
}

// TestMessagesReuseBuffers: bytes that were taken make room for others.
func TestMessagesReuseBuffers(t *testing.T) {
	k := New(Options{})
	fd, p := k.Pipe()
	msg, buf := []byte(strings.Repeat("x", 100)), make([]byte, 256)
	round := func() {
		p.Write(msg)
		n, err := k.Read(fd, buf)
		if err != nil || n != len(msg) {
			t.Fatalf("Read = %d, %v", n, err)
		}
		if n, err := k.Write(fd, buf[:n], nil); n != len(msg) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		if got := p.ReadTo(buf[:0]); string(got) != string(msg) {
			t.Fatalf("got %q", got)
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per message", n)
	}
}

// TestReadOwnsItsBytes: what Read returned is the caller's, whatever comes after.
func TestReadOwnsItsBytes(t *testing.T) {
	k := New(Options{})
	fd, p := k.Pipe()
	k.Write(fd, []byte(strings.Repeat("a", 80)), nil)
	first := p.Read()
	for range 3 {
		k.Write(fd, []byte(strings.Repeat("b", 80)), nil)
		p.ReadTo(nil)
	}
	if string(first) != strings.Repeat("a", 80) {
		t.Errorf("it has become %q", first)
	}
}

// TestReadyAfterReuse: a number that is closed while ready and opened again is
// reported once, and only for what its new owner has.
func TestReadyAfterReuse(t *testing.T) {
	k := New(Options{})
	lp, err := k.Open(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	th := lp.(*thread)
	open := func() (int, *Peer) {
		fd, p := k.Pipe()
		th.AddPollFD(fd, loop.In)
		return fd, p
	}
	fd, p := open()
	p.WriteString("old")
	th.DelPollFD(fd)
	k.Close(fd)
	again, p := open()
	if again != fd {
		t.Fatalf("number %d, want %d", again, fd)
	}
	if got := k.ready(th); len(got) != 0 {
		t.Errorf("ready: %v", got)
	}
	p.WriteString("new")
	k.ready(th)
	p.WriteString("more")
	if got := k.ready(th); len(got) != 1 || got[0] != (delivered{fd, loop.In}) {
		t.Errorf("ready: %v", got)
	}
	th.DelPollFD(fd)
	th.AddPollFD(fd, loop.In)
	if got := k.ready(th); len(got) != 1 {
		t.Errorf("ready after a second Add: %v", got)
	}
	k.Check(t)
}

// echoer is a service that echoes, without core.
type echoer struct {
	k   *Kernel
	buf [256]byte
}

func (e *echoer) ServiceFD(p *loop.PollFD) bool {
	n, _ := e.k.Read(int(p.Fd), e.buf[:])
	e.k.Write(int(p.Fd), e.buf[:n], nil)
	p.Revents = 0
	return true
}
func (e *echoer) AdjustTimeout(d time.Duration) time.Duration { return d }
func (e *echoer) ServicePending()                             {}
func (e *echoer) NextDeadline() (time.Time, bool)             { return time.Time{}, false }
func (e *echoer) Hosted() bool                                { return true }
func (e *echoer) Wake()                                       {}

// TestTurnsAllocateNothing: what a test measures of core is core's.
func TestTurnsAllocateNothing(t *testing.T) {
	k := New(Options{})
	lp, err := k.Open(0, &echoer{k: k})
	if err != nil {
		t.Fatal(err)
	}
	fd, p := k.Pipe()
	lp.AddPollFD(fd, loop.In)
	msg, buf := []byte(strings.Repeat("x", 100)), make([]byte, 256)
	round := func() {
		p.Write(msg)
		k.Drive()
		if got := p.ReadTo(buf[:0]); string(got) != string(msg) {
			t.Fatalf("got %q", got)
		}
	}
	round()
	if n := testing.AllocsPerRun(1000, round); n != 0 {
		t.Errorf("%v allocations per message", n)
	}
	k.Check(t)
}
