package core

import "sync"

// outReach is what other goroutines reach of an outbox: messages on their way to
// its thread, and how much waits there. It is made by the first that sends.
type outReach struct {
	o   *Outbox
	end endNode

	mu      sync.Mutex
	items   []outItem // on their way
	bytes   int       // of these
	waits   int       // messages that wait at the thread
	held    int       // bytes of these
	dropped uint64    // on their way, by DropOldest
	posted  bool      // the thread has been told
	slow    bool      // CloseSlow: somebody found it full
	closed  bool      // the conn is over
	hooked  bool      // on the conn's list of those to be told; loop thread only
}

// SendFrom is Send from any goroutine. m.Data is copied. What is on its way to
// the conn's thread counts with what waits there: when they reach OutboxBytes or
// OutboxCount the outbox is full, and the policy decides as it does for Send,
// except that PauseSource pauses nothing before the messages have arrived. A
// message that was taken is not refused later, but DropOldest may drop it and it
// is lost if the connection closes. One goroutine's messages keep their order.
// Errors: ErrConnClosed after the conn's end, ErrTooLong, ErrFull, ErrStopped
// after the engine's. Any goroutine.
func (o *Outbox) SendFrom(m Message) error {
	if err := o.mayTake(len(m.Data)); err != nil {
		return err
	}
	return o.from(outItem{data: append([]byte(nil), m.Data...), binary: m.Binary})
}

// SendSharedFrom is SendShared from any goroutine; see SendFrom. Any goroutine.
func (o *Outbox) SendSharedFrom(s *Shared) error {
	if err := o.mayTake(s.Len()); err != nil {
		return err
	}
	return o.from(outItem{shared: s})
}

// mayTake says in advance what from will say, so that nothing is copied for an
// outbox that is full.
func (o *Outbox) mayTake(size int) error {
	if over(size, o.kind.lim.WriteLimit) {
		return ErrTooLong
	}
	r := o.reach.Load()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return ErrConnClosed
	case o.kind.policy == Refuse || o.kind.policy == PauseSource:
		if r.full(size) {
			return ErrFull
		}
	}
	return nil
}

// full reports whether a message of that size would be too much.
func (r *outReach) full(size int) bool {
	n := len(r.items) + r.waits
	return n > 0 && r.o.exceeds(r.bytes+r.held+size, n+1)
}

// from takes a message and sees to it that the thread looks: one post for all
// that come before it turns.
func (o *Outbox) from(it outItem) error {
	r := o.reach.Load()
	if r == nil {
		fresh := &outReach{o: o}
		fresh.end.owner = fresh
		o.reach.CompareAndSwap(nil, fresh)
		r = o.reach.Load()
	}
	r.mu.Lock()
	err := r.accept(it)
	post := !r.posted && (err == nil || r.slow)
	r.posted = r.posted || post
	r.mu.Unlock()
	if !post {
		return err
	}
	if perr := o.c.link.th.post(o.arrived, false); perr != nil {
		r.close()
		return perr
	}
	return err
}

// accept puts it among those on their way.
func (r *outReach) accept(it outItem) error {
	if r.closed {
		return ErrConnClosed
	}
	size := it.size()
	switch r.o.kind.policy {
	case DropOldest:
		for len(r.items) > 0 && r.o.exceeds(r.bytes+size, len(r.items)+1) {
			r.bytes -= r.items[0].size()
			r.items[0] = outItem{}
			r.items = r.items[1:]
			r.dropped++
		}
	case CloseSlow:
		if r.slow = r.slow || r.full(size); r.slow {
			return ErrFull
		}
	default:
		if r.full(size) {
			return ErrFull
		}
	}
	r.items = append(r.items, it)
	r.bytes += size
	return nil
}

// lock keeps other goroutines away from an outbox that they reach; unlock tells
// them what waits now.
func (o *Outbox) lock() *outReach {
	r := o.reach.Load()
	if r != nil {
		r.mu.Lock()
	}
	return r
}

