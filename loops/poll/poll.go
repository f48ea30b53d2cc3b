// Package poll is the built-in event loop: epoll on Linux, kqueue on macOS and
// the BSDs, poll(2) anywhere as a forced alternative.
//
//	core.Config{Backend: poll.Backend()}
//
// Engine.Run turns it, one goroutine per service thread.
//
// It also nests: with [Nested] the application turns it, by watching one
// descriptor, Loop.FD, in whatever loop it has, and calling Loop.Pass when that
// is readable. Wake-ups, ripe timers and pending work make it readable too, so
// nothing else has to be watched or timed.
package poll

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

// Poller names a system's way of waiting.
type Poller string

// The pollers. Default is the best that the system has.
const (
	Default Poller = ""
	Epoll   Poller = "epoll"
	Kqueue  Poller = "kqueue"
	Poll2   Poller = "poll"
)

// ErrUnsupported says that the system lacks a poller.
var ErrUnsupported = errors.New("poll: this system has no such poller")

// ErrNoDescriptor says that a poll(2) set has no descriptor to watch it by.
var ErrNoDescriptor = errors.New("poll: a poll(2) set cannot be nested")

// ErrInUse says that a backend has a loop for that service thread already, which
// has not ended: it serves one engine at a time.
var ErrInUse = errors.New("poll: the backend has an engine already")

// Option changes a backend.
type Option func(*Loops)

// WithPoller forces a poller.
func WithPoller(p Poller) Option { return func(b *Loops) { b.poller = p } }

// Nested makes the application turn the loops, by Loop.FD and Loop.Pass.
func Nested() Option { return func(b *Loops) { b.nested = true } }

// Loops is the backend: the loops of one engine. When that has ended or was
// detached, it may serve another, or the same again; ErrInUse before that.
type Loops struct {
	poller Poller
	nested bool
	mu     sync.Mutex
	loops  []*Loop
}

// Backend returns a backend for core.Config.
func Backend(opts ...Option) *Loops {
	b := &Loops{}
	for _, o := range opts {
		o(b)
	}
	return b
}

// Info implements loop.Backend.
func (b *Loops) Info() loop.Info {
	p := b.poller
	if p == Default {
		p = defaultPoller
	}
	info := loop.Info{Name: "poll/" + string(p), Foreign: b.nested, RunsHere: !b.nested}
	if b.nested {
		info.Tier = loop.Nested
	}
	return info
}

// Open implements loop.Backend. ErrInUse while the thread's loop is open.
func (b *Loops) Open(thread int, s loop.Service) (loop.Loop, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if thread < len(b.loops) && b.loops[thread].open() {
		return nil, ErrInUse
	}
	p, err := newPoller(b.poller)
	if err != nil {
		return nil, err
	}
	l := &Loop{s: s, p: p, bellFD: -1}
	if b.nested {
		if err := l.openBell(); err != nil {
			p.close()
			return nil, err
		}
	}
	for len(b.loops) <= thread {
		b.loops = append(b.loops, nil)
	}
	b.loops[thread] = l
	if b.nested {
		return nestedLoop{l}, nil
	}
	return l, nil
}

// Thread returns the loop of service thread i, nil before the engine has opened
// it. Each time that an engine comes it is a new one. Any goroutine.
func (b *Loops) Thread(i int) *Loop {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i < 0 || i >= len(b.loops) {
		return nil
	}
	return b.loops[i]
}

// poller is one system's way. Its registrations carry a generation, so that what
// was collected for an earlier owner of a descriptor number is not reported.
type poller interface {
	add(fd int, ev loop.Events) error
	change(fd int, prev, next loop.Events)
	del(fd int)
	// wait collects at most max events (0: as many as it likes); ms < 0 is
	// for ever.
	wait(ms, max int) error
	// next returns one collected event; ok is false at the end.
	next() (fd int, ev loop.Events, ok bool)
	fd() int // pollable descriptor of the set, -1 if there is none
	close() error
}

// Loop is the loop of one service thread.
type Loop struct {
	s       loop.Service
	p       poller
	pfd     loop.PollFD   // the one being served: here, since one on the stack would be allocated
	bell    *sys.Doorbell // nested only
	bellFD  int
	timer   *time.Timer
	bellAt  time.Duration // what the bell is set for; <0: nothing
	waits   uint64
	mu      sync.Mutex // timer and watcher against Close
	closed  bool
	left    bool // Close was called; loop thread
	watcher *Watcher
}

// AddPollFD implements loop.Loop.
func (l *Loop) AddPollFD(fd int, ev loop.Events) error { return l.p.add(fd, ev) }

// DelPollFD implements loop.Loop.
func (l *Loop) DelPollFD(fd int) { l.p.del(fd) }

