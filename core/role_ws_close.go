package core

import (
	"errors"

	"anyloop/core/ws"
)

// wsClosing is how far the closing handshake is:
//
//	open       --our close, output choked-->  wantClose  --drained--> sentClose
//	open       --our close-->                 sentClose  --peer's Close--> echoed
//	sentClose  --EOF, CloseTimeout-->         end
//	open       --peer's Close-->              echoed
//	echoed     --server: flushed, lingered; client: EOF, FinTimeout--> end
//	any        --protocol error-->            failed     --flushed, lingered--> end
type wsClosing uint8

const (
	wsOpen wsClosing = iota
	wsWantClose
	wsSentClose
	wsEchoed
	wsFailed
)

// gotClose: the peer's Close frame.
func (r *wsRole) gotClose(l *link, ev *ws.Event) {
	c := l.own()
	if r.sub == wsSentClose || r.sub == wsWantClose {
		r.shaken(l, c.cause())
		return
	}
	cause := &CloseError{Code: int(ev.Code), Text: string(ev.Payload), Remote: true}
	c.because(cause)
	if r.bits&wsHasPeerClose != 0 && c.state == stOpen {
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
	r.appendClose(l, ev.Code, cause.Text)
	r.shaken(l, cause)
}

// shaken: both Close frames are on their way. RFC 6455 7.1.1 has the server close
// first, so that it holds the TIME_WAIT state, and the client wait for that. A
// server does so by sending its end of stream and reading until the client's: if
// it closed at once, a byte that the client has sent behind its Close would reset
// the connection, and the reset destroy what is still on its way to the client. A
// stream's engine has ways of its own.
func (r *wsRole) shaken(l *link, cause error) {
	r.sub = wsEchoed
	l.phase = 0
	if r.is(wsClient) && !l.is(lfEOF) {
		l.arm(phaseFin, l.own().limits().FinTimeout)
		return
	}
	l.finish(cause, l.stream() == nil)
}

// appendClose writes a Close frame; CloseNoStatus stands for an empty one.
func (r *wsRole) appendClose(l *link, code ws.CloseCode, text string) {
	b := l.outbuf(ws.MaxHeader + 125)
	var mask *[4]byte
	if r.is(wsClient) {
		m := l.th.maskKey()
		mask = &m
	}
	if code == ws.CloseNoStatus {
		h := ws.Header{Fin: true, Op: ws.Close}
		if mask != nil {
			h.Masked, h.Mask = true, *mask
		}
		*b = ws.AppendFrame(*b, h, nil)
		return
	}
	*b = ws.AppendClose(*b, code, text, mask)
}

// broken: the peer broke the protocol. Its Close cannot be understood any more,
// so ours is sent and the rest of its input dropped (RFC 6455 7.1.7).
func (r *wsRole) broken(l *link, err error) {
	c := l.own()
	code, text := ws.CloseProtocolError, err.Error()
	var pe *ws.PeerError
	if errors.As(err, &pe) {
		code, text = pe.Code, pe.Text
	}
	c.vh().log.Info("websocket protocol error", "conn", c.String(), "peer", c.Peer(), "code", int(code), "err", err)
	c.because(err)
	if c.state == stOpen {
		c.state = stClosing
	}
	c.flags &^= cfAsked | cfUnchoke | cfClose
	if r.sub == wsOpen {
		r.appendClose(l, code, text)
	}
	r.sub = wsFailed
	l.phase = 0
	l.finish(c.cause(), true)
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
	r.dropHeld(l)
	if l.choked() {
		r.sub = wsWantClose
		l.arm(phaseSend, c.limits().FlushTimeout)
		return
	}
	r.sendClose(l)
}

// sendClose sends our Close frame and waits for the peer's.
func (r *wsRole) sendClose(l *link) {
	c := l.own()
	code, text := closeFrame(c.cause())
	if code == ws.CloseInternalError {
		c.sayWhy()
	}
	if code == ws.CloseGoingAway && r.is(wsClient) && errors.Is(c.cause(), ErrStopped) {
		text = "client is going away"
	}
	r.appendClose(l, code, text)
	r.sub = wsSentClose
	l.arm(phaseClose, c.limits().CloseTimeout)
	if l.left() {
		l.th.queue(c)
	}
}

// sayWhy logs what the peer is not told, and a handler without Closed is not, either.
// The stack of a panic is in the log already.
func (c *Conn) sayWhy() {
	var p *PanicError
	if cause := c.cause(); !errors.As(cause, &p) {
		c.vh().log.Info("closed with 1011, because of what a callback has returned", "conn", c.String(), "err", cause)
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
	c := l.own()
	if c.cause() != nil && r.sub != wsOpen {
		l.quit(c.cause())
		return
	}
	l.quit(l.peerGone())
}
