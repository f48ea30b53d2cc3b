package core

import (
	"time"

	"anyloop/core/loop"
	"anyloop/core/timer"
)

// link is one network connection or descriptor: what is below the protocol. It
// owns the wire, what the wire refused, what was received too early, the
// interest mask and the one time limit that is running.
type link struct { // its conn is in the same allocation
	th    *Thread
	role  role
	store *linkStore
	limit timer.Node[*link]
	fd    int32
	mask  loop.Events // what the loop was told
	flags linkFlags
	phase uint8 // the role's own: which limit is running
	conn  Conn
}

// linkStore is what a link keeps only in need: an idle one has none.
type linkStore struct {
	wire wire       // what lies below; nil: a descriptor of the operating system
	rest []byte     // refused by the wire, already in wire format; ours
	base []byte     // a large buffer that rest lies in, for reuse
	ref  []byte     // behind it: the same, but shared with other links and never written to
	tail []byte     // received, not consumed; ours
	into *Assembler // where to, with lfInto
	err  error      // why the link is doomed
}

type linkFlags uint32

const (
	lfWatched    linkFlags = 1 << iota // the loop watches fd
	lfDoomed                           // ends when its service ends
	lfDead                             // ended
	lfEOF                              // the peer's end of stream was read
	lfNoRead                           // the role wants no input, for good or for now
	lfTxDead                           // the wire takes no more; what is written is dropped
	lfHangup                           // hung up and confirmed; not watched, read what is left
	lfAgain                            // input was left that needs no more bytes to be consumed
	lfFinish                           // end when the rest is sent
	lfLinger                           // read and drop until the peer stops
	lfCounted                          // counts as a connection of the thread
	lfReady                            // its role reads the descriptor itself
	lfKeepFD                           // somebody else closes the descriptor
	lfWantOut                          // a role that writes itself waits for the descriptor
	lfParked                           // the next loop is to watch it
	lfForgotten                        // counted out
	lfHandshake                        // a client's opening handshake: no pause holds back its input
	lfHolds                            // the role holds input of its own: it goes on without new bytes
	lfInto                             // what is received goes straight into a message
	lfTLS                              // its wire is a tlsWire: what it sends and receives is encrypted
	lfShaking                          // and the handshake is not complete
	lfShakeTurn                        // waits for a step of its handshake
	lfShakePlace                       // waits for a place among the handshakes
	lfShakeGiven                       // has been given one, and not begun yet
)

// own returns the conn that the link was made with; the only one, except on
// multiplexed links.
func (l *link) own() *Conn { return &l.conn }

// wire returns what lies below the link, nil for a descriptor of the operating
// system.
func (l *link) wire() wire {
	if l.store == nil {
		return nil
	}
	return l.store.wire
}

// setWire puts the link over w.
func (l *link) setWire(w wire) {
	l.keep().wire = w
	l.shrink()
}

func (th *Thread) newLink(fd int, r role) *link {
	l := &link{}
	c := &l.conn
	l.th, l.role, l.fd = th, r, int32(fd)
	l.limit.Owner = l
	if th.kernel != nil {
		l.setWire(kernelWire{th.kernel})
	}
	c.link = l
	c.id = th.nextID()
	th.nlinks++
	return l
}

// lfMute: nothing can be written.
const lfMute = lfDoomed | lfDead | lfTxDead | lfFinish

func (l *link) is(f linkFlags) bool { return l.flags&f != 0 }

// keep returns the store, making it.
func (l *link) keep() *linkStore {
	if l.store == nil {
		l.store = l.th.newStore()
	}
	return l.store
}

// shrink drops the store when nothing is in it.
func (l *link) shrink() {
	if s := l.store; s != nil && s.wire == nil && s.rest == nil && s.ref == nil && s.tail == nil && s.into == nil && s.err == nil {
		l.th.oldStore(s)
		l.store = nil
	}
}

// newStore returns an empty store, a used one if there is one.
func (th *Thread) newStore() *linkStore {
	n := len(th.stores)
	if n == 0 {
		return &linkStore{}
	}
	s := th.stores[n-1]
	th.stores = th.stores[:n-1]
	return s
}

// oldStore keeps a store for reuse: only its link has known it.
func (th *Thread) oldStore(s *linkStore) {
	if len(th.stores) < spareRoles {
		*s = linkStore{}
		th.stores = append(th.stores, s)
	}
}

// empty drops what is in the store but the wire.
func (l *link) empty() {
	s := l.store
	switch {
	case s == nil:
	case s.wire == nil:
		l.store = nil
		l.th.oldStore(s)
	default:
		*s = linkStore{wire: s.wire}
	}
}

