package core

import (
	"anyloop/core/ws"
)

// Message is a whole WebSocket message.
type Message struct {
	Data   []byte
	Binary bool
}

// String returns the message as text.
func (m Message) String() string { return string(m.Data) }

func (m Message) opcode() ws.Opcode {
	if m.Binary {
		return ws.Binary
	}
	return ws.Text
}

// OnMessage makes a WebSocket handler of a function that takes whole messages.
// A message that comes in pieces is assembled, up to Limits.MaxMessage (here 1
// MiB unless set; beyond it the connection closes with 1009). m.Data is lent
// until fn returns. Answers go through out; while some of them wait because the
// peer does not take them, its messages are not read, so a slow peer costs one
// message and its answers, not more. fn runs on the conn's thread.
func OnMessage(fn func(c *Conn, m Message, out *Outbox) error) func(*Conn) WSHandler {
	return func(c *Conn) WSHandler {
		h := &messageHandler{fn: fn}
		h.out.init(c, PauseSource)
		return h
	}
}

// messageHandler assembles messages and owns the outbox.
type messageHandler struct {
	fn  func(*Conn, Message, *Outbox) error
	buf []byte // pieces so far; nil between messages
	out Outbox
}

func (h *messageHandler) Receive(c *Conn, f Fragment) error {
	if f.First && f.Final {
		return h.fn(c, Message{f.Data, f.Binary}, &h.out)
	}
	limit := c.limits().MaxMessage
	if limit < 0 {
		limit = assembleDefault
	}
	if int64(len(h.buf)+len(f.Data))+f.Remaining > limit {
		return &CloseError{Code: int(ws.CloseTooBig), Text: "message over the limit"}
	}
	h.buf = appendPiece(h.buf, f)
	if !f.Final {
		return nil
	}
	buf := h.buf
	h.buf = nil
	return h.fn(c, Message{buf, f.Binary}, &h.out)
}

// appendPiece grows the buffer at once to what the frame's header announced, but
// no faster than the peer really sends: by doubling.
func appendPiece(buf []byte, f Fragment) []byte {
	need := len(buf) + len(f.Data)
	if cap(buf) < need {
		grow := max(need, min(need+int(f.Remaining), 2*need+4096))
		buf = append(make([]byte, 0, grow), buf...)
	}
	return append(buf, f.Data...)
}

func (h *messageHandler) Writable(c *Conn, w *WSWriter) error { return h.out.Writable(w) }
