package core

import (
	"anyloop/core/h1"
)

// h1Role is a link that speaks HTTP/1.1 as a server.
type h1Role struct {
	baseRole
	site    *site
	parser  h1.Parser
	body    h1.BodyReader
	req     *Request // the transaction, nil between two
	h       HTTPHandler
	mount   *mounted // what h was made for
	bind    *binding
	since   int64 // begin of the header, ns
	served  int   // requests in this pass
	phase   h1Phase
	bodyOn  bool // the request's body is not complete
	drop    bool // its rest is dropped
	keep    bool // the connection may serve another request
	inInput bool
	waiting bool        // for a header table
	plain   PlainPolicy // of requests that come without TLS where it is spoken
}

// h1Phase is where the connection is:
//
//	idle --first byte--> head --header complete--> busy --response and body complete--> idle
//	                                                    \--upgrade--> (ws role)
//	any  --refused, or no keep-alive--> over
type h1Phase uint8

const (
	h1Idle h1Phase = iota
	h1Head
	h1Busy
	h1Over
)

// Phases of the link's limit.
const (
	phaseHandshake  uint8 = 0x20 + iota // from accept to the first byte
	phaseHeader                         // a header that is incomplete
	phaseHeaderIdle                     // the same, without a byte
	phaseKeepAlive
	phaseContent
)

func (*h1Role) name() string { return "h1" }

func (r *h1Role) handler(*Conn) any { return r.h }

// accepted starts the first limit.
func (r *h1Role) accepted(l *link) {
	r.since = l.th.now()
	l.arm(phaseHandshake, l.own().limits().HandshakeTimeout)
}

func (r *h1Role) input(l *link, p []byte) int {
	r.inInput = true
	defer func() {
		r.inInput = false
		r.left(l)
	}()
	c := l.own()
	used := 0
	for l.flags&(lfDoomed|lfDead) == 0 {
		if l.role != role(r) {
			return used + l.role.input(l, p[used:])
		}
		if l.is(lfFinish) || r.phase == h1Over {
			return len(p)
		}
		if c.pause != 0 {
			if used < len(p) {
				l.flags |= lfAgain // what is left needs no more bytes, only the resume
			}
			return used
		}
		if r.phase == h1Busy && !r.bodyOn {
			if used < len(p) {
				l.flags |= lfNoRead // the next request waits in the tail, what follows in the kernel
			}
			return used
		}
		if used == len(p) {
			return used
		}
		n, more := r.step(l, p[used:])
		used += n
		if !more {
			return used
		}
	}
	return len(p)
}

// step consumes one thing: header bytes or body bytes.
func (r *h1Role) step(l *link, p []byte) (n int, more bool) {
	if r.phase == h1Busy {
		return r.bodyBytes(l, p)
	}
	if r.phase == h1Idle && !r.begin(l) {
		return 0, false
	}
	req := r.req
	done, n, err := r.parser.Next(p, &req.head, req.table, &l.own().vh().h1Limits)
	switch {
	case err != nil:
		r.refuse(l, err)
		return len(p), false
	case !done:
		r.headProgress(l)
		return n, false
	}
	l.th.stats.Requests++
	r.dispatch(l)
	return n, true
}

// begin takes a header table for the next request, or waits for one.
func (r *h1Role) begin(l *link) bool {
	c := l.own()
	if l.choked() {
		l.flags |= lfNoRead // the last response is not out yet
		return false
	}
	if lim := c.limits(); r.served >= lim.Pipeline && lim.Pipeline > 0 {
		r.served = 0
		l.flags |= lfAgain
		l.th.queue(c)
		return false
	}
	if l.phase != phaseHandshake && !r.waiting {
		r.since = l.th.now()
	}
	t := l.th.headers.get(c, c.limits())
	if t == nil {
		l.flags |= lfAgain
		return false
	}
	r.waiting = false
	r.served++
	r.phase = h1Head
	r.parser = h1.Parser{}
	r.req = l.th.newRequest(c, t)
	r.req.w.r = r.req
	return true
}