// cause returns why the link ends, nil for a normal end.
func (l *link) cause() error {
	if l.store == nil {
		return nil
	}
	return l.store.err
}

// choked reports whether the wire has refused bytes that still wait.
func (l *link) choked() bool { return l.store != nil && len(l.store.rest)+len(l.store.ref) > 0 }

func (l *link) tail() []byte {
	if l.store == nil {
		return nil
	}
	return l.store.tail
}

// left reports whether something was received and has not reached the role yet.
func (l *link) left() bool { return len(l.tail()) > 0 || l.sealed() }

// sealed reports whether a whole record waits to be decrypted.
func (l *link) sealed() bool { return l.is(lfTLS) && l.tls().s.Ready() }

// pending returns the number of bytes that the wire has not taken yet.
func (l *link) pending() int {
	n := 0
	if l.store != nil {
		n = len(l.store.rest) + len(l.store.ref)
	}
	if l.th.cur == l {
		n += len(l.th.cork)
	}
	return n + l.held()
}

// watch registers the link with the loop; while the thread is detached, the next
// loop will be told.
func (l *link) watch(events loop.Events) error {
	if l.th.loop == nil {
		l.flags |= lfParked
		l.th.drift(l)
		return nil
	}
	if err := l.th.addPollFD(l, events); err != nil {
		return &TransportError{Op: "add", Err: err}
	}
	return nil
}

// unwatch takes the link out of the loop and the descriptor table.
func (l *link) unwatch() {
	if !l.is(lfWatched) {
		return
	}
	l.th.delPollFD(l)
	if !l.is(lfDead) {
		l.th.drift(l)
	}
}

// wants returns the interest that the link's state calls for.
func (l *link) wants() loop.Events {
	var ev loop.Events
	if l.mayRead() {
		ev |= loop.In
	}
	if l.choked() || l.is(lfWantOut) {
		ev |= loop.Out
	}
	return ev
}

// mayRead reports whether bytes from the wire are welcome now.
func (l *link) mayRead() bool {
	return l.flags&lfEOF == 0 && l.mayTake() && !(l.is(lfTLS) && l.tls().flooded(l))
}

// mayTake reports whether the role takes what has been read.
func (l *link) mayTake() bool {
	if l.flags&(lfNoRead|lfDead|lfDoomed) != 0 {
		return false
	}
	if l.is(lfLinger | lfHandshake) {
		return true
	}
	return l.own().pause == 0 && !l.is(lfAgain)
}

// settle tells the loop the interest, if it changed.
func (l *link) settle() {
	if !l.is(lfWatched) {
		if w := l.stream(); w != nil {
			w.settle()
		}
		return
	}
	if ev := l.wants(); ev != l.mask {
		l.th.changePollFD(l, ev)
	}
}

// arm starts the link's time limit, d from now, replacing the running one; phase
// tells the role which one it was. A negative d is no limit.
func (l *link) arm(phase uint8, d time.Duration) {
	if l.phase >= phaseFlush && phase < phaseFlush {
		return // on its way out: the role's limits are over
	}
	l.phase = phase
	if d < 0 {
		l.th.limits.Stop(&l.limit)
		return
	}
	l.th.limits.Set(&l.limit, l.th.now(), int64(d))
	l.th.deadlineMoved()
}

// armAt starts the link's time limit for a moment on the thread's clock.
func (l *link) armAt(phase uint8, when int64) {
	if l.phase >= phaseFlush && phase < phaseFlush {
		return
	}
	l.phase = phase
	l.th.limits.SetAt(&l.limit, when)
	l.th.deadlineMoved()
}

func (l *link) disarm() {
	if l.phase < phaseFlush {
		l.phase = 0
		l.th.limits.Stop(&l.limit)
	}
}

// Phases of the link's own limits; smaller numbers are the role's.
const (
	phaseFlush  uint8 = 0xf0 + iota // sending what is left before the end
	phaseHangup                     // reading what a gone peer has left
	phaseLinger                     // dropping what a refused peer still sends
)

// expired: the link's limit has come.
func (l *link) expired() {
	lim := l.own().limits()
	switch l.phase {
	case phaseFlush:
		l.doom(&LimitError{"FlushTimeout", lim.FlushTimeout})
	case phaseHangup, phaseLinger:
		l.doom(l.cause())
	default:
		l.role.expire(l)
	}
}

// doom ends the link when its service ends. The first cause wins. Out of
// service it is queued.
func (l *link) doom(err error) {
	if l.flags&(lfDoomed|lfDead) != 0 {
		return
	}
	l.flags |= lfDoomed
	l.keep().err = err
	if l.th.cur != l {
		l.th.queue(l.own())
	}
}
