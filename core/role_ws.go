package core

import (
	"anyloop/core/ws"
)

// wsRole is a link that speaks RFC 6455.
type wsRole struct {
	baseRole
	dec   ws.Decoder
	h     WSHandler
	w     WSWriter
	valid int64   // when the peer last proved to be there
	rare  *wsRare // what few connections need at a time
	wrote uint32  // bytes of the write that the writer has accepted
	bits  wsBits
	sub   wsClosing
}

// wsRare is kept apart, so that an idle WebSocket does not pay for it.
type wsRare struct {
	z      *packer // permessage-deflate, if it was agreed upon
	heard  int64   // last message, kept only if IdleTimeout is set
	paused int64   // when we stopped reading, kept while isPaused
	held   int64   // when a pause of ours began that the peer has no part in, kept while isHeld
	pong   []byte  // owed while the output is choked

	isPaused, isHeld bool
}

func (r *wsRole) seldom() *wsRare {
	if r.rare == nil {
		r.rare = &wsRare{}
	}
	return r.rare
}

type wsLimits struct {
	ws.Limits
	small int // the longest message that Decoder.Small may find
}

func newWSLimits(l *Limits) wsLimits {
	lim := wsLimits{ws.Limits{MaxFrame: l.MaxFrame, RxPiece: max(l.RxPiece, 0)}, ws.MaxSmall}
	if l.MaxMessage > 0 {
		lim.MaxMessage = l.MaxMessage
	}
	for _, most := range []int64{lim.MaxFrame, lim.MaxMessage, int64(lim.RxPiece)} {
		if most > 0 {
			lim.small = int(min(int64(lim.small), most))
		}
	}
	return lim
}

// zip returns the connection's compression, nil if there is none.
func (r *wsRole) zip() *packer {
	if r.rare == nil {
		return nil
	}
	return r.rare.z
}

// wsBits is what is so, or not, of a WebSocket.
type wsBits uint16

const (
	wsHasPong      wsBits = 1 << iota // its handler has Pong
	wsHasPeerClose                    // and PeerClose
	wsClient                          // we are the client: our frames are masked
	wsTxOpen                          // an outgoing message lacks its final fragment
	wsPongDue                         // for when the output has drained
	wsPinged                          // a Ping is out, or due
	wsPingDue                         // it waits for the output to drain
	wsLive                            // the writer is lent
	wsUsed                            // and was used
	wsIdles                           // its time without a message is limited
)

func (*wsRole) name() string { return "ws" }

func (r *wsRole) is(b wsBits) bool { return r.bits&b != 0 }

func (r *wsRole) set(b wsBits, on bool) {
	if on {
		r.bits |= b
	} else {
		r.bits &^= b
	}
}

// newWS makes the role of an opened WebSocket; the handler is made by the
// caller, since its maker may look at the conn. z is nil without compression.
func newWS(c *Conn, h WSHandler, side ws.Side, z *packer) *wsRole {
	r := &wsRole{h: h}
	if z != nil {
		r.seldom().z = z
	}
	r.dec.Init(side)
	r.w.c = c
	if side == ws.Client {
		r.bits = wsClient
	}
	r.set(wsIdles, c.limits().IdleTimeout > 0)
	if _, ok := h.(WSPonger); ok {
		r.bits |= wsHasPong
	}
	if _, ok := h.(PeerCloser); ok {
		r.bits |= wsHasPeerClose
	}
	return r
}

func (r *wsRole) input(l *link, p []byte) int {
	c := l.own()
	lim := &c.vh().wsLimits
	if r.zip() != nil {
		if lim = &c.vh().zLimits; !r.inflateHeld(l) {
			return 0
		}
	}
	used := 0
	for used < len(p) {
		if c.pause != 0 && c.state == stOpen {
			l.flags |= lfAgain
			return used
		}
		if r.sub >= wsEchoed || l.flags&(lfDoomed|lfFinish) != 0 {
			return len(p) // nothing counts any more
		}
		if data, op, n := r.dec.Small(p[used:], lim.small, &lim.Limits); n > 0 {
			used += n
			r.receive(c, Fragment{Data: data, Binary: op == ws.Binary, First: true, Final: true})
			continue
		}
		n, more := r.decode(l, p[used:], &lim.Limits)
		if used += n; !more {
			return used
		}
	}
	return used
}

// decode consumes one event.
func (r *wsRole) decode(l *link, p []byte, lim *ws.Limits) (n int, more bool) {
	var ev ws.Event
	n, err := r.dec.Decode(p, lim, &ev)
	if err != nil {
		r.broken(l, err)
		return len(p), false
	}
	if ev.Kind == ws.None {
		return n, false
	}
	r.event(l, &ev)
	if l.is(lfHolds) {
		l.flags |= lfAgain
		return n, false
	}
	return n, true
}

func (r *wsRole) event(l *link, ev *ws.Event) {
	c := l.own()
	switch ev.Kind {
	case ws.Data:
		if c.state != stOpen {
			return
		}
		if ev.Compressed {
			r.inflate(l, ev)
			return
		}
		l.th.fed, l.th.placed = nil, false
		r.receive(c, Fragment{Data: ev.Payload, Binary: ev.Op == ws.Binary,
			First: ev.First, Final: ev.Final, Remaining: ev.Remaining})
		r.aim(l, ev.Remaining)
	case ws.KindPing:
		r.gotPing(l, ev.Payload)
	case ws.KindPong:
		r.proven(l)
		if r.is(wsHasPong) && c.state == stOpen {
			c.calling("Pong")
			err := r.h.(WSPonger).Pong(c, ev.Payload)
			c.called()
			if c.after(err) {
				c.offer()
			}
		}
	case ws.KindClose:
		r.gotClose(l, ev)
	}
}