// headProgress bounds an incomplete header in total and between bytes.
func (r *h1Role) headProgress(l *link) {
	lim := l.own().limits()
	now := l.th.now()
	end, idle := int64(never), int64(never)
	if lim.HandshakeTimeout > 0 {
		end = r.since + int64(lim.HandshakeTimeout)
	}
	if lim.HeaderIdleTimeout > 0 {
		idle = now + int64(lim.HeaderIdleTimeout)
	}
	switch {
	case idle == never && end == never:
		l.disarm()
	case idle < end:
		l.arm(phaseHeaderIdle, lim.HeaderIdleTimeout)
	default:
		l.armAt(phaseHeader, end)
	}
}

// dispatch finds who answers a complete header.
func (r *h1Role) dispatch(l *link) {
	c, req := l.own(), r.req
	r.phase = h1Busy
	r.keep = req.head.KeepAlive && !l.th.stoppingNow()
	r.body.Init(req.head.ContentLength, req.head.Chunked, c.limits().MaxBody)
	r.bodyOn = req.head.Chunked || req.head.ContentLength > 0
	r.drop = false
	if !r.toVHost(l) {
		r.rearm(l)
		r.respondError(l, 421, "")
		return
	}
	if r.plain != PlainServe {
		r.rearm(l)
		if r.answerPlain(l) {
			return
		}
	}
	if req.head.UpgradeWS {
		r.upgrade(l) // a WebSocket has limits of its own
		return
	}
	m := c.vh().mountFor(req.head.Path())
	if !r.route(l, m) {
		r.rearm(l)
		r.respondError(l, 404, "")
		return
	}
	if m != nil {
		req.mount = m.Path
	}
	c.flags |= cfInside
	c.calling("Request")
	if m == nil || !m.ReuseRequests {
		req.shown = true
	}
	err := r.h.Request(c, req)
	c.called()
	c.flags &^= cfInside
	if err != nil || c.flags&cfAsked == 0 || r.bodyOn || req.head.ContentLength == 0 || !c.mayWrite() {
		r.rearm(l) // else it is about to answer: most are done then, and need no limit
	}
	if !c.after(err) {
		return
	}
	if req.head.ContentLength == 0 {
		r.bodyDone(l) // an empty body that was announced has its end too
		return
	}
	c.offer()
	if req.head.Expect100 && r.bodyOn && r.req == req && !req.w.headed && l.flags&(lfDoomed|lfFinish) == 0 {
		// RFC 9110 10.1.1: the handler wants the body.
		b := l.outbuf(32)
		*b = append(*b, "HTTP/1.1 100 Continue\r\n\r\n"...)
	}
}

// afterHandler looks at what a callback returned and lets the handler write.
func (r *h1Role) afterHandler(l *link, err error) {
	c := l.own()
	if c.after(err) {
		c.offer()
	}
}

func (r *h1Role) bodyBytes(l *link, p []byte) (n int, more bool) {
	data, n, done, err := r.body.Next(p)
	if err != nil {
		r.refuse(l, err)
		return len(p), false
	}
	r.rearm(l)
	if len(data) > 0 && !r.drop {
		r.deliver(l, data)
	}
	if l.flags&(lfDoomed|lfFinish) != 0 {
		return n, false
	}
	if done {
		r.bodyOn = false
		r.bodyDone(l)
		return n, true
	}
	return n, n > 0
}

func (r *h1Role) deliver(l *link, data []byte) {
	h, ok := r.h.(BodyHandler)
	if !ok {
		return
	}
	c := l.own()
	c.flags |= cfInside
	c.calling("Body")
	err := h.Body(c, data)
	c.called()
	c.flags &^= cfInside
	if debugging {
		spoil(data)
	}
	r.afterHandler(l, err)
}

func (r *h1Role) bodyDone(l *link) {
	c := l.own()
	var err error
	if h, ok := r.h.(BodyHandler); ok && !r.drop {
		c.flags |= cfInside
		c.calling("BodyDone")
		err = h.BodyDone(c)
		c.called()
		c.flags &^= cfInside
	}
	r.afterHandler(l, err)
	r.maybeNext(l)
}

