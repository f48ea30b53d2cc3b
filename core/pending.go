package core

import "anyloop/core/loop"

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
	return th.npend > 0 || th.shakes.pending() || !th.ready || th.posts.left() || th.end.due(th)
}

// ServicePending runs ripe timers and all work that no descriptor announces: a
// snapshot of it, so that work which makes work cannot hold up the loop. Loop
// thread only.
func (th *Thread) ServicePending() {
	if !th.enter("ServicePending") {
		return
	}
	if !th.ready {
		th.start()
	}
	th.shakes.left = th.eng.limits.ShakeBatch
	th.expire()
	th.runLeftPosts()
	th.servePending()
	th.shakes.serve(th)
	th.end.step(th)
	th.leave()
}

func (th *Thread) servePending() {
	if th.npend == 0 {
		th.pend = th.pend[:0]
		return
	}
	batch := th.pend
	th.pend = th.spare[:0]
	for i, c := range batch {
		batch[i] = nil
		if c.flags&cfQueued == 0 {
			continue
		}
		th.unqueue(c)
		th.serveConn(c)
	}
	th.spare = batch[:0]
}

// serveConn does what c waits for.
func (th *Thread) serveConn(c *Conn) {
	l := c.link
	if l.is(lfDead) {
		return
	}
	defer th.rescue()
	th.begin(l)
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

// expire runs what is ripe. Every limit ends or moves something, so the number
// of callbacks is bounded by what was armed before.
func (th *Thread) expire() {
	th.limits.Begin()
	th.timers.Begin()
	if when, ok := th.nextDeadline(); !ok || when > th.now() {
		return
	}
	now := th.now()
	for n := th.limits.Expire(now); n != nil; n = th.limits.Expire(now) {
		th.expireLink(n.Owner)
	}
	for n := th.timers.Expire(now); n != nil; n = th.timers.Expire(now) {
		th.runTimer(n.Owner)
	}
}

func (th *Thread) expireLink(l *link) {
	defer th.rescue()
	th.begin(l)
	l.expired()
	l.offerAll()
	th.finishService(l)
}

func (th *Thread) runTimer(fire func()) {
	defer th.rescue()
	fire()
}
