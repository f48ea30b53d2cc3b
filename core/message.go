package core

import (
	"math"
	"sync/atomic"

	"anyloop/core/ws"
)

// Message is a whole WebSocket message. One that is sent as text has to be UTF-8,
// which nothing here checks: a peer closes the connection over it, with 1007.
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

// MessageOption changes what OnMessage makes.
type MessageOption func(*messageOptions)

type messageOptions struct {
	policy Policy
}

// WithPolicy says what the outbox of OnMessage does when the peer does not take
// the answers; PauseSource without it.
func WithPolicy(p Policy) MessageOption {
	return func(o *messageOptions) { o.policy = p }
}

// OnMessage makes a WebSocket handler of a function that takes whole messages.
// A message that comes in pieces is assembled, up to Limits.MaxMessage (here 1
// MiB unless set; beyond it the connection closes with 1009). m.Data is lent
// until fn returns. Answers go through out; while some of them wait because the
// peer does not take them, its messages are not read, so a slow peer costs one
// message and its answers, not more: or what WithPolicy says. fn runs on the
// conn's thread.
func OnMessage(fn func(c *Conn, m Message, out *Outbox) error, opts ...MessageOption) func(*Conn) WSHandler {
	var o messageOptions
	for _, opt := range opts {
		opt(&o)
	}
	var last atomic.Pointer[outKind] // of the vhost that was last served
	return func(c *Conn) WSHandler {
		k := last.Load()
		if k == nil || k.lim != c.limits() {
			made := newOutKind(c.limits(), o.policy, fn)
			k = &made
			last.Store(k)
		}
		return &messageHandler{Outbox{c: c, kind: k}}
	}
}

// messageHandler assembles messages and owns the outbox. There is one for each
// connection, so what can be kept elsewhere is: the function with the outbox's
// kind, the pieces of a message with the conn.
type messageHandler struct{ out Outbox }

func (h *messageHandler) Receive(c *Conn, f Fragment) error {
	m := Message{f.Data, f.Binary}
	if !f.First || !f.Final {
		var done bool
		var err error
		if m, done, err = c.extra().pieces.Add(c, f); err != nil || !done {
			return err
		}
	}
	return h.out.kind.fn(c, m, &h.out)
}

func (h *messageHandler) Writable(c *Conn, w *WSWriter) error { return h.out.Writable(w) }

// Assembler makes whole messages of the pieces that a WSHandler receives. The
// zero value is ready; between messages it holds no memory. Loop thread only.
type Assembler struct {
	parts *[]byte // so far; nil between messages
}

// Add takes one piece. done says that it was the last: m is then the message,
// its data lent until the Receive that was given f returns. A message longer than
// Limits.MaxMessage (1 MiB if there is no such limit) is refused, by an error to
// be returned from Receive, as soon as a frame announces it: the connection
// closes with 1009.
func (a *Assembler) Add(c *Conn, f Fragment) (m Message, done bool, err error) {
	if f.First {
		a.parts = nil
		if f.Final {
			return Message{f.Data, f.Binary}, true, nil
		}
	}
	limit := c.limits().MaxMessage
	if limit < 0 {
		limit = assembleDefault
	}
	th := c.link.th
	if a.parts == nil {
		a.parts = new([]byte)
	}
	if f.Remaining > limit-int64(len(*a.parts)+len(f.Data)) {
		a.parts = nil
		return m, false, &CloseError{Code: int(ws.CloseTooBig), Text: "message over the limit"}
	}
	if *a.parts == nil {
		*a.parts = th.takeLarge(whole(len(f.Data), f.Remaining))
	}
	if a.inPlace(f.Data) {
		*a.parts = (*a.parts)[:len(*a.parts)+len(f.Data)]
		th.placed = true
	} else {
		*a.parts = appendPiece(*a.parts, f)
	}
	if !f.Final {
		th.fed = a
		return m, false, nil
	}
	m = Message{*a.parts, f.Binary}
	a.parts = nil
	th.lend(m.Data)
	return m, true, nil
}

// Len returns the bytes of an unfinished message that are held.
func (a *Assembler) Len() int {
	if a.parts == nil {
		return 0
	}
	return len(*a.parts)
}

// whole is have + more, or the largest int: what a peer announces has 63 bits.
func whole(have int, more int64) int {
	if more > int64(math.MaxInt-have) {
		return math.MaxInt
	}
	return have + int(more)
}

// appendPiece grows the buffer at once to what the frame's header announced, but
// no faster than the peer really sends: by doubling. A message of many frames
// announces little with each: then by half of what there is, so that the bytes
// that are copied stay in proportion to the message.
func appendPiece(buf []byte, f Fragment) []byte {
	need := len(buf) + len(f.Data)
	if cap(buf) < need {
		grow := max(need, min(whole(need, f.Remaining), 2*need+4096))
		if !f.Final {
			grow = max(grow, cap(buf)+cap(buf)/2)
		}
		buf = append(make([]byte, 0, grow), buf...)
	}
	return append(buf, f.Data...)
}
