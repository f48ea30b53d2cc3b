// Package sim is an operating system for tests: descriptors, sockets, time and
// an event loop, all virtual and all from one seed. It stands in for the real
// ones under core (it is a loop.Backend, loop.Kernel and loop.Clock), so that a
// conversation with stalls, half-closes, tiny reads and 15-second silences is a
// few lines and takes microseconds.
//
//	k := sim.New(sim.Options{})
//	eng, _ := core.New(core.Config{Backend: k, VHosts: []core.VHost{{Addr: "host:80", ...}}})
//	p := k.Dial("host:80")
//	p.WriteString("GET / HTTP/1.1\r\n")
//	k.Advance(15*time.Second - 1) // p is alive
//	k.Advance(1)                  // p has read its 408
//
// It keeps its own truth of descriptors, owners and bytes, and records every
// call that breaks the contract of package loop: see Check.
//
// With Options.Chaos it delivers readiness in any legal order: shuffled, late,
// duplicated, spurious, stale for a number that was closed and reused. The same
// seed gives the same run.
//
// It is small enough for a million connections: about 230 bytes for both ends of
// one, and a turn costs what is ready, not what is open. Bytes that core and
// Peer.ReadTo have taken make room for others without an allocation.
package sim

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"anyloop/core/loop"
)

// Options of a kernel.
type Options struct {
	// Seed of all choices.
	Seed uint64
	// Chaos delivers readiness in any legal order.
	Chaos bool
	// Capacity of each direction of a connection, bytes; 0: 65536.
	Capacity int
	// Files is the limit of open descriptors; 0: none.
	Files int
	// Nameless gives no client a name of its own: all are called "unix", as
	// those of unix sockets are, which core need not keep.
	Nameless bool
}

// Kernel is the virtual operating system. One goroutine at a time, but for
// Doorbell.Ring.
type Kernel struct {
	opt        Options
	rnd        *rand.Rand
	now        time.Time
	files      []*file
	free       []int // closed numbers, as a heap: the lowest is reused first
	listeners  map[string]*file
	threads    []*thread
	hot        []*file // watched descriptors whose readiness may be non-zero, and some that were
	bells      []*file
	due        []delivery // bytes on their way
	answers    map[string]Answer
	attempts   []Attempt
	counts     Counts
	violations []string
	trace      []step
	spare      [][]byte   // buffers of wires, empty
	mu         sync.Mutex // doorbells are rung from anywhere
	rung       bool
}

// Counts are calls and bytes so far.
type Counts struct {
	Turns, Deliveries, Adds, Dels, Changes    int
	Reads, Writes, Accepts, BytesIn, BytesOut int
}

// thread is one service thread's loop.
type thread struct {
	k      *Kernel
	n      int
	s      loop.Service
	stale  []delivered
	batch  []delivered // the memory of ready's answer
	fd     loop.PollFD // being delivered
	closed bool
}

type delivered struct {
	fd int
	ev loop.Events
}

// kind of a descriptor.
type kind uint8

const (
	kindStream kind = iota
	kindListener
	kindBell
	kindApp
)

// file is an open descriptor.
type file struct {
	owner   *thread // the loop that watches it
	peer    *Peer   // the far end of a stream; or what joins both ends, if core has both
	queue   *queue  // of a listener
	err     syscall.Errno
	fd      int32
	mask    loop.Events
	kind    kind
	watched bool
	hot     bool // in Kernel.hot
	bell    bool
	waits   bool // a stream that is being connected
	client  bool // a stream that was connected to a listener of this kernel
}

// queue is what a listener has.
type queue struct {
	addr    string
	backlog []*Peer
}

// in is what core reads of a stream, out what it writes.
func (f *file) in() *wire {
	if f.client {
		return &f.peer.in
	}
	return &f.peer.out
}

func (f *file) out() *wire {
	if f.client {
		return &f.peer.out
	}
	return &f.peer.in
}

// script returns the far end if that is the test's, else nil.
func (f *file) script() *Peer {
	if f.client {
		return nil
	}
	return f.peer
}

// New returns a kernel at a fixed moment in 2026.
func New(o Options) *Kernel {
	if o.Capacity == 0 {
		o.Capacity = 1 << 16
	}
	return &Kernel{
		opt: o, rnd: rand.New(rand.NewPCG(o.Seed, 0x616e796c6f6f70)),
		now:       time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
		files:     make([]*file, 3), // 0, 1 and 2 are somebody's
		listeners: map[string]*file{}, answers: map[string]Answer{},
	}
}

// Info implements loop.Backend.
func (k *Kernel) Info() loop.Info { return loop.Info{Name: "sim", Foreign: true} }

// Open implements loop.Backend.
func (k *Kernel) Open(n int, s loop.Service) (loop.Loop, error) {
	th := &thread{k: k, n: n, s: s}
	k.threads = append(k.threads, th)
	return th, nil
}

// Now implements loop.Clock.
func (k *Kernel) Now() time.Time { return k.now }

// Counts returns the calls and bytes so far.
func (k *Kernel) Counts() Counts { return k.counts }

