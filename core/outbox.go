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
	c       *Conn
	items   []outItem // from head
	head    int
	bytes   int
	dropped uint64
	policy  Policy
}

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
func (o *Outbox) Len() int { return len(o.items) - o.head }

// Pending returns the bytes that wait here and below.
func (o *Outbox) Pending() int { return o.bytes + o.c.Pending() }

// Dropped returns how many messages DropOldest has dropped.
func (o *Outbox) Dropped() uint64 { return o.dropped }

func (o *Outbox) keep(m Message) error {
	lim := o.c.limits()
	if over(len(m.Data), lim.WriteLimit) {
		return ErrTooLong
	}
	for o.Len() > 0 && (over(o.bytes+len(m.Data), lim.OutboxBytes) || over(o.Len()+1, lim.OutboxCount)) {
		switch o.policy {
		case DropOldest:
			o.pop()
			o.dropped++
			continue
		case CloseSlow:
			o.c.closeLater(&CloseError{Code: int(ws.CloseTryAgainLater), Text: "too slow"})
		}
		return ErrFull
	}
	o.items = append(o.items, outItem{append([]byte(nil), m.Data...), m.Binary})
	o.bytes += len(m.Data)
	if o.policy == PauseSource {
		o.c.setPause(pauseOutbox, true)
	}
	return o.c.RequestWritable()
}

func (o *Outbox) pop() outItem {
	it := o.items[o.head]
	o.items[o.head] = outItem{}
	o.head++
	o.bytes -= len(it.data)
	if o.head == len(o.items) {
		o.items, o.head = o.items[:0], 0
		if cap(o.items) > 16 {
			o.items = nil
		}
	} else if o.head > 32 && o.head*2 > len(o.items) {
		n := copy(o.items, o.items[o.head:])
		clear(o.items[n:])
		o.items, o.head = o.items[:n], 0
	}
	return it
}

// Writable sends the oldest message and asks for the next turn if more wait.
func (o *Outbox) Writable(w *WSWriter) error {
	if o.Len() == 0 {
		return nil
	}
	it := o.pop()
	if err := w.Send(Message{it.data, it.binary}); err != nil {
		return err
	}
	if o.Len() > 0 {
		return o.c.RequestWritable()
	}
	if o.policy == PauseSource {
		o.c.setPause(pauseOutbox, false)
	}
	return nil
}