// aim says where the rest of a frame goes, if there is one.
func (r *wsRole) aim(l *link, left int64) {
	switch {
	case l.is(lfInto):
		if left == 0 {
			l.indirect()
			l.shrink()
		}
	case left > 0:
		l.direct(left)
	}
}

// receive hands one piece to the handler, then, if it asked and the wire takes
// more, the writer: so an echo is answered piece by piece into one cork.
func (r *wsRole) receive(c *Conn, f Fragment) {
	th := c.link.th
	if f.Final {
		th.stats.Messages++
	}
	if r.is(wsIdles) {
		r.seldom().heard = th.now()
		r.rearm(c.link)
	}
	c.flags |= cfInside
	c.calling("Receive")
	err := r.h.Receive(c, f)
	c.called()
	c.flags &^= cfInside
	if debugging && !th.placed {
		spoil(f.Data)
	}
	if th.large.lent != nil {
		th.returned()
	}
	if c.after(err) {
		c.offer()
	}
}

func (r *wsRole) writable(c *Conn) {
	r.bits = r.bits&^wsUsed | wsLive
	c.calling("Writable")
	err := r.h.Writable(c, &r.w)
	c.called()
	r.bits &^= wsLive
	c.after(err)
}

// message sends a whole message; none of fragments is half sent.
func (r *wsRole) message(l *link, lim *Limits, m Message) error {
	if over(len(m.Data), lim.WriteLimit) {
		return ErrTooLong
	}
	l.th.stats.Sent++
	if z := r.zip(); z != nil && z.packs(true, true, len(m.Data)) {
		r.pack(l, m.opcode(), true, true, m.Data)
		return nil
	}
	r.frame(l, m.opcode(), true, m.Data)
	return nil
}

// sendSmall is a short cut for what is sent most: a message of at most most bytes,
// not more than ws.MaxSmall, in answer to one that came, from a server without
// compression, where nothing waits. It goes behind what is corked, if there is room.
// It reports false if any of that is not so; then nothing has happened.
func (l *link) sendSmall(m Message, most int) bool {
	th := l.th
	r, ok := l.role.(*wsRole)
	at, n := len(th.cork), len(m.Data)
	if !ok || th.cur != l || l.choked() || l.conn.state != stOpen || l.flags&lfMute != 0 ||
		r.rare != nil || r.bits&(wsClient|wsTxOpen) != 0 || uint(n) > uint(most) || at+2+n > corkSize || cap(th.cork) < corkSize {
		return false
	}
	th.stats.Sent++
	b := th.cork[:at+2+n]
	b[at] = 0x80 | byte(m.opcode()) // FIN
	b[at+1] = byte(n)
	copy(b[at+2:], m.Data)
	th.cork = b
	return true
}

// data encodes a message or fragment into the link's output.
func (r *wsRole) data(c *Conn, p []byte, op ws.Opcode, first, final bool) error {
	if first == r.is(wsTxOpen) {
		return ErrMessageOrder
	}
	if over(len(p), c.limits().WriteLimit) {
		return ErrTooLong
	}
	r.set(wsTxOpen, !final)
	if !first {
		op = ws.Continuation
	}
	if final {
		c.link.th.stats.Sent++
	}
	if z := r.zip(); z != nil && z.packs(first, final, len(p)) {
		r.pack(c.link, op, first, final, p)
		return nil
	}
	r.frame(c.link, op, final, p)
	return nil
}

func (r *wsRole) frame(l *link, op ws.Opcode, fin bool, p []byte) {
	if r.is(wsClient) {
		b := l.outbuf(ws.MaxHeader + len(p))
		*b = ws.AppendFrame(*b, ws.Header{Fin: fin, Op: op, Masked: true, Mask: l.th.maskKey()}, p)
		return
	}
	if len(p) < writevFrom {
		b := l.outbuf(ws.MaxHeader + len(p))
		*b = ws.AppendPlain(*b, op, fin, p)
		return
	}
	b := l.outbuf(ws.MaxHeader)
	*b = ws.AppendHeader(*b, ws.Header{Fin: fin, Op: op, Length: int64(len(p))})
	l.send(p)
}

func (r *wsRole) drained(l *link) {
	if r.is(wsPongDue) {
		r.sendPong(l)
	}
	if r.sub == wsWantClose {
		r.sendClose(l)
		return
	}
	if r.is(wsPingDue) {
		r.ping(l)
	}
	l.own().flags |= cfUnchoke
}

// gotPing answers with a Pong ahead of user data (RFC 6455 5.5.3: of several
// Pings not yet answered, the last counts).
func (r *wsRole) gotPing(l *link, data []byte) {
	if r.sub != wsOpen {
		return
	}
	if !l.choked() {
		r.frame(l, ws.Pong, true, data)
		return
	}
	rare := r.seldom()
	rare.pong = append(rare.pong[:0], data...)
	r.bits |= wsPongDue
}

func (r *wsRole) sendPong(l *link) {
	r.frame(l, ws.Pong, true, r.rare.pong)
	r.rare.pong = nil
	r.bits &^= wsPongDue
}

func (r *wsRole) stop(l *link) { l.own().closing(l.th.farewell()) }

func (r *wsRole) allowance(c *Conn) int { return maxAllowance }

func (r *wsRole) handler(*Conn) any { return r.h }

// gone gives back what the compression holds.
func (r *wsRole) gone(l *link, err error) {
	vh := l.own().vh()
	l.own().end(err)
	if z := r.zip(); z != nil {
		z.release(vh)
	}
}
