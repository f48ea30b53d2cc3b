package core

import (
	"anyloop/core/ws"
)

// Policy says what an Outbox does when the peer does not keep up.
type Policy uint8

const (
	// PauseSource stops reading from the same peer while anything waits: for
	// answers. When full all the same, Send returns ErrFull.
	PauseSource Policy = iota
	// Refuse makes Send return ErrFull when full.
	Refuse
	// DropOldest makes room by dropping messages that wait longest.
	DropOldest
	// CloseSlow closes the connection with 1013 (try again later) when full.
	CloseSlow
)

// Outbox keeps messages for a conn until it is writable, bounded by
// Limits.OutboxBytes and Limits.OutboxCount. Its handler's Writable must pass
// the writer on to Outbox.Writable. All methods but SendFrom: loop thread only.
type Outbox struct {
	c      *Conn
	q      *outQueue // nil until something had to wait
	policy Policy
}

// outQueue is what waits; while a peer keeps up there is none.
type outQueue struct {
	items   []outItem // from head
	head    int
	bytes   int
	dropped uint64
}

func (q *outQueue) len() int { return len(q.items) - q.head }

type outItem struct {
	data   []byte // ours
	binary bool
}

// NewOutbox returns an outbox for c.
func NewOutbox(c *Conn, p Policy) *Outbox {
	o := &Outbox{}
	o.init(c, p)
	return o
}

func (o *Outbox) init(c *Conn, p Policy) { o.c, o.policy = c, p }

// Send sends m as soon as the peer can take it: at once if nothing waits and the
// conn is in service, without a copy of ours. Otherwise a copy is kept; m.Data
// is the caller's again in any case. Errors: ErrConnClosed, ErrTooLong, ErrFull.
func (o *Outbox) Send(m Message) error {
	c := o.c
	if !c.Open() {
		return ErrConnClosed
	}
	if o.Len() == 0 && c.link.th.cur == c.link && c.mayWrite() {
		if r, ok := c.link.role.(*wsRole); ok && !r.txOpen {
			return r.data(c, m.Data, m.opcode(), true, true)
		}
	}
	return o.keep(m)
}

// Text sends a text message; see Send.
func (o *Outbox) Text(s string) error { return o.Send(Message{Data: []byte(s)}) }

// SendFrom is Send from any goroutine, by a post to the conn's thread; m.Data is
// copied. ErrFull if the thread's post queue is full. What happens later (the
// conn has closed, the outbox is full) is not reported.
func (o *Outbox) SendFrom(m Message) error {
	m.Data = append([]byte(nil), m.Data...)
	return o.c.link.th.Post(func() { o.Send(m) })
}

// Len returns the number of messages that wait.
func (o *Outbox) Len() int {
	if o.q == nil {
		return 0
	}
	return o.q.len()
}

// Pending returns the bytes that wait here and below.
func (o *Outbox) Pending() int {
	if o.q == nil {
		return o.c.Pending()
	}
	return o.q.bytes + o.c.Pending()
}

// Dropped returns how many messages DropOldest has dropped.
func (o *Outbox) Dropped() uint64 {
	if o.q == nil {
		return 0
	}
	return o.q.dropped
}

func (o *Outbox) keep(m Message) error {
	lim := o.c.limits()
	if over(len(m.Data), lim.WriteLimit) {
		return ErrTooLong
	}
	if o.q == nil {
		o.q = &outQueue{}
	}
	q := o.q
	for q.len() > 0 && (over(q.bytes+len(m.Data), lim.OutboxBytes) || over(q.len()+1, lim.OutboxCount)) {
		switch o.policy {
		case DropOldest:
			q.pop()
			q.dropped++
			continue
		case CloseSlow:
			o.c.closeLater(&CloseError{Code: int(ws.CloseTryAgainLater), Text: "too slow"})
		}
		return ErrFull
	}
	q.items = append(q.items, outItem{append([]byte(nil), m.Data...), m.Binary})
	q.bytes += len(m.Data)
	if o.policy == PauseSource {
		o.c.setPause(pauseOutbox, true)
	}
	return o.c.RequestWritable()
}

// pop takes the oldest; the emptied queue keeps no memory to speak of.
func (q *outQueue) pop() outItem {
	it := q.items[q.head]
	q.items[q.head] = outItem{}
	q.head++
	q.bytes -= len(it.data)
	if q.head == len(q.items) {
		q.items, q.head = nil, 0
	} else if q.head > 32 && q.head*2 > len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return it
}

// Writable sends the oldest message and asks for the next turn if more wait.
func (o *Outbox) Writable(w *WSWriter) error {
	if o.Len() == 0 {
		return nil
	}
	it := o.q.pop()
	if err := w.Send(Message{it.data, it.binary}); err != nil {
		return err
	}
	if o.Len() > 0 {
		return o.c.RequestWritable()
	}
	if o.q.dropped == 0 {
		o.q = nil
	}
	if o.policy == PauseSource {
		o.c.setPause(pauseOutbox, false)
	}
	return nil
}
