//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/panjf2000/gnet/v2"

	"anyloop/core/loop"
	"anyloop/loops/poll"
)

var (
	// ErrHostGone says that the gnet engine which turned the service threads
	// has ended.
	ErrHostGone = errors.New("gnetengine: the gnet engine has ended")
	// ErrNoThread says that there is no such service thread: core.New has not
	// been called yet, or no thread lives on the event loop in question.
	ErrNoThread = errors.New("gnetengine: no such service thread")
	// ErrTurned says that an event loop turns the service thread already.
	ErrTurned = errors.New("gnetengine: an event loop turns this service thread already")
	// ErrInUse says that another engine lives in the backend: it has not ended,
	// nor was it detached. core.New and Engine.Attach return it.
	ErrInUse = errors.New("gnetengine: another engine lives in this backend")
)

// Option changes a Bridge or a StreamLoops.
type Option func(*options)

type options struct {
	maxEvents int
	inputCap  int
	gnet      []gnet.Option
}

// InputCap is how much gnet may keep, in bytes, of what it has received for a
// stream that core does not read now; default 256 KiB. Beyond it, the connection
// leaves gnet: core takes a duplicate of the descriptor, which it can stop reading.
func InputCap(n int) Option { return func(o *options) { o.inputCap = n } }

// MaxEvents bounds the descriptors that are served in one turn, before gnet's
// own connections get theirs; default 64. A descriptor gets at most two reads in
// a turn.
func MaxEvents(n int) Option { return func(o *options) { o.maxEvents = n } }

const (
	defaultMaxEvents = 64
	defaultInputCap  = 256 << 10
)

func newOptions(opts []Option) options {
	o := options{maxEvents: defaultMaxEvents, inputCap: defaultInputCap}
	for _, set := range opts {
		set(&o)
	}
	return o
}

// Options returns the options of gnet that the bridge needs: a ticker, so that
// it comes up when the engine boots rather than with the first connection, and
// the balancing by least connections, since gnet's default would be a data race
// for anybody but its own accepting goroutine. The application may give both
// again, the balancing also by source address.
func Options() []gnet.Option {
	return []gnet.Option{gnet.WithTicker(true), gnet.WithLoadBalancing(gnet.LeastConnections)}
}

// Bridge is a backend whose service threads are turned by the event loops of a
// gnet engine. Each watches its descriptors in a poll set of its own, which
// nests: a goroutine sleeps until that is ready, and has one turn run on the event
// loop. It serves one core.Engine at a time: a second one is refused with ErrInUse
// until the first has ended or left.
type Bridge struct {
	opt    options
	nest   *poll.Loops
	mu     sync.Mutex
	seats  []*seat // by service thread
	home   *host   // the gnet engine that boots with Wrap, nil if none runs
	stray  map[gnet.EventLoop]*hostLoop
	lost   chan struct{}
	err    error         // why lost was closed
	turned int           // threads that an event loop turns
	empty  chan struct{} // closed when there were some and are none; nil: nobody asks
}

// seat is where a service thread lives.
type seat struct {
	thread int
	loop   *poll.Loop
	s      loop.Service
	ready  bool      // core.New or Engine.Attach has returned
	on     *hostLoop // nil: nowhere yet
	w      *poll.Watcher
	waits  map[int32]*stream // connections of gnet's that are to be written to, by descriptor

	// Of StreamLoops.
	own  *hostLoop     // the goroutine of Run
	host *host         // took the thread from there; Run does not know yet
	left chan struct{} // closed when the engine has ended or left
}

// taken reports whether an engine lives here. One of StreamLoops that has ended is
// gone before Run returns, which closes the loop. The bridge is locked.
func (st *seat) taken() bool { return st != nil && (st.left == nil || st.s.Hosted()) }

// check tells Run when the thread's engine has ended or left. Inside the domain.
func (st *seat) check() {
	if st.left != nil && !st.s.Hosted() && !over(st.left) {
		close(st.left)
	}
}

// service is core as the poll set sees it, with gnet's connections beside core's.
type service struct {
	loop.Service
	st *seat
}

// ServiceFD implements loop.Service.
func (s service) ServiceFD(p *loop.PollFD) bool {
	if s.Service.ServiceFD(p) {
		return true
	}
	w := s.st.waits[p.Fd]
	if w == nil {
		return false
	}
	p.Revents = 0
	w.writable()
	return true
}

// New returns a bridge for core.Config.Backend.
func New(opts ...Option) *Bridge {
	return &Bridge{opt: newOptions(opts), nest: poll.Backend(poll.Nested()), lost: make(chan struct{}),
		stray: map[gnet.EventLoop]*hostLoop{}}
}

// Info implements loop.Backend.
func (b *Bridge) Info() loop.Info {
	return loop.Info{Name: "gnet-engine", Tier: loop.Nested, Foreign: true}
}

// Open implements loop.Backend. Errors: ErrInUse, and the system's.
func (b *Bridge) Open(thread int, s loop.Service) (loop.Loop, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.seats) <= thread {
		b.seats = append(b.seats, nil)
	}
	if b.seats[thread].taken() {
		return nil, ErrInUse
	}
	st := &seat{thread: thread, s: s, waits: map[int32]*stream{}}
	l, err := b.nest.Open(thread, service{s, st})
	if err != nil {
		return nil, err
	}
	st.loop = b.nest.Thread(thread)
	b.seats[thread] = st
	return seatLoop{l.(nested), b, st}, nil
}

