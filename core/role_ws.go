package core

import (
	"encoding/binary"
	"errors"

	"anyloop/core/ws"
)

// wsRole is a link that speaks RFC 6455.
type wsRole struct {
	baseRole
	dec     ws.Decoder
	h       WSHandler
	w       WSWriter
	valid   int64   // when the peer last proved to be there
	rare    *wsRare // what few connections need at a time
	sub     wsClosing
	txOpen  bool // an outgoing message lacks its final fragment
	pongDue bool
	pinged  bool // a Ping is out, or due
	pingDue bool // it waits for the output to drain
	opt     wsOptional
}

// wsRare is kept apart, so that an idle WebSocket does not pay for it.
type wsRare struct {
	heard  int64  // last message, kept only if IdleTimeout is set
	paused int64  // when we paused it
	pong   []byte // owed while the output is choked
}

func (r *wsRole) seldom() *wsRare {
	if r.rare == nil {
		r.rare = &wsRare{}
	}
	return r.rare
}

type wsLimits struct{ ws.Limits }

func newWSLimits(l *Limits) wsLimits {
	lim := wsLimits{ws.Limits{MaxFrame: l.MaxFrame, RxPiece: max(l.RxPiece, 0)}}
	if l.MaxMessage > 0 {
		lim.MaxMessage = l.MaxMessage
	}
	return lim
}

// wsClosing is how far the closing handshake is:
//
//	open       --our close, output choked-->  wantClose  --drained--> sentClose
//	open       --our close-->                 sentClose  --peer's Close, EOF, CloseTimeout--> end
//	open       --peer's Close-->              echoed     --flushed--> end
//	any        --protocol error-->            failed     --flushed, lingered--> end
type wsClosing uint8

const (
	wsOpen wsClosing = iota
	wsWantClose
	wsSentClose
	wsEchoed
	wsFailed
)

type wsOptional uint8

const (
	wsHasPong wsOptional = 1 << iota
	wsHasPeerClose
)

// Phases of the link's limit.
const (
	phasePing  uint8 = 0x10 + iota // until the next Ping
	phasePong                      // until the peer counts as gone
	phaseIdle                      // until a message is overdue
	phaseClose                     // until the peer's Close is overdue
	phaseSend                      // until our Close could be sent
)

func (*wsRole) name() string { return "ws" }

// newWS makes the role of an accepted upgrade; the handler is made by the
// caller, since its maker may look at the conn.
func newWS(c *Conn, h WSHandler) *wsRole {
	r := &wsRole{h: h}
	r.dec.Init(ws.Server)
	r.w.c = c
	if _, ok := h.(WSPonger); ok {
		r.opt |= wsHasPong
	}
	if _, ok := h.(PeerCloser); ok {
		r.opt |= wsHasPeerClose
	}
	return r
}

// established starts the limits.
func (r *wsRole) established(l *link) {
	now := l.th.now()
	r.valid = now
	if l.own.limits().IdleTimeout > 0 {
		r.seldom().heard = now
	}
	l.phase = 0
	r.rearm(l)
}

func (r *wsRole) input(l *link, p []byte) int {
	c := l.own
	lim := &c.vh.wsLimits.Limits
	used := 0
	var ev ws.Event
	for used < len(p) {
		if c.pause != 0 && c.state == stOpen {
			l.flags |= lfAgain
			return used
		}
		if r.sub >= wsEchoed || l.flags&(lfDoomed|lfFinish) != 0 {
			return len(p) // nothing counts any more
		}
		n, err := r.dec.Decode(p[used:], lim, &ev)
		used += n
		if err != nil {
			r.broken(l, err)
			return len(p)
		}
		if ev.Kind == ws.None {
			return used
		}
		r.event(l, &ev)
	}
	return used
}

