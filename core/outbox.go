package core

import (
	"sync/atomic"

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

// String returns the policy's name, such as "PauseSource".
func (p Policy) String() string {
	switch p {
	case PauseSource:
		return "PauseSource"
	case Refuse:
		return "Refuse"
	case DropOldest:
		return "DropOldest"
	case CloseSlow:
		return "CloseSlow"
	}
	return "Policy(?)"
}

// Outbox keeps messages for a conn until it is writable, bounded by
// Limits.OutboxBytes and Limits.OutboxCount; an empty one takes any message, so
// that the most it holds is the larger of OutboxBytes and one message. What is
// sent while the conn is in service goes below it, to the thread's send buffer;
// what the wire refuses of that, at most 64 KiB or one message, waits there. Its
// handler's Writable must pass the writer on to Outbox.Writable. All methods but
// SendFrom and SendSharedFrom: loop thread only.
type Outbox struct {
	c     *Conn
	kind  *outKind                 // of its vhost's
	q     *outQueue                // nil until something had to wait
	reach atomic.Pointer[outReach] // nil until another goroutine sends
}

// outKind is what the outboxes of a vhost with the same policy have in common.
type outKind struct {
	lim    *Limits
	small  int // the longest message of sendSmall
	policy Policy
	fn     func(*Conn, Message, *Outbox) error // of OnMessage
}

func newOutKind(lim *Limits, p Policy, fn func(*Conn, Message, *Outbox) error) outKind {
	k := outKind{lim: lim, small: ws.MaxSmall, policy: p, fn: fn}
	if over(k.small, lim.WriteLimit) {
		k.small = lim.WriteLimit
	}
	return k
}

// NewOutbox returns an outbox for c, a WebSocket. Loop thread only.
func NewOutbox(c *Conn, p Policy) *Outbox {
	o := &Outbox{}
	o.init(c, p)
	return o
}

func (o *Outbox) init(c *Conn, p Policy) {
	o.c = c
	if vh := c.vh(); vh != nil && int(p) < len(vh.outKinds) {
		o.kind = &vh.outKinds[p]
	} else {
		k := newOutKind(c.limits(), p, nil)
		o.kind = &k
	}
}

// Conn returns the conn that the outbox sends on. Any goroutine.
func (o *Outbox) Conn() *Conn { return o.c }

// Policy returns what was given to NewOutbox. Any goroutine.
func (o *Outbox) Policy() Policy { return o.kind.policy }

// Send sends m as soon as the peer can take it: at once if nothing waits and the
// conn is in service, without a copy of ours. Otherwise a copy is kept; m.Data
// is the caller's again in any case. Errors: ErrConnClosed, ErrTooLong, ErrFull.
func (o *Outbox) Send(m Message) error {
	if o.q == nil && o.c.link.sendSmall(m, o.kind.small) {
		return nil
	}
	if r := o.atOnce(); r != nil {
		return r.message(o.c.link, o.kind.lim, m)
	}
	if o.over() {
		return ErrConnClosed
	}
	return o.keep(outItem{data: m.Data, binary: m.Binary})
}

// Text sends a text message; see Send.
func (o *Outbox) Text(s string) error { return o.Send(Message{Data: []byte(s)}) }

// SendShared is Send of a message that was prepared for many receivers: no copy
// is made, whether it goes out at once or has to wait. Its whole length counts
// toward OutboxBytes all the same.
func (o *Outbox) SendShared(s *Shared) error {
	if o.atOnce() != nil {
		return o.c.sendShared(s)
	}
	if o.over() {
		return ErrConnClosed
	}
	return o.keep(outItem{shared: s})
}

// over reports whether nothing can be sent any more.
func (o *Outbox) over() bool { return !o.c.Open() || o.c.link.is(lfTxDead) }

// atOnce returns the role if a message need not wait: the link is in service,
// nothing else waits, the wire takes more, and no message of fragments is half
// sent.
func (o *Outbox) atOnce() *wsRole {
	c := o.c
	l := c.link
	if l.th.cur != l || o.Len() > 0 || !c.Open() || l.flags&lfMute != 0 || l.choked() {
		return nil
	}
	if r, ok := l.role.(*wsRole); ok && !r.is(wsTxOpen) {
		return r
	}
	return nil
}

// Len returns the number of messages that wait here.
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

// keep puts a message behind those that wait; its data is the caller's still.
func (o *Outbox) keep(it outItem) error {
	if over(it.size(), o.kind.lim.WriteLimit) {
		return ErrTooLong
	}
	r := o.lock()
	o.takeOver(r)
	ok := o.room(it.size(), true)
	if ok {
		if it.shared == nil {
			it.data = append([]byte(nil), it.data...)
		}
		o.queue().push(it)
	}
	o.unlock(r)
	if !ok {
		return o.full()
	}
	return o.wait()
}

// full does what the policy says when there is no room.
func (o *Outbox) full() error {
	if o.kind.policy == CloseSlow {
		o.c.closeLater(&CloseError{Code: int(ws.CloseTryAgainLater), Text: "too slow"})
	}
	return ErrFull
}

// wait asks for a turn for what waits.
func (o *Outbox) wait() error {
	if o.kind.policy == PauseSource {
		o.c.setPause(pauseOutbox, true)
	}
	return o.c.RequestWritable()
}

// Writable sends what waits, oldest first: as much as the wire takes and a turn
// has room for. It asks for the next turn if more is left, and uses w up if it
// sends anything.
func (o *Outbox) Writable(w *WSWriter) error {
	if o.Len() == 0 {
		return nil
	}
	if err := w.take(o.q.items[o.q.head].size()); err != nil {
		return err
	}
	return o.pump()
}

// pump is Writable; the link is in service.
func (o *Outbox) pump() error {
	r, ok := o.c.link.role.(*wsRole)
	if !ok {
		return ErrConnClosed
	}
	if r.is(wsTxOpen) {
		return ErrMessageOrder
	}
	err := o.pumpSome(r)
	switch {
	case err != nil:
		return err
	case o.Len() > 0:
		return o.wait()
	}
	if o.kind.policy == PauseSource {
		o.c.setPause(pauseOutbox, false)
	}
	return nil
}

// pumpSome sends at most outTurn messages or about a cork of bytes.
func (o *Outbox) pumpSome(r *wsRole) error {
	defer o.publish()
	bytes := 0
	for n := 0; n < outTurn && bytes < corkSize && o.Len() > 0 && o.c.mayWrite(); n++ {
		it := o.q.pop()
		bytes += it.size()
		var err error
		if it.shared != nil {
			err = o.c.sendShared(it.shared)
		} else {
			m := Message{it.data, it.binary}
			err = r.data(o.c, m.Data, m.opcode(), true, true)
		}
		if err != nil {
			return err
		}
	}
	o.release()
	return nil
}