func (r *h1Role) writable(c *Conn) {
	req := r.req
	if req == nil || r.h == nil || r.phase != h1Busy {
		return // of the next request the handler has not heard yet
	}
	w := &req.w
	if w.ended {
		return
	}
	w.live, w.used = true, false
	c.calling("Writable")
	err := r.h.Writable(c, w)
	c.called()
	w.live = false
	if !c.after(err) {
		return
	}
	if w.ended {
		r.maybeNext(c.link)
	}
	if r.req == req && (w.used || c.link.phase != phaseContent) {
		r.rearm(c.link)
	}
}

// maybeNext ends the transaction when both directions are complete.
func (r *h1Role) maybeNext(l *link) {
	req := r.req
	if req == nil || !req.w.ended || l.flags&(lfDoomed|lfFinish) != 0 {
		return
	}
	if r.bodyOn {
		// The handler answered without waiting for the body: what is left
		// of it is dropped before the next request.
		r.drop = true
		if !r.keep || req.head.Expect100 {
			r.endTransaction(l)
		}
		return
	}
	r.endTransaction(l)
}

func (r *h1Role) endTransaction(l *link) {
	c := l.own()
	unread := r.bodyOn || l.left()
	toClose := r.req.w.toClose || r.bodyOn
	last := l.is(lfEOF) && !r.inInput && !l.left() // else resumeInput comes to it
	r.freeRequest(l)
	l.own().flags &^= cfAsked | cfUnchoke
	if !r.keep || toClose || last || l.th.stoppingNow() || c.vh().removed.Load() {
		r.phase = h1Over
		l.finish(nil, unread)
		return
	}
	r.phase = h1Idle
	l.flags &^= lfNoRead
	l.arm(phaseKeepAlive, c.limits().KeepAliveTimeout)
	if !r.inInput && l.left() {
		l.th.queue(c)
	}
}

// freeRequest gives the header table back; the request is over.
func (r *h1Role) freeRequest(l *link) {
	if r.req == nil {
		return
	}
	t := r.req.table
	r.req.table = nil
	r.req.head = h1.Request{}
	l.th.oldRequest(r.req)
	r.req = nil
	l.th.headers.put(t)
}

func (r *h1Role) drained(l *link) {
	l.own().flags |= cfUnchoke
	if r.phase == h1Idle {
		l.flags &^= lfNoRead
		if l.left() {
			l.th.queue(l.own())
		}
	}
}

func (r *h1Role) progressed(l *link) {
	if r.phase == h1Busy {
		r.rearm(l)
	}
}

// eof: the peer sends no more. It may still want its answer (a half-close).
func (r *h1Role) eof(l *link) {
	switch {
	case r.phase == h1Busy && !r.bodyOn:
		if r.req != nil && r.req.w.held {
			l.doom(l.peerGone()) // nobody waits for an answer that may never come
			return
		}
		r.keep = false
	case r.phase == h1Idle && !l.left():
		l.finish(nil, false)
	default:
		r.phase = h1Over
		l.quit(l.peerGone())
	}
}

func (r *h1Role) pausing(c *Conn, paused bool) {
	l := c.link
	lim := c.limits()
	if paused {
		l.disarm()
		if r.waiting = c.pause == pauseHeader; r.waiting && lim.HandshakeTimeout > 0 {
			// Waiting for a header table is bounded like sending a
			// header: or slow senders would make the queue endless.
			l.armAt(phaseHeader, r.since+int64(lim.HandshakeTimeout))
		}
		return
	}
	switch r.phase {
	case h1Idle, h1Head:
		if !r.waiting {
			r.since = l.th.now()
		}
		r.headProgress(l)
	case h1Busy:
		r.rearm(l)
	}
}

func (r *h1Role) stop(l *link) {
	r.keep = false
	if r.phase == h1Idle && !l.left() {
		r.phase = h1Over
		l.finish(l.th.farewell(), false)
	}
}

func (r *h1Role) gone(l *link, err error) {
	r.freeRequest(l)
	l.own().end(err)
}