func (r *wsRole) event(l *link, ev *ws.Event) {
	c := l.own
	switch ev.Kind {
	case ws.Data:
		if c.state == stOpen {
			r.receive(c, ev)
		}
	case ws.KindPing:
		r.gotPing(l, ev.Payload)
	case ws.KindPong:
		r.proven(l)
		if r.opt&wsHasPong != 0 && c.state == stOpen {
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

// receive hands one piece to the handler, then, if it asked and the wire takes
// more, the writer: so an echo is answered piece by piece into one cork.
func (r *wsRole) receive(c *Conn, ev *ws.Event) {
	th := c.link.th
	if ev.Final {
		th.stats.Messages++
	}
	if lim := &c.vh.limits; lim.IdleTimeout > 0 {
		r.seldom().heard = th.now()
		r.rearm(c.link)
	}
	c.flags |= cfInside
	c.calling("Receive")
	err := r.h.Receive(c, Fragment{Data: ev.Payload, Binary: ev.Op == ws.Binary,
		First: ev.First, Final: ev.Final, Remaining: ev.Remaining})
	c.called()
	c.flags &^= cfInside
	if debugging {
		spoil(ev.Payload)
	}
	if c.after(err) {
		c.offer()
	}
}

func (r *wsRole) writable(c *Conn) {
	r.w.live, r.w.used = true, false
	c.calling("Writable")
	err := r.h.Writable(c, &r.w)
	c.called()
	r.w.live = false
	c.after(err)
}

// data encodes a message or fragment into the link's output.
func (r *wsRole) data(c *Conn, p []byte, op ws.Opcode, first, final bool) error {
	if first == r.txOpen {
		return ErrMessageOrder
	}
	if over(len(p), c.limits().WriteLimit) {
		return ErrTooLong
	}
	r.txOpen = !final
	if !first {
		op = ws.Continuation
	}
	if final {
		c.link.th.stats.Sent++
	}
	r.frame(c.link, op, final, p)
	return nil
}

func (r *wsRole) frame(l *link, op ws.Opcode, fin bool, p []byte) {
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
	if r.pongDue {
		r.sendPong(l)
	}
	if r.sub == wsWantClose {
		r.sendClose(l)
		return
	}
	if r.pingDue {
		r.ping(l)
	}
	l.own.flags |= cfUnchoke
}

// progressed: the kernel takes bytes only as the peer's acknowledges earlier
// ones, which proves that it is there.
func (r *wsRole) progressed(l *link) { r.valid = l.th.now() }

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
	r.pongDue = true
}

func (r *wsRole) sendPong(l *link) {
	r.frame(l, ws.Pong, true, r.rare.pong)
	r.rare.pong, r.pongDue = nil, false
}

// gotClose: the peer's Close frame.
func (r *wsRole) gotClose(l *link, ev *ws.Event) {
	c := l.own
	if r.sub == wsSentClose || r.sub == wsWantClose {
		r.sub = wsEchoed
		l.phase = 0
		l.finish(c.cause, false) // RFC 6455 7.1.1: the server closes the TCP connection
		return
	}
	cause := &CloseError{Code: int(ev.Code), Text: string(ev.Payload), Remote: true}
	if c.cause == nil {
		c.cause = cause
	}
	if r.opt&wsHasPeerClose != 0 && c.state == stOpen {
		c.calling("PeerClose")
		err := r.h.(PeerCloser).PeerClose(c, cause.Code, cause.Text)
		c.called()
		if err != nil {
			c.state = stClosing
			l.doom(cause)
			return
		}
	}
	c.state = stClosing
	c.flags &^= cfAsked | cfUnchoke | cfClose
	r.sub = wsEchoed
	code := ev.Code
	b := l.outbuf(ws.MaxHeader + 125)
	if code == ws.CloseNoStatus {
		*b = ws.AppendFrame(*b, ws.Header{Fin: true, Op: ws.Close}, nil)
	} else {
		*b = ws.AppendClose(*b, code, cause.Text, nil)
	}
	l.phase = 0
	l.finish(cause, false)
}

// broken: the peer broke the protocol. Its Close cannot be understood any more,
// so ours is sent and the rest of its input dropped (RFC 6455 7.1.7).
func (r *wsRole) broken(l *link, err error) {
	c := l.own
	code, text := ws.CloseProtocolError, err.Error()
	var pe *ws.PeerError
	if errors.As(err, &pe) {
		code, text = pe.Code, pe.Text
	}
	c.vh.log.Info("websocket protocol error", "conn", c.String(), "peer", c.peer, "code", int(code), "err", err)
	if c.cause == nil {
		c.cause = err
	}
	if c.state == stOpen {
		c.state = stClosing
	}
	c.flags &^= cfAsked | cfUnchoke | cfClose
	if r.sub == wsOpen {
		b := l.outbuf(ws.MaxHeader + 125)
		*b = ws.AppendClose(*b, code, text, nil)
	}
	r.sub = wsFailed
	l.phase = 0
	l.finish(c.cause, true)
}

// closeConn begins our side of the closing handshake.
func (r *wsRole) closeConn(c *Conn, cause error) {
	l := c.link
	var te *TransportError
	if errors.Is(cause, ErrDrop) || errors.As(cause, &te) || l.is(lfTxDead) || r.sub != wsOpen {
		l.doom(cause)
		return
	}
	l.flags &^= lfAgain
	r.dec.Discard()
	if l.choked() {
		r.sub = wsWantClose
		l.arm(phaseSend, c.limits().FlushTimeout)
		return
	}
	r.sendClose(l)
}

// sendClose sends our Close frame and waits for the peer's.
func (r *wsRole) sendClose(l *link) {
	c := l.own
	code, text := closeFrame(c.cause)
	b := l.outbuf(ws.MaxHeader + 125)
	*b = ws.AppendClose(*b, code, text, nil)
	r.sub = wsSentClose
	l.arm(phaseClose, c.limits().CloseTimeout)
	if len(l.tail()) > 0 {
		l.th.queue(c)
	}
}

// sendable reports whether a close code may be sent; a CloseCode has 16 bits.
func sendable(code int) bool { return code>>16 == 0 && ws.CloseCode(code).Sendable() }

// closeFrame maps what ended a conn to what the peer is told.
func closeFrame(cause error) (code ws.CloseCode, text string) {
	var ce *CloseError
	var le *LimitError
	switch {
	case errors.As(cause, &ce):
		if !sendable(ce.Code) {
			return ws.CloseInternalError, ""
		}
		return ws.CloseCode(ce.Code), ce.Text
	case errors.Is(cause, ErrStopped):
		return ws.CloseGoingAway, "server is going away"
	case errors.As(cause, &le):
		if le.After > 0 {
			return ws.CloseGoingAway, le.Limit
		}
		return ws.CloseTooBig, le.Limit
	}
	return ws.CloseInternalError, ""
}

func (r *wsRole) eof(l *link) {
	c := l.own
	if c.cause != nil && r.sub != wsOpen {
		l.quit(c.cause)
		return
	}
	l.quit(errPeerGone)
}

func (r *wsRole) stop(l *link) { l.own.closing(errShutdown) }

func (r *wsRole) allowance(c *Conn) int { return maxAllowance }

func (r *wsRole) pausing(c *Conn, paused bool) {
	if r.sub != wsOpen {
		return
	}
	l := c.link
	now := l.th.now()
	rare := r.seldom()
	if paused {
		rare.paused = now
		l.disarm()
		return
	}
	r.valid += now - rare.paused
	rare.heard += now - rare.paused
	r.rearm(l)
}

func (r *wsRole) handler(*Conn) any { return r.h }

// rearm starts the earliest of the limits that hold while open.
func (r *wsRole) rearm(l *link) {
	if r.sub != wsOpen || l.own.pause != 0 {
		return
	}
	lim := l.own.limits()
	phase, when := uint8(0), int64(never)
	consider := func(ph uint8, from int64, d int64) {
		if d > 0 && from+d < when {
			phase, when = ph, from+d
		}
	}
	if !r.pinged {
		consider(phasePing, r.valid, int64(lim.PingInterval))
	}
	consider(phasePong, r.valid, int64(lim.PongTimeout))
	if lim.IdleTimeout > 0 {
		consider(phaseIdle, r.seldom().heard, int64(lim.IdleTimeout))
	}
	switch {
	case phase == 0:
		l.disarm()
	case phase == phasePing && r.valid == l.th.now():
		l.arm(phase, lim.PingInterval) // the usual case keeps to the cheap lists
	default:
		l.armAt(phase, when)
	}
}

func (r *wsRole) expire(l *link) {
	c := l.own
	lim := c.limits()
	switch l.phase {
	case phasePing:
		// The proof may have come since by bytes the wire took.
		if r.valid+int64(lim.PingInterval) <= l.th.now() {
			r.ping(l)
		}
		r.rearm(l)
	case phasePong:
		if r.valid+int64(lim.PongTimeout) > l.th.now() {
			r.rearm(l)
			return
		}
		c.cause = &LimitError{"PongTimeout", lim.PongTimeout}
		c.state = stClosing
		l.doom(c.cause)
	case phaseIdle:
		l.phase = 0
		c.closing(&LimitError{"IdleTimeout", lim.IdleTimeout})
	case phaseClose, phaseSend:
		l.doom(c.cause)
	}
}

// ping asks for a proof of life: 8 bytes, our time.
func (r *wsRole) ping(l *link) {
	r.pinged = true
	if r.pingDue = l.choked(); r.pingDue {
		return
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(l.th.now()))
	r.frame(l, ws.Ping, true, b[:])
}

// proven: the peer is there.
func (r *wsRole) proven(l *link) {
	r.valid, r.pinged, r.pingDue = l.th.now(), false, false
	r.rearm(l)
}

// ConfirmValid counts as a Pong: for applications whose own messages prove that
// traffic flows both ways. Loop thread only.
func (c *Conn) ConfirmValid() {
	if r, ok := c.link.role.(*wsRole); ok && c.state == stOpen {
		r.proven(c.link)
	}
}
