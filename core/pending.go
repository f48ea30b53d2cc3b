package core

import (
	"slices"

	"anyloop/core/loop"
)

// turnBatch bounds what one turn does of each kind of work that may be there for
// every connection at once: pending conns, ripe limits, ripe timers, and links that
// are told of the engine's end or their vhost's. The rest follows in the next
// turns, in order, and AdjustTimeout is 0 until then; descriptors, posts and the
// other kinds have their share in between. So a million Pings that are due at the
// same moment, or a million closes, never hold up the loop for longer than 1024 of
// them take.
const turnBatch = 1024

// testVisit is told of each link that is served because of pending work, a time
// limit or the end of the engine or its vhost. Tests only.
var testVisit func(*link)

// visit begins the service of a link that no descriptor has announced.
func (th *Thread) visit(l *link) {
	if testVisit != nil {
		testVisit(l)
	}
	th.begin(l)
}

// queue puts c on the thread's pending list: work that no descriptor event will
// trigger. It is done by ServicePending.
func (th *Thread) queue(c *Conn) {
	if c.flags&cfQueued != 0 || c.link.is(lfDead) {
		return
	}
	c.flags |= cfQueued
	th.pend = append(th.pend, c)
	th.npend++
	if th.npend == 1 && th.rearm != nil && !th.inTurn() {
		th.armedFor = 0
		th.rearm.Rearm()
	}
}

// unqueue forgets c; its place in the list is passed over.
func (th *Thread) unqueue(c *Conn) {
	if c.flags&cfQueued != 0 {
		c.flags &^= cfQueued
		th.npend--
	}
}

// pendingWork reports whether ServicePending has something to do now, ripe timers
// aside.
func (th *Thread) pendingWork() bool {
	return th.npend > 0 || len(th.parting) > 0 || th.shakes.pending() || !th.ready || th.posts.left() || th.end.due(th)
}

// ServicePending runs ripe timers and all work that no descriptor announces: a
// snapshot of it, so that work which makes work cannot hold up the loop, and of
// each kind at most 1024 pieces. If some is left AdjustTimeout returns 0. After the end
// of the engine it does nothing. Loop thread only.
func (th *Thread) ServicePending() {
	if !th.enter("ServicePending") {
		return
	}
	if th.end.phase == endOver {
		th.leave()
		return
	}
	if !th.ready {
		th.start()
	}
	th.shakes.left = th.eng.limits.ShakeBatch
	th.expire()
	th.runLeftPosts()
	th.servePending()
	th.servePartings()
	th.shakes.serve(th)
	th.end.step(th)
	th.leave()
}

// servePending serves what was pending before, at most turnBatch of it. What that
// leaves to be done comes behind the rest.
func (th *Thread) servePending() {
	if th.npend == 0 {
		th.pend = cleared(th.pend)
		return
	}
	batch := th.pend
	th.pend = th.spare[:0]
	n := min(len(batch), turnBatch)
	for i, c := range batch[:n] {
		batch[i] = nil
		if c.flags&cfQueued == 0 {
			continue
		}
		th.unqueue(c)
		th.serveConn(c)
	}
	if n == len(batch) {
		th.spare = batch[:0]
		return
	}
	left, fresh := batch[n:], th.pend
	if len(left) <= turnBatch {
		left = slices.Clone(left) // lets go of the long list
	}
	th.pend = append(left, fresh...)
	th.spare = cleared(fresh)
}

// cleared returns the memory of a list for use, unless it is that of a long one.
func cleared(list []*Conn) []*Conn {
	if cap(list) > 4*turnBatch {
		return nil
	}
	clear(list)
	return list[:0]
}

// serveConn does what c waits for.
func (th *Thread) serveConn(c *Conn) {
	l := c.link
	if l.is(lfDead) {
		return
	}
	defer th.rescue()
	th.visit(l)
	if w := l.stream(); w != nil && w.noted != 0 {
		w.recall()
	}
	if c.flags&cfClose != 0 {
		c.closing(c.cause())
	}
	if c == l.own() && l.flags&lfDoomed == 0 && c.pause == 0 {
		if len(l.tail()) > 0 || l.is(lfEOF|lfHolds) {
			l.resumeInput()
		}
		if l.is(lfTLS) {
			l.unseal()
		}
		if l.is(lfHangup) && !l.is(lfWatched) && l.mayRead() {
			l.service(loop.In)
			if l.mayRead() && l.stream() == nil { // a stream's engine feeds it
				th.queue(c)
			}
		}
	}
	c.offer()
	th.finishService(l)
}

// offerAll gives the link's conns what they asked for during its service.
func (l *link) offerAll() {
	if l.flags&(lfDoomed|lfDead) == 0 {
		l.own().offer()
	}
}

// expire runs what was ripe and armed before, at most turnBatch limits and as many
// timers: the earliest first. Timers have a share of their own, so that a user's
// does not wait until a million limits are through.
func (th *Thread) expire() {
	th.limits.Begin()
	th.timers.Begin()
	if when, ok := th.nextDeadline(); !ok || when > th.now() {
		return
	}
	now := th.now()
	for range turnBatch {
		n := th.limits.Expire(now)
		if n == nil {
			break
		}
		th.expireLink(n.Owner)
	}
	for range turnBatch {
		n := th.timers.Expire(now)
		if n == nil {
			break
		}
		th.runTimer(n.Owner)
	}
}

func (th *Thread) expireLink(l *link) {
	defer th.rescue()
	th.visit(l)
	l.expired()
	l.offerAll()
	th.finishService(l)
}

func (th *Thread) runTimer(fire func()) {
	defer th.rescue()
	fire()
}
