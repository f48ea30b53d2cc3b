package core

import (
	"errors"
	"io"
)

// rawRole is a link whose bytes are the application's own:
//
//	accepted --first turn--> open --peer's end--> half closed --our end--> over
//	                           \----our end-----> shut --------peer's end--> over
//	any --Close, an error, or the peer's end without PeerEnder--> flushed, over
type rawRole struct {
	baseRole
	bind   *binding
	h      RawHandler // nil before it is open
	w      RawWriter
	heard  int64 // when the peer last sent or took something; kept for IdleTimeout
	paused int64 // when we paused it
	shut   bool  // we send no more
	ended  bool  // the peer sends no more, and PeerEnd was told
}

// phaseRawIdle is the limit while open.
const phaseRawIdle uint8 = 0x50

func newRaw(b *binding) *rawRole { return &rawRole{bind: b} }

func (*rawRole) name() string { return "raw" }

func (r *rawRole) handler(*Conn) any { return r.h }

// accepted has it opened in the first turn of its own.
func (r *rawRole) accepted(l *link) {
	l.disarm()
	l.flags |= lfHolds
	l.th.queue(l.own())
}

// open makes the handler; the link is in service.
func (r *rawRole) open(l *link) {
	c := l.own()
	l.flags &^= lfHolds
	if usable(r.bind) == nil {
		l.doom(ErrUnknownProtocol)
		return
	}
	r.w.c = c
	c.bind(r.bind)
	c.calling("Raw")
	h := r.bind.proto.Raw(c)
	c.called()
	if h == nil {
		l.doom(ErrDrop)
		return
	}
	r.h = h
	c.introduce(h)
	c.flags |= cfOpened
	l.th.stats.Raw++
	r.alive(l)
	var err error
	if o, ok := h.(RawOpener); ok {
		c.flags |= cfInside
		c.calling("Opened")
		err = o.Opened(c)
		c.called()
		c.flags &^= cfInside
	}
	if c.after(err) {
		c.offer()
	}
}

func (r *rawRole) input(l *link, p []byte) int {
	c := l.own()
	if r.h == nil && c.state == stOpen && !l.is(lfDoomed) {
		r.open(l)
	}
	switch {
	case c.state != stOpen || l.flags&(lfDoomed|lfFinish) != 0:
		return len(p) // nothing counts any more
	case len(p) == 0 || l.is(lfNoRead):
		return 0
	case c.pause != 0:
		l.flags |= lfAgain
		return 0
	}
	r.alive(l)
	c.flags |= cfInside
	c.calling("Receive")
	err := r.h.Receive(c, p)
	c.called()
	c.flags &^= cfInside
	if debugging {
		spoil(p)
	}
	if c.after(err) {
		c.offer()
	}
	return len(p)
}

// eof: the peer sends no more.
func (r *rawRole) eof(l *link) {
	c := l.own()
	if r.h == nil && c.state == stOpen {
		r.open(l)
	}
	if r.ended || c.state != stOpen || c.pause != 0 || l.is(lfDoomed) {
		return
	}
	h, ok := r.h.(PeerEnder)
	if !ok {
		c.closing(r.peerEnd(l))
		return
	}
	r.ended = true
	c.flags |= cfInside
	c.calling("PeerEnd")
	err := h.PeerEnd(c)
	c.called()
	c.flags &^= cfInside
	switch {
	case !c.after(err):
	case r.shut:
		c.closing(r.peerEnd(l))
	default:
		c.offer()
	}
}

// peerEnd is what an end of stream is called: over TLS it may have been cut off.
func (r *rawRole) peerEnd(l *link) error {
	if err := l.peerGone(); err != errPeerGone {
		return err
	}
	return io.EOF
}

func (r *rawRole) writable(c *Conn) {
	r.w.live, r.w.used = true, false
	c.calling("Writable")
	err := r.h.Writable(c, &r.w)
	c.called()
	r.w.live = false
	if c.after(err) && r.shut {
		r.endWrite(c.link)
	}
}

// endWrite ends our side as soon as everything is sent.
func (r *rawRole) endWrite(l *link) {
	l.flush()
	switch {
	case l.flags&(lfFinish|lfDoomed|lfTxDead) != 0:
	case r.ended || l.is(lfTLS):
		l.own().closing(r.over(l))
	case l.choked(): // drained comes here again
	case l.wireCloseWrite() != nil:
		l.own().closing(r.over(l))
	}
}

// over is what a connection ends with that CloseWrite has ended.
func (r *rawRole) over(l *link) error {
	if r.ended {
		return r.peerEnd(l)
	}
	return nil
}

// drained: the peer listens again, so we do.
func (r *rawRole) drained(l *link) {
	if !l.is(lfFinish) || l.is(lfLinger) {
		l.flags &^= lfNoRead
	}
	if l.is(lfFinish) {
		return
	}
	l.own().flags |= cfUnchoke
	if l.left() || l.is(lfEOF) {
		l.th.queue(l.own())
	}
	if r.shut {
		r.endWrite(l)
	}
}

// progressed: the wire took some of what waits, or begins to refuse. Nothing is
// read from a peer that does not take what it is sent.
func (r *rawRole) progressed(l *link) {
	if l.choked() && !l.is(lfFinish) {
		l.flags |= lfNoRead
	}
	r.alive(l)
}

func (r *rawRole) allowance(*Conn) int {
	if r.shut || r.h == nil {
		return 0
	}
	return maxAllowance
}

func (r *rawRole) closeConn(c *Conn, cause error) {
	l := c.link
	var te *TransportError
	if errors.Is(cause, ErrDrop) || errors.As(cause, &te) || l.is(lfTxDead) {
		l.doom(cause)
		return
	}
	// Like the end of a WebSocket: a byte that the peer is sending would reset
	// the connection, and the reset destroy what is on its way to it.
	l.finish(cause, l.stream() == nil)
}

func (r *rawRole) stop(l *link) {
	if r.h == nil {
		l.doom(l.th.farewell())
		return
	}
	l.own().closing(l.th.farewell())
}

// alive restarts IdleTimeout.
func (r *rawRole) alive(l *link) {
	if d := l.own().limits().IdleTimeout; d > 0 && l.own().pause == 0 {
		r.heard = l.th.now()
		l.arm(phaseRawIdle, d)
	}
}

// pausing: while we do not listen, the limit stands still.
func (r *rawRole) pausing(c *Conn, paused bool) {
	l := c.link
	d := int64(c.limits().IdleTimeout)
	switch {
	case d <= 0 || c.state != stOpen:
	case paused:
		r.paused = l.th.now()
		l.disarm()
	default:
		r.heard += l.th.now() - r.paused
		l.armAt(phaseRawIdle, r.heard+d)
	}
}

func (r *rawRole) expire(l *link) {
	l.phase = 0
	l.own().closing(&LimitError{"IdleTimeout", l.own().limits().IdleTimeout})
}