func (o *Outbox) unlock(r *outReach) {
	if r == nil {
		return
	}
	r.waits, r.held = 0, 0
	if q := o.q; q != nil {
		r.waits, r.held = q.len(), q.bytes
	}
	r.mu.Unlock()
}

// publish tells other goroutines what waits now.
func (o *Outbox) publish() { o.unlock(o.lock()) }

// takeOver puts what is on its way behind what waits. r is locked, or nil.
func (o *Outbox) takeOver(r *outReach) {
	if r == nil || r.closed || len(r.items) == 0 && r.dropped == 0 {
		return
	}
	q := o.queue()
	q.dropped += r.dropped
	for _, it := range r.items {
		o.room(it.size(), false)
		q.push(it)
	}
	clear(r.items)
	r.bytes, r.dropped = 0, 0
	if r.items = r.items[:0]; cap(r.items) > 64 {
		r.items = nil
	}
}

// arrived is the post: messages have come.
func (o *Outbox) arrived() {
	r := o.reach.Load()
	if o.c.state == stDead {
		r.close()
		return
	}
	if !r.hooked {
		r.hooked = true
		o.c.onEnd(&r.end)
	}
	r.mu.Lock()
	r.posted = false
	slow := r.slow
	o.takeOver(r)
	o.unlock(r)
	switch {
	case o.over():
		r.close()
	case slow:
		o.full()
	case o.Len() > 0:
		o.serve()
	}
}

// connEnded implements the conn's list.
func (r *outReach) connEnded() { r.close() }

// close makes every later send fail.
func (r *outReach) close() {
	r.mu.Lock()
	r.closed, r.items, r.bytes = true, nil, 0
	r.mu.Unlock()
}

// serve puts the link in service to send what waits, from a post or a timer.
func (o *Outbox) serve() {
	if !o.mayServe() {
		o.wait()
		return
	}
	l := o.c.link
	defer l.th.rescue()
	l.th.begin(l)
	if err := o.pump(); err != nil {
		o.c.closing(err)
	}
	l.th.finishService(l)
}

// mayServe reports whether the link can be put in service now, for a message at
// least.
func (o *Outbox) mayServe() bool {
	l := o.c.link
	if l.th.cur != nil || !o.c.mayWrite() {
		return false
	}
	if w := l.stream(); w != nil && w.noted != 0 {
		return false
	}
	r, ok := l.role.(*wsRole)
	return ok && !r.is(wsTxOpen)
}

// cast is SendShared from a post or a timer: what can go out at once does.
func (o *Outbox) cast(s *Shared) (err error) {
	if o.castPlain(s) {
		return nil
	}
	if o.over() {
		return ErrConnClosed
	}
	if o.Len() > 0 || !o.mayServe() {
		return o.SendShared(s)
	}
	l := o.c.link
	defer l.th.rescue()
	l.th.begin(l)
	err = o.c.sendShared(s)
	l.th.finishService(l)
	return err
}

// castPlain is cast to a peer like most: nothing waits, nothing lies under the link
// but its descriptor, no compression. It reports false if that is not so; then
// nothing has happened.
func (o *Outbox) castPlain(s *Shared) bool {
	l := o.c.link
	th := l.th
	r, ok := l.role.(*wsRole)
	if !ok || o.q != nil || l.store != nil || th.cur != nil || l.conn.state != stOpen || l.flags&lfMute != 0 ||
		r.rare != nil || r.bits&(wsClient|wsTxOpen) != 0 || over(s.Len(), o.kind.lim.WriteLimit) {
		return false
	}
	th.begin(l)
	th.stats.Sent++
	l.sendShared(s.plain)
	if l.store == nil && l.flags&lfMute == 0 {
		th.cur = nil // the peer has it, and the loop need not be told anything
		return true
	}
	o.castEnd()
	return true
}

// castEnd ends the service of castPlain; that may be the end of the conn, too.
func (o *Outbox) castEnd() {
	l := o.c.link
	defer l.th.rescue()
	l.th.finishService(l)
}