// Interest returns what is asked of a descriptor; ok is false if it is not
// watched.
func (k *Kernel) Interest(fd int) (ev loop.Events, ok bool) {
	f := k.file(fd)
	if f == nil || !f.watched {
		return 0, false
	}
	return f.mask, true
}

// Files returns the number of open descriptors that are not the application's.
func (k *Kernel) Files() int {
	n := 0
	for _, f := range k.files {
		if f != nil && f.kind != kindApp {
			n++
		}
	}
	return n
}

// Watched returns the number of watched descriptors.
func (k *Kernel) Watched() int {
	n := 0
	for _, f := range k.files {
		if f != nil && f.watched {
			n++
		}
	}
	return n
}

// Violations returns what broke the contract so far.
func (k *Kernel) Violations() []string { return k.violations }

// Check fails the test for each violation, with the last steps.
func (k *Kernel) Check(t testing.TB) {
	t.Helper()
	for _, v := range k.violations {
		t.Errorf("contract: %s", v)
	}
	if len(k.violations) > 0 {
		t.Logf("seed %d, last steps:\n%s", k.opt.Seed, k.Trace())
	}
}

func (k *Kernel) file(fd int) *file {
	if fd < 0 || fd >= len(k.files) {
		return nil
	}
	return k.files[fd]
}

// open gives f the lowest free number.
func (k *Kernel) open(f *file) (int, error) {
	if k.opt.Files > 0 && len(k.files)-3-len(k.free) >= k.opt.Files {
		return -1, syscall.EMFILE
	}
	if len(k.free) > 0 {
		fd := k.popFree()
		f.fd = int32(fd)
		k.files[fd] = f
		return fd, nil
	}
	fd := len(k.files)
	f.fd = int32(fd)
	k.files = append(k.files, f)
	return fd, nil
}

func (k *Kernel) close(f *file) {
	k.files[f.fd] = nil
	f.watched = false
	k.pushFree(int(f.fd))
}

// SetFileLimit changes Options.Files.
func (k *Kernel) SetFileLimit(n int) { k.opt.Files = n }

// AddPollFD implements loop.Loop.
func (th *thread) AddPollFD(fd int, ev loop.Events) error {
	k := th.k
	k.counts.Adds++
	k.note(step{what: "add", fd: fd, ev: ev})
	f := k.file(fd)
	switch {
	case f == nil:
		k.violation("line 1: Add of descriptor %d, which is not open", fd)
		return syscall.EBADF
	case f.watched:
		k.violation("line 1: second Add of descriptor %d", fd)
		return syscall.EEXIST
	case f.kind == kindApp:
		k.violation("line 2: Add of the application's descriptor %d", fd)
	}
	th.checkMask(ev)
	f.watched, f.mask, f.owner = true, ev, th
	k.touch(f)
	return nil
}

// DelPollFD implements loop.Loop.
func (th *thread) DelPollFD(fd int) {
	k := th.k
	k.counts.Dels++
	k.note(step{what: "del", fd: fd})
	f := k.file(fd)
	switch {
	case f == nil:
		k.violation("line 1: Del of descriptor %d, which is not open", fd)
		return
	case !f.watched:
		k.violation("line 1: Del of descriptor %d, which is not watched", fd)
		return
	case f.owner != th:
		k.violation("line 1: Del of descriptor %d by another thread", fd)
	}
	f.watched = false
}

// ChangeModePollFD implements loop.Loop.
func (th *thread) ChangeModePollFD(fd int, prev, next loop.Events) {
	k := th.k
	k.counts.Changes++
	k.note(step{what: "change", fd: fd, ev: prev, next: next})
	f := k.file(fd)
	switch {
	case f == nil || !f.watched:
		k.violation("line 1: Change of descriptor %d, which is not watched", fd)
		return
	case f.mask != prev:
		k.violation("line 1: Change of descriptor %d from %v, but it was %v", fd, prev, f.mask)
	case prev == next:
		k.violation("line 1: Change of descriptor %d that changes nothing", fd)
	}
	th.checkMask(next)
	f.mask = next
	k.touch(f)
}

func (th *thread) checkMask(ev loop.Events) {
	if ev&^(loop.In|loop.Out) != 0 {
		th.k.violation("line 9: mask %v asks for more than In and Out", ev)
	}
}

// Close implements loop.Closer.
func (th *thread) Close() error {
	k := th.k
	for _, f := range k.files {
		if f != nil && f.watched && f.owner == th {
			k.violation("line 13: descriptor %d is still watched after the end", f.fd)
		}
	}
	th.closed = true
	return nil
}

// OpenApp opens a descriptor of the application. Core must not touch it.
func (k *Kernel) OpenApp() int {
	fd, err := k.open(&file{kind: kindApp})
	if err != nil {
		panic(err) // a test's own limit
	}
	return fd
}

// CloseApp closes it.
func (k *Kernel) CloseApp(fd int) { k.close(k.file(fd)) }

// OpenAppOr is OpenApp, but returns none when there is no descriptor left.
func (k *Kernel) OpenAppOr(none int) int {
	fd, err := k.open(&file{kind: kindApp})
	if err != nil {
		return none
	}
	return fd
}