// nested is what package poll gives core.
type nested interface {
	loop.Loop
	loop.Rearmer
	loop.Closer
}

// seatLoop is that, with an end that the bridge hears of.
type seatLoop struct {
	nested
	b  *Bridge
	st *seat
}

// Close implements loop.Closer.
func (l seatLoop) Close() error {
	b := l.b
	b.mu.Lock()
	if b.seats[l.st.thread] == l.st {
		b.seats[l.st.thread] = nil
	}
	b.mu.Unlock()
	return l.nested.Close()
}

// Start begins the turning of the service threads on the wrapped gnet engine,
// now or when that is up. An application calls it after core.New or
// Engine.Attach; it is needless if core.New had returned before gnet.Run was
// called. The errors are the system's. Any goroutine.
func (b *Bridge) Start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allReady()
	return b.spread()
}

// allReady notes that core has made all of its threads.
func (b *Bridge) allReady() {
	for _, st := range b.seats {
		if st != nil {
			st.ready = true
		}
	}
}

// spread puts the threads that live nowhere on the event loops, each where the
// fewest are.
func (b *Bridge) spread() error {
	h := b.home
	if h == nil || !h.settled || h.down {
		return nil
	}
	for _, st := range b.seats {
		if !st.vacant() {
			continue
		}
		best := h.order[0]
		for _, hl := range h.order[1:] {
			if b.population(hl) < b.population(best) {
				best = hl
			}
		}
		if err := b.seat(st, best); err != nil {
			return err
		}
	}
	return nil
}

// vacant reports whether a thread waits for an event loop.
func (st *seat) vacant() bool { return st != nil && st.ready && st.w == nil }

// population is the number of threads that live on an event loop.
func (b *Bridge) population(hl *hostLoop) (n int) {
	for _, st := range b.seats {
		if st != nil && st.on == hl {
			n++
		}
	}
	return n
}

// seat has an event loop turn a thread.
func (b *Bridge) seat(st *seat, hl *hostLoop) error {
	run := &turn{hl: hl}
	w, err := st.loop.Watch(b.opt.maxEvents, func(job func()) error {
		run.st, run.job = st, job
		return hl.post(run)
	})
	if err != nil {
		return fmt.Errorf("gnetengine: thread %d: %w", st.thread, err)
	}
	b.rearmLost()
	st.on, st.w = hl, w
	b.turned++
	go b.watchOver(st, hl, w)
	return nil
}

// watchOver notes the end of a watcher.
func (b *Bridge) watchOver(st *seat, hl *hostLoop, w *poll.Watcher) {
	err := w.Err()
	b.mu.Lock()
	if st.w == w {
		st.w, st.on = nil, nil
	}
	b.leave(hl)
	if b.turned--; b.turned == 0 && b.empty != nil {
		close(b.empty)
		b.empty = nil
	}
	b.mu.Unlock()
	if err != nil {
		hl.h.end(err)
	}
}

// leave forgets an event loop that was attached by hand, with its last thread.
func (b *Bridge) leave(hl *hostLoop) {
	if hl.h.wrapped || b.population(hl) > 0 {
		return
	}
	delete(b.stray, hl.el.(gnet.EventLoop))
	hl.stopProbe()
}

// Attach has event loop el turn a service thread, for an application that has el
// in hand (Conn.EventLoop in a callback). It wins over the place that Wrap would
// choose. If el's engine does not run with Wrap, its end is noticed only when the
// thread has something to do, up to a second later. Call it after core.New.
// Errors: ErrNoThread, ErrTurned, ErrHostGone, and the system's. Any goroutine.
func (b *Bridge) Attach(thread int, el gnet.EventLoop) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if thread < 0 || thread >= len(b.seats) || b.seats[thread] == nil {
		return ErrNoThread
	}
	st := b.seats[thread]
	if st.w != nil {
		return ErrTurned
	}
	hl := b.loopOf(el)
	if hl != nil && hl.h.down {
		return ErrHostGone
	}
	if hl == nil || !hl.h.wrapped { // nobody tells us of its end
		if err := el.Execute(context.Background(), nothing); err != nil {
			return fmt.Errorf("%w: %w", ErrHostGone, err)
		}
	}
	if hl == nil {
		hl = newHost(b, false).loop(el)
		b.stray[el] = hl
		hl.startProbe()
	}
	st.ready = true
	if err := b.seat(st, hl); err != nil {
		b.leave(hl)
		return err
	}
	return nil
}

// loopOf finds what is known of an event loop, nil if nothing.
func (b *Bridge) loopOf(el gnet.EventLoop) *hostLoop {
	if b.home != nil && b.home.loops[el] != nil {
		return b.home.loops[el]
	}
	return b.stray[el]
}

// Lost is closed when a gnet engine that turned service threads has ended. From
// then on nobody turns the threads: Engine.Detach may be called from anywhere, and
// the engine attached to another backend, or to the bridge again, which a new run
// of gnet with the wrapped handler brings up. After that, Lost returns another
// channel. Any goroutine.
func (b *Bridge) Lost() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// Err returns why Lost was closed, nil if it was not: ErrHostGone, possibly
// wrapping more. Any goroutine.
func (b *Bridge) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// rearmLost makes Lost another channel for another host.
func (b *Bridge) rearmLost() {
	if b.err != nil {
		b.err, b.lost = nil, make(chan struct{})
	}
}

// emptied returns a channel that is closed when no event loop turns a thread any
// more, once one has.
func (b *Bridge) emptied() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.empty == nil {
		b.empty = make(chan struct{})
	}
	return b.empty
}