// ChangeModePollFD implements loop.Loop.
func (l *Loop) ChangeModePollFD(fd int, prev, next loop.Events) { l.p.change(fd, prev, next) }

// Waits returns how many times the loop has asked the system for events. Loop
// thread only.
func (l *Loop) Waits() uint64 { return l.waits }

// Run implements loop.Runner: it turns the loop until the engine has ended.
func (l *Loop) Run() error {
	for !l.over() {
		l.waits++
		if err := l.p.wait(loop.Millis(l.s.AdjustTimeout(-1)), 0); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		l.deliver()
		if !l.over() { // another goroutine may turn the thread by now
			l.s.ServicePending()
		}
	}
	return nil
}

func (l *Loop) deliver() (n int) {
	for {
		fd, ev, ok := l.p.next()
		if !ok {
			return n
		}
		n++
		if fd == l.bellFD {
			l.bell.Clear()
			l.bellAt = -1
			continue
		}
		l.pfd = loop.PollFD{Fd: int32(fd), Events: int16(ev), Revents: int16(ev)}
		l.s.ServiceFD(&l.pfd)
	}
}

// Close implements loop.Closer.
func (l *Loop) Close() error {
	l.left = true
	l.mu.Lock()
	l.closed = true
	w := l.watcher
	l.mu.Unlock()
	if w != nil {
		w.Stop() // before its descriptor goes
	}
	l.mu.Lock()
	if l.timer != nil {
		l.timer.Stop()
	}
	var err error
	if l.bell != nil {
		l.p.del(l.bellFD)
		err = l.bell.Close()
	}
	l.mu.Unlock()
	return errors.Join(err, l.p.close())
}

// FD returns the descriptor to watch for reading in another loop: level-
// triggered, readable exactly when Pass has something to do. -1 if the loop was
// not made with Nested, or is closed.
//
// Core closes it when the engine ends or is detached, mostly inside Pass. The
// number may be another's from then on, so ask after each Pass, before the host
// waits again: when FD is negative, or Thread.Hosted false, it must no longer be
// watched. Any goroutine.
func (l *Loop) FD() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bell == nil || l.closed {
		return -1
	}
	return l.p.fd()
}

// open reports whether core has neither left the loop nor is about to.
func (l *Loop) open() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && l.s.Hosted()
}

// Pass is one turn without waiting: at most max events (0: a batch), then
// pending work. It returns how many events there were. Call it when FD is
// readable; calling it at other times is harmless, also when core has
// left the loop: it does nothing then, without an error. See FD for when to stop
// watching. Loop thread only.
func (l *Loop) Pass(max int) (n int, err error) {
	if l.over() {
		return 0, nil
	}
	l.waits++
	if err := l.p.wait(0, max); err != nil {
		return 0, fmt.Errorf("poll: %w", err)
	}
	n = l.deliver()
	if l.over() {
		return n, nil
	}
	l.s.ServicePending()
	if !l.over() {
		l.setBell()
	}
	return n, nil
}

// over reports that core has left this loop, for good or for another one.
func (l *Loop) over() bool { return l.left || !l.s.Hosted() }

// nestedLoop is a Loop that is told of work between passes.
type nestedLoop struct{ *Loop }

// Run keeps a nested loop from being a loop.Runner.
func (n nestedLoop) Run(struct{}) {}

// Rearm implements loop.Rearmer.
func (n nestedLoop) Rearm() { n.setBell() }

func (l *Loop) openBell() error {
	if l.p.fd() < 0 {
		return ErrNoDescriptor
	}
	b, err := sys.NewDoorbell()
	if err != nil {
		return err
	}
	if err := l.p.add(b.FD(), loop.In); err != nil {
		b.Close()
		return err
	}
	l.bell, l.bellFD, l.bellAt = b, b.FD(), -1
	l.ring() // the first pass initialises the protocols
	return nil
}

// setBell makes the set readable now if work is pending, or when the next
// deadline is due.
func (l *Loop) setBell() {
	d := l.s.AdjustTimeout(-1)
	switch {
	case d < 0:
		return
	case d == 0:
		l.ring()
		return
	}
	at, _ := l.s.NextDeadline()
	until := time.Duration(at.UnixNano())
	if l.bellAt == until {
		return
	}
	l.bellAt = until
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.ring)
		return
	}
	l.timer.Reset(d)
}

func (l *Loop) ring() {
	l.mu.Lock()
	if !l.closed {
		l.bell.Ring()
	}
	l.mu.Unlock()
}

func newPoller(p Poller) (poller, error) {
	if p == Default {
		p = defaultPoller
	}
	mk := pollers[p]
	if mk == nil {
		return nil, fmt.Errorf("%w: %q on %s", ErrUnsupported, p, runtime.GOOS)
	}
	return mk()
}
