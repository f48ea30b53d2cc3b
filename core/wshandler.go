package core

import (
	"anyloop/core/ws"
)

// WSHandler is what a WebSocket's handler must have. The optional rest is
// WSOpener, WSPonger, PeerCloser, TimerHandler and ClosedHandler. All methods
// run on the conn's thread, never two at a time.
type WSHandler interface {
	// Receive takes one piece of a message: what arrived of it, so one
	// message may come in many pieces, of one frame or of several. Returning
	// an error closes the connection (see ErrDrop, CloseError).
	Receive(c *Conn, f Fragment) error
	// Writable hands out the writer, once per request (and once after the
	// connection was choked, asked or not). Writing nothing is always fine.
	Writable(c *Conn, w *WSWriter) error
}

// Fragment is a piece of a WebSocket message.
type Fragment struct {
	// Data is lent until Receive returns. It may be empty.
	Data []byte
	// Binary tells binary from text. Text is checked UTF-8, though a piece
	// may end inside a character.
	Binary bool
	// First and Final are set on the first and last piece of a message.
	First, Final bool
	// Remaining is the number of bytes of the current frame still to come.
	// It says nothing about further frames.
	Remaining int64
}

// WSOpener is told when the handshake is done. The request's header can be read
// until Opened returns.
type WSOpener interface {
	Opened(c *Conn, r *Request) error
}

// WSPonger is told of Pong frames. data is lent until Pong returns.
type WSPonger interface {
	Pong(c *Conn, data []byte) error
}

// PeerCloser is told of the peer's Close frame, before it is answered: code 1005
// if it had none. Returning an error closes without an answer.
type PeerCloser interface {
	PeerClose(c *Conn, code int, text string) error
}

// TimerHandler gets the callbacks of Conn.SetTimer.
type TimerHandler interface {
	Timer(c *Conn) error
}

// ClosedHandler gets the last callback of a conn, once, iff the handler was made
// for it and, where Dial began it, the connection came about (else there is
// ConnectFailed). err is what ended it: a *CloseError, *TransportError, *LimitError,
// *PanicError, an error that the handler returned, or nil at the normal end of
// an HTTP connection.
type ClosedHandler interface {
	Closed(c *Conn, err error)
}

// WSWriter sends on a WebSocket. It is valid during the Writable callback it was
// given to, and takes one message, fragment or control frame there. Its methods
// do not keep what they are given. Loop thread only.
type WSWriter struct {
	c *Conn // of a wsRole, which has the writer's state
}

// role returns the role; every writer's conn has had one.
func (w *WSWriter) role() *wsRole { return w.c.link.role.(*wsRole) }

// Text sends a text message. p is the caller's again when Text returns; it must
// be UTF-8. Errors: ErrAlreadyWritten, ErrWriterExpired, ErrTooLong,
// ErrMessageOrder.
func (w *WSWriter) Text(p []byte) error { return w.part(p, ws.Text, true, true) }

// Binary sends a binary message. See Text.
func (w *WSWriter) Binary(p []byte) error { return w.part(p, ws.Binary, true, true) }

// Send sends a whole message of either kind. See Text.
func (w *WSWriter) Send(m Message) error { return w.part(m.Data, m.opcode(), true, true) }

// Part sends one fragment of a message: the first says what the message is
// (binary counts only there), the last has final set. Control frames may come
// between them, other messages may not (RFC 6455 5.4).
func (w *WSWriter) Part(p []byte, binary, first, final bool) error {
	op := ws.Text
	if binary {
		op = ws.Binary
	}
	return w.part(p, op, first, final)
}

// Ping sends a Ping with at most 125 bytes. The Pong comes to WSPonger.
func (w *WSWriter) Ping(data []byte) error {
	if err := w.take(len(data)); err != nil {
		return err
	}
	if len(data) > 125 {
		w.unused()
		return ErrControlTooLong
	}
	w.role().frame(w.c.link, ws.Ping, true, data)
	return nil
}

// Allowance returns how many bytes can be written now without being kept in
// memory of ours beyond the cork; it is never 0 in a Writable callback.
func (w *WSWriter) Allowance() int {
	if w.c == nil || !w.role().is(wsLive) {
		return 0
	}
	return w.c.link.role.allowance(w.c)
}

func (w *WSWriter) part(p []byte, op ws.Opcode, first, final bool) error {
	if err := w.take(len(p)); err != nil {
		return err
	}
	if err := w.role().data(w.c, p, op, first, final); err != nil {
		w.unused()
		return err
	}
	return nil
}

// take uses the writer up.
func (w *WSWriter) take(n int) error {
	if w.c == nil || !w.role().is(wsLive) {
		return ErrWriterExpired
	}
	r := w.role()
	if r.is(wsUsed) {
		w.c.vh().log.Warn("illegal back-to-back write; the second is refused",
			"conn", w.c.String(), "first", r.wrote, "second", n)
		return ErrAlreadyWritten
	}
	r.bits |= wsUsed
	r.wrote = uint32(n)
	return nil
}

// unused takes take back: nothing was written.
func (w *WSWriter) unused() { w.role().bits &^= wsUsed }
