package core

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"anyloop/core/fds"
	"anyloop/core/loop"
	"anyloop/core/sys"
	"anyloop/core/timer"
)

type timerNode = timer.Node[func()]

// Thread is one service thread: a serialisation domain with its own loop,
// descriptors, timers, buffers and pools. It is not an operating-system thread:
// any goroutine may drive it, if calls never overlap. It implements
// loop.Service.
type Thread struct {
	eng   *Engine
	index int

	loop   loop.Loop
	rearm  loop.Rearmer // the loop, if it has Rearm
	kernel loop.Kernel  // nil: the operating system
	clock  func() time.Time

	io    sys.IO
	table fds.Table[*link]
	rbuf  []byte
	cork  []byte // output of cur

	// The turn.
	busy     atomic.Int32 // 1 inside an entry point
	cur      *link        // in service
	curConn  *Conn        // whose callback runs
	callback string       // which
	mark     int          // length of the cork when it began
	inLoop   bool         // a loop callback runs
	t        int64        // now, ns since the engine's start
	wall     time.Time
	fresh    bool // t was sampled in this entry

	// Work without a descriptor.
	pend, spare []*Conn
	npend       int            // of them alive
	parting     []*VirtualHost // removed, with conns that are to be told
	limits      timer.Queue[*link]
	timers      timer.Queue[func()]
	armedFor    int64 // the earliest deadline that the loop was told

	bell     bell
	posts    postQueue
	headers  headerPool
	spareH1  []*h1Role    // for the next connections
	spareReq []*Request   // for the next requests
	stores   []*linkStore // for the next links in need
	shakes   shakes
	large    largeBufs
	fed      *Assembler    // was given a piece of an unfinished message in this Receive
	placed   bool          // and the piece lay in place
	sealed   [][]byte      // buffers for output that is being encrypted
	cipher   []byte        // made with the first TLS connection: what is to be decrypted
	steady   bool          // one goroutine that core started turns the loop, locked to no thread
	casts    *casting      // made with the first group's message
	zip      *packing      // made with the first compressed message
	masks    *rand.ChaCha8 // made with the first frame of a client

	listeners   []*link      // replaced, not changed, when one goes
	conns       int          // links of peers
	load        atomic.Int32 // the same with those on their way here, for other threads
	hosted      atomic.Bool
	ready       bool               // protocols are initialised
	nlinks      int                // links of any kind
	adrift      map[*link]struct{} // links that no loop watches
	leaving     map[*link]struct{} // dead streams that their engine has not let go yet
	listenAgain atomic.Bool
	nextConn    uint64
	end         ending
	stats       Stats
	pub         published
	dateSec     int64
	dateText    []byte
	badEv       bool // a PollFD without Events was logged
	goid        uint64
	misused     atomic.Uint64
	thrown      any  // a loop callback's panic, for who turns the loop
	running     bool // a Run has the thread; of Engine.mu, like
	turned      bool // whether it turns the loop that the thread is in
	torn        bool // a handler has ended the goroutine inside a turn
}

// Index returns the thread's number, from 0. Any goroutine.
func (th *Thread) Index() int { return th.index }

// Engine returns the engine. Any goroutine.
func (th *Thread) Engine() *Engine { return th.eng }

func (th *Thread) nextID() uint64 {
	th.nextConn++
	return uint64(th.index)<<48 | th.nextConn
}

// enter begins an entry point; two at a time are a misuse that is named.
func (th *Thread) enter(what string) bool {
	if !th.busy.CompareAndSwap(0, 1) {
		th.misuse(ErrOverlap, what)
		return false
	}
	th.fresh = false
	if debugging {
		th.goid = goroutineID()
	}
	return true
}

func (th *Thread) leave() {
	th.publish()
	th.busy.Store(0)
	if th.thrown != nil {
		th.rethrow()
	}
}

// rethrow gives a loop callback's panic to who turns the loop, when nothing of the turn
// is left to be done: they may go on.
func (th *Thread) rethrow() {
	v := th.thrown
	th.thrown = nil
	panic(v)
}

// inTurn reports whether an entry point is running.
func (th *Thread) inTurn() bool { return th.busy.Load() != 0 }

