package core

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

// Engine is one instance of the library: its service threads, vhosts and pools.
type Engine struct {
	cfg     Config
	limits  Limits
	log     *slog.Logger
	backend loop.Backend
	info    loop.Info
	kernel  loop.Kernel
	clock   func() time.Time
	start   time.Time
	threads []*Thread
	work    *workers
	names   lookups

	mu      sync.Mutex
	vhs     []*VirtualHost // in order of creation; replaced, never changed
	sites   []*site
	winding chan struct{} // Shutdown turns the loops, for lack of a Run, until it is closed
	inited  sync.Once
	started atomic.Bool // a thread has turned: the protocols are initialised, or about to be

	full     atomic.Bool   // listeners wait for room
	panics   atomic.Uint64 // in Init and Destroy, which are no thread's
	grace    time.Duration
	stopping atomic.Bool
	drained  atomic.Int32
	ended    atomic.Int32
	done     chan struct{}
}

const maxThreads = 32

// New makes an engine, opens the backend's loops and the listening sockets, and
// announces them to the loops. Nothing is served before the loop turns. On an
// error nothing is left behind. Call it from one goroutine; with a foreign
// backend, from where its loop may be called.
func New(cfg Config) (*Engine, error) {
	if cfg.Backend == nil {
		return nil, ErrNoBackend
	}
	e := &Engine{cfg: cfg, backend: cfg.Backend, limits: cfg.Limits.complete(defaultLimits).settled(), done: make(chan struct{})}
	e.log = cfg.Log
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if ka := cfg.KeepAlive; ka.Idle > 0 && (ka.Interval <= 0 || ka.Probes <= 0) {
		return nil, errors.New("core: KeepAlive.Idle needs Interval and Probes")
	}
	e.useBackend(cfg.Backend)
	e.start = e.clock()
	n := min(max(cfg.Threads, 1), maxThreads)
	e.defaultMaxConns(n)
	e.work = newWorkers(e.limits.Workers, e.limits.WorkQueue)
	e.names = newLookups(&e.cfg, &e.limits)
	for i := range n {
		e.threads = append(e.threads, e.newThread(i))
	}
	defer e.closeUnclaimed()
	if err := e.open(); err != nil {
		e.abandon()
		return nil, err
	}
	return e, nil
}

func (e *Engine) useBackend(b loop.Backend) {
	e.backend, e.info = b, b.Info()
	e.kernel, _ = b.(loop.Kernel)
	e.clock = sys.Now
	if c, ok := b.(loop.Clock); ok {
		e.clock = c.Now
	}
}

// defaultMaxConns divides the open-file limit, less what the process itself and
// our own descriptors need.
func (e *Engine) defaultMaxConns(threads int) {
	if e.limits.MaxConns != 0 {
		return
	}
	e.limits.MaxConns = unlimited
	if e.kernel != nil {
		return
	}
	soft, err := sys.FileLimit()
	if err != nil || soft > 10_000_000 {
		soft = 2560 // "unlimited" in containers means nothing
	}
	reserve := max(8, min(64, soft/4))
	e.limits.MaxConns = max(1, int(soft-min(soft, reserve))/threads)
}

func (e *Engine) newThread(i int) *Thread {
	th := &Thread{eng: e, index: i, kernel: e.kernel, clock: e.clock, armedFor: never}
	th.rbuf = make([]byte, rbufSize)
	th.cork = make([]byte, 0, corkSize)
	th.headers.init(e.limits.HeaderPool)
	th.shakes.left = e.limits.ShakeBatch
	return th
}

// open brings up loops, wake-ups, vhosts and listeners, in this order.
func (e *Engine) open() error {
	for _, th := range e.threads {
		if err := th.attach(e.backend); err != nil {
			return fmt.Errorf("core: thread %d: %w", th.index, err)
		}
		if err := th.openBell(); err != nil {
			return fmt.Errorf("core: wake-up of thread %d: %w", th.index, err)
		}
		l := th.newLink(th.bell.FD(), wakeRole{})
		l.flags |= lfReady | lfKeepFD
		if err := l.watch(loop.In); err != nil {
			return err
		}
		th.bell.link = l
	}
	for i := range e.cfg.VHosts {
		if _, err := e.addVHost(e.cfg.VHosts[i]); err != nil {
			return err
		}
	}
	return nil
}

// abandon undoes what open did.
func (e *Engine) abandon() {
	for _, s := range e.listening() {
		s.closeAlien()
	}
	for _, th := range e.threads {
		if th.loop == nil {
			continue
		}
		// The wake-up comes last: with it a foreign loop is left.
		for _, l := range append(slices.DeleteFunc(th.links(), func(l *link) bool { return l == th.bell.link }), th.bell.link) {
			if l != nil {
				l.doom(ErrStopped)
				th.bury(l)
			}
		}
		th.hosted.Store(false)
		th.closeLoop()
	}
	e.work.stop(func() {})
	e.names.stop(func() {})
}

// Thread returns service thread i. Any goroutine.
func (e *Engine) Thread(i int) *Thread { return e.threads[i] }

// Threads returns the number of service threads granted. Any goroutine.
func (e *Engine) Threads() int { return len(e.threads) }

// Backend describes the loop backend in use. Any goroutine.
func (e *Engine) Backend() loop.Info { return e.info }

// Wake wakes every service thread: each runs WaitCancelled on every protocol, at
// least once after the last Wake. Any goroutine.
func (e *Engine) Wake() {
	for _, th := range e.threads {
		th.Wake()
	}
}

// Post runs fn on service thread 0; see Thread.Post. Any goroutine.
func (e *Engine) Post(fn func()) error { return e.threads[0].Post(fn) }

// Done is closed when the engine has ended: every conn has had its Closed,
// every descriptor is closed, and nothing of it remains in any loop. Any goroutine.
func (e *Engine) Done() <-chan struct{} { return e.done }

// attach opens thread th's loop.
func (th *Thread) attach(b loop.Backend) error {
	lp, err := b.Open(th.index, th)
	if err != nil {
		return err
	}
	th.loop = lp
	th.rearm, _ = lp.(loop.Rearmer)
	th.hosted.Store(true)
	return nil
}

// closeLoop releases the thread's loop.
func (th *Thread) closeLoop() {
	if c, ok := th.loop.(loop.Closer); ok {
		if err := c.Close(); err != nil {
			th.eng.log.Warn("closing the loop", "thread", th.index, "err", err)
		}
	}
	th.loop, th.rearm = nil, nil
}

// links returns every link of the thread, in the order of descriptors.
func (th *Thread) links() []*link {
	all := make([]*link, 0, th.nlinks)
	for _, l := range th.table.All {
		if l != nil {
			all = append(all, l)
		}
	}
	for l := range th.adrift {
		all = append(all, l)
	}
	return all
}

// start runs what waits for the first turn: the protocols' Init.
func (th *Thread) start() {
	th.ready = true
	th.eng.inited.Do(func() {
		th.eng.started.Store(true)
		for _, vh := range th.eng.vhosts() {
			vh.init()
		}
	})
}