// now returns the time of this entry, in ns since the engine's start. The clock
// is read at most once per entry.
func (th *Thread) now() int64 {
	if !th.fresh {
		th.wall = th.clock()
		if t := int64(th.wall.Sub(th.eng.start)); t > th.t {
			th.t = t
		}
		th.fresh = th.inTurn()
	}
	return th.t
}

// Now returns the time of this turn on the backend's clock. Loop thread only.
func (th *Thread) Now() time.Time {
	th.now()
	return th.wall
}

// ServiceFD handles one ready descriptor and reports whether it is core's; any
// descriptor of the application may be passed in. On ours, p.Revents is zeroed
// before anything else happens and p is not touched again. Loop thread only.
func (th *Thread) ServiceFD(p *loop.PollFD) bool {
	fd, ev := p.Fd, loop.Events(p.Revents)
	l := th.table.Get(int(fd))
	if l == nil {
		return false
	}
	p.Revents = 0
	if !th.enter("ServiceFD") {
		return true
	}
	if p.Events == 0 && ev&(loop.In|loop.Out) != 0 && !th.badEv {
		th.badEv = true
		th.eng.log.Info("a pollfd with Events 0 and readiness in Revents was passed to ServiceFD; it is served all the same")
	}
	if !th.ready {
		th.start()
	}
	th.serviceLink(l, ev)
	th.leave()
	return true
}

// serviceLink is the part of an entry that may run handlers.
func (th *Thread) serviceLink(l *link, ev loop.Events) {
	defer th.rescue()
	th.begin(l)
	l.service(ev)
	l.offerAll()
	th.finishService(l)
}

// begin puts a link in service: the cork is its own until finishService.
func (th *Thread) begin(l *link) { th.cur = l }

// finishService sends what is corked, ends the link if it is doomed, and tells
// the loop the interest once.
func (th *Thread) finishService(l *link) {
	l.flush()
	if l.flags&lfDoomed == 0 {
		l.settle()
	}
	if l.is(lfDoomed) {
		th.bury(l)
	}
	th.cur = nil
}

// bury ends a link: out of the loop, Closed for its conns, close(fd).
func (th *Thread) bury(l *link) {
	if l.is(lfDead) {
		return
	}
	l.flags |= lfDead
	th.limits.Stop(&l.limit)
	l.unwatch()
	err := l.cause()
	l.empty()
	th.cork = th.cork[:0]
	if l.is(lfTLS) {
		l.tls().end(l)
	}
	if l.flags&(lfShakePlace|lfShakeGiven) != 0 {
		th.shakes.gone(l)
	}
	l.role.gone(l, err)
	th.closeLink(l)
}

// closeLink is the end of bury: the descriptor, the lists and the counts.
func (th *Thread) closeLink(l *link) {
	if !l.is(lfKeepFD) {
		if err := l.wireClose(); err != nil {
			th.eng.log.Debug("close", "fd", l.fd, "err", err)
		}
	}
	delete(th.adrift, l)
	th.unqueue(l.own())
	if w := l.stream(); w != nil && !w.gone {
		if th.leaving == nil {
			th.leaving = map[*link]struct{}{}
		}
		th.leaving[l] = struct{}{} // the engine's Closed follows
		return
	}
	th.forget(l)
}

// forget counts a link out, when nothing of it is left anywhere.
func (th *Thread) forget(l *link) {
	if l.is(lfForgotten) {
		return
	}
	l.flags |= lfForgotten
	delete(th.leaving, l)
	th.nlinks--
	if l.is(lfCounted) {
		l.flags &^= lfCounted
		th.release()
	}
}

// drift notes a link that lives on without being watched.
func (th *Thread) drift(l *link) {
	if th.adrift == nil {
		th.adrift = map[*link]struct{}{}
	}
	th.adrift[l] = struct{}{}
}

// rescue is the one recover of an entry: it blames the conn in service.
func (th *Thread) rescue() {
	v := recover()
	if v == nil {
		return
	}
	if th.inLoop { // a stream's engine
		th.cur, th.curConn = nil, nil
		th.blame(v)
		return
	}
	th.panicked(v)
}

// blame notes a panic in the loop's own callback: its owner's business, not a handler's.
func (th *Thread) blame(v any) {
	th.inLoop = false
	if !th.inTurn() {
		panic(v)
	}
	th.thrown = v
}

// errHook is why a descriptor is not watched if the loop's Add panics.
var errHook = errors.New("core: the loop's callback panicked")

// hooked ends a call of the loop's, which may have panicked.
func (th *Thread) hooked(err *error) {
	th.inLoop = false
	if v := recover(); v != nil {
		*err = errHook
		th.blame(v)
	}
}

// AdjustTimeout says how long the loop may sleep: 0 if work is pending that no
// descriptor announces, else the lesser of d and the time to the next deadline;
// d < 0 is for ever. It calls nothing and costs no system call. After the end of the
// engine it is d. Loop thread only.
func (th *Thread) AdjustTimeout(d time.Duration) time.Duration {
	if th.pendingWork() {
		return 0
	}
	when, ok := th.nextDeadline()
	if !ok {
		th.armedFor = never
		return d
	}
	th.fresh = false
	left := time.Duration(when - th.now())
	if left <= 0 {
		return 0
	}
	th.armedFor = when
	if d < 0 || left < d {
		return left
	}
	return d
}

// NextDeadline returns when the earliest timer is due on the backend's clock,
// false if none is armed. Loop thread only.
func (th *Thread) NextDeadline() (time.Time, bool) {
	when, ok := th.nextDeadline()
	if !ok {
		return time.Time{}, false
	}
	return th.eng.start.Add(time.Duration(when)), true
}

// never is later than every deadline.
const never = 1<<63 - 1

func (th *Thread) nextDeadline() (int64, bool) {
	if th.end.phase == endOver { // the timers that are left never run
		return never, false
	}
	a, aok := th.limits.Next()
	b, bok := th.timers.Next()
	switch {
	case aok && (!bok || a <= b):
		return a, true
	case bok:
		return b, true
	}
	return never, false
}

// deadlineMoved tells a loop that sleeps on a timer of its own when, outside a
// turn, the earliest deadline has become earlier.
func (th *Thread) deadlineMoved() {
	if th.rearm == nil || th.inTurn() {
		return
	}
	if when, ok := th.nextDeadline(); ok && when < th.armedFor {
		th.armedFor = when
		th.rearm.Rearm()
	}
}

// outsideTurn tells such a loop of work and deadlines that an entry has made
// which is not part of a turn: nobody asks AdjustTimeout after it.
func (th *Thread) outsideTurn() {
	if th.rearm == nil {
		return
	}
	if th.pendingWork() {
		th.armedFor = 0
		th.rearm.Rearm()
		return
	}
	th.deadlineMoved()
}

// Hosted reports whether a loop turns this thread: false once the engine has
// ended or is detached. Loop thread only.
func (th *Thread) Hosted() bool { return th.hosted.Load() }

// addPollFD, delPollFD and changePollFD are the only callers of the loop.

func (th *Thread) addPollFD(l *link, ev loop.Events) error {
	fd := int(l.fd)
	if err := th.callAdd(fd, ev); err != nil {
		return err
	}
	th.table.Set(fd, l)
	l.flags |= lfWatched
	l.mask = ev
	th.stats.Adds++
	return nil
}

func (th *Thread) callAdd(fd int, ev loop.Events) (err error) {
	defer th.hooked(&err)
	th.inLoop = true
	return th.loop.AddPollFD(fd, ev)
}

func (th *Thread) delPollFD(l *link) {
	var err error
	defer th.hooked(&err)
	th.table.Set(int(l.fd), nil)
	l.flags &^= lfWatched
	l.mask = 0
	th.stats.Dels++
	th.inLoop = true
	th.loop.DelPollFD(int(l.fd))
}

func (th *Thread) changePollFD(l *link, ev loop.Events) {
	var err error
	defer th.hooked(&err)
	prev := l.mask
	l.mask = ev
	th.stats.Changes++
	th.inLoop = true
	th.loop.ChangeModePollFD(int(l.fd), prev, ev)
}
