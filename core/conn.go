package core

import (
	"fmt"
	"time"
)

// Conn is what a handler sees: one HTTP connection, one WebSocket, one adopted
// file, later one HTTP/2 stream. It is never reused: after its last callback it
// is dead for ever and every verb answers ErrConnClosed.
//
// Verbs never call a handler before they return; what they ask for happens in
// this turn or a later one.
type Conn struct {
	link  *link
	on    *binding // the protocol on its vhost, or the vhost's none
	next  *Conn    // on its ring of this thread
	prev  *Conn
	x     *connExtra // nil for most
	id    uint64
	peer  peerAddr
	pause pauseReason
	flags connFlags
	state connState
}

// connExtra is what few conns have at a time.
type connExtra struct {
	cause  error // why it is closing, nil while it is not
	timers *connTimer
	ends   *endNode  // who is told when it is over
	peer   string    // if it is no address of the internet's
	pieces Assembler // of OnMessage
}

func (c *Conn) extra() *connExtra {
	if c.x == nil {
		c.x = &connExtra{}
	}
	return c.x
}

// cause returns why c is closing, nil while it is not.
func (c *Conn) cause() error {
	if c.x == nil {
		return nil
	}
	return c.x.cause
}

// because notes why c is closing, unless it is closing already.
func (c *Conn) because(err error) {
	if err != nil && c.cause() == nil {
		c.extra().cause = err
	}
}

// timer returns the handler's own timer, nil if it never had one.
func (c *Conn) timer() *connTimer {
	if c.x == nil {
		return nil
	}
	return c.x.timers
}

// stopTimer cancels the handler's own timer.
func (c *Conn) stopTimer() {
	if t := c.timer(); t != nil {
		c.link.th.timers.Stop(&t.node)
	}
}

type connState uint8

const (
	stOpen    connState = iota
	stClosing           // no more input, Writable or Timer callbacks
	stDead              // after its last callback
)

type connFlags uint8

const (
	cfAsked   connFlags = 1 << iota // a Writable is owed
	cfQueued                        // on the thread's pending list
	cfInside                        // its input callback runs: Writable follows it without queueing
	cfClose                         // an asked-for close waits for its turn
	cfUnchoke                       // one Writable after a choke, asked or not
	cfOpened                        // a handler has it: Closed is owed
	cfTold                          // has been told that its vhost is removed
)

// pauseReason is who holds back a conn's input. Reading needs all clear.
type pauseReason uint8

const (
	pauseUser   pauseReason = 1 << iota // Pause
	pauseOutbox                         // the outbox is full
	pauseHeader                         // no header table is free
	pauseWorker                         // a worker has it
	pauseTurn                           // others first: bounded work per turn
)

// ID names the conn in logs, maps and other processes: the thread's number in
// the top 16 bits, then a counter that is never reused. Any goroutine.
func (c *Conn) ID() uint64 { return c.id }

// Thread returns the service thread that the conn lives on. Any goroutine.
func (c *Conn) Thread() *Thread { return c.link.th }

// VHost returns the virtual host that serves the conn. Loop thread only.
func (c *Conn) VHost() *VirtualHost { return c.vh() }

// Protocol returns the name of the protocol that the conn is bound to, "" if
// there is none yet. Loop thread only.
func (c *Conn) Protocol() string {
	b := c.bound()
	if b == nil {
		return ""
	}
	return b.proto.Name
}

// String returns a short name for logs, such as "ws 0/17". Loop thread only.
func (c *Conn) String() string {
	return fmt.Sprintf("%s %d/%d", c.link.role.name(), c.id>>48, c.id&(1<<48-1))
}

// Open reports whether the conn can still be written to. Loop thread only.
func (c *Conn) Open() bool { return c.state == stOpen && c.cause() == nil }

// Pending returns the number of bytes that were written and that the operating
// system has not taken yet; it is 0 while the peer keeps up. For an Outbox, see
// Outbox.Pending. Loop thread only.
func (c *Conn) Pending() int { return c.link.pending() }

// RequestWritable asks for one Writable callback; asking again before it comes
// changes nothing. It comes as soon as the peer can take more, never inside
// this call. ErrConnClosed if the conn is closing. Loop thread only.
func (c *Conn) RequestWritable() error {
	c.link.th.checkVerb("RequestWritable")
	if !c.Open() || c.link.is(lfTxDead) {
		return ErrConnClosed
	}
	c.ask()
	return nil
}

// ask marks the conn and sees to it that somebody looks.
func (c *Conn) ask() {
	if c.flags&cfAsked != 0 {
		return
	}
	c.flags |= cfAsked
	if c.flags&cfInside != 0 || c.link.choked() {
		return // follows the callback; or follows the drain
	}
	c.link.th.queue(c)
}

// mayWrite reports whether a writer can be handed out now.
func (c *Conn) mayWrite() bool {
	return c.Open() && !c.link.choked() && c.link.flags&lfMute == 0 && c.link.role.allowance(c) > 0
}

// offer gives the conn its Writable if it asked and may write. The request is
// used up before the callback, so that one made inside it counts anew.
func (c *Conn) offer() {
	if c.flags&(cfAsked|cfUnchoke) == 0 || !c.mayWrite() {
		return
	}
	c.flags &^= cfAsked | cfUnchoke
	c.link.role.writable(c)
}

// Close closes the conn in good order: what was written is sent first; on a
// WebSocket the closing handshake follows with this code (1000 to 4999 as far
// as RFC 6455 7.4 lets an endpoint send it) and at most 123 bytes of text. The
// handler gets no more input; Closed comes when it is over. The first close
// wins. ErrReservedCode for a code that may not be sent. Loop thread only.
func (c *Conn) Close(code int, text string) error {
	c.link.th.checkVerb("Close")
	if !sendable(code) {
		return ErrReservedCode
	}
	return c.closeLater(&CloseError{Code: code, Text: text})
}

// Drop ends the conn without a goodbye: no Close frame, and what was written
// but not sent is lost. Closed comes before the turn ends, or in the next one.
// Loop thread only.
func (c *Conn) Drop() error {
	c.link.th.checkVerb("Drop")
	return c.closeLater(ErrDrop)
}

func (c *Conn) closeLater(cause error) error {
	if !c.Open() {
		return ErrConnClosed
	}
	c.because(cause)
	c.flags |= cfClose
	c.link.th.queue(c)
	return nil
}

// closing starts the end of c because of cause, with its link in service.
func (c *Conn) closing(cause error) {
	if c.state >= stClosing {
		return
	}
	c.because(cause)
	c.state = stClosing
	c.flags &^= cfAsked | cfUnchoke | cfClose
	if c.pause != 0 {
		c.setPause(^pauseReason(0), false) // closing lifts every pause
	}
	c.link.role.closeConn(c, c.cause())
}

// after looks at what a callback of c did and returned, and reports whether c
// goes on. A Close or Drop made inside the callback came first and wins.
func (c *Conn) after(err error) bool {
	if err == nil && c.flags&cfClose == 0 {
		return c.state == stOpen
	}
	c.closing(err)
	return false
}

// end gives c its last callback, if one is owed. The link is out of the loop.
func (c *Conn) end(err error) {
	if c.state == stDead {
		return
	}
	if cause := c.cause(); cause != nil {
		err = cause
	}
	c.state = stClosing
	c.flags &^= cfAsked | cfUnchoke | cfClose
	if x := c.x; x != nil {
		c.stopTimer()
		x.timers = nil
		for n := x.ends; n != nil; n = x.ends {
			x.ends = n.next
			n.owner.connEnded()
		}
	}
	if c.flags&cfOpened != 0 {
		c.flags &^= cfOpened
		c.closed(err)
	}
	c.state = stDead
	c.leave()
}

// endNode is one who is told of a conn's end, before its handler is.
type endNode struct {
	next  *endNode
	owner interface{ connEnded() }
}

// endList is the list of those to be told.
func (c *Conn) endList() *endNode {
	if c.x == nil {
		return nil
	}
	return c.x.ends
}

// onEnd puts n on the list.
func (c *Conn) onEnd(n *endNode) {
	x := c.extra()
	n.next, x.ends = x.ends, n
}

// offEnd takes n off the list, if it is there.
func (c *Conn) offEnd(n *endNode) {
	if c.x == nil {
		return
	}
	for p := &c.x.ends; *p != nil; p = &(*p).next {
		if *p == n {
			*p, n.next = n.next, nil
			return
		}
	}
}

// Post runs fn(c) on the conn's thread, after the posts made before it, also if
// the conn is gone by then. ErrFull if Limits.PostQueue functions wait,
// ErrStopped if the engine has ended. Any goroutine.
func (c *Conn) Post(fn func(*Conn)) error {
	return c.link.th.Post(func() { fn(c) })
}

// limits returns the limits that hold for c.
func (c *Conn) limits() *Limits {
	if c.vh() != nil {
		return &c.vh().limits
	}
	return &c.link.th.eng.limits
}

// connTimer is the handler's own timer.
type connTimer struct {
	node timerNode
}

// SetTimer asks for one Timer callback after d, replacing an earlier request;
// d < 0 cancels it. It is cancelled when the conn closes. ErrConnClosed if the
// conn is closing. Loop thread only.
func (c *Conn) SetTimer(d time.Duration) error {
	th := c.link.th
	th.checkVerb("SetTimer")
	if !c.Open() {
		return ErrConnClosed
	}
	if d < 0 {
		c.stopTimer()
		return nil
	}
	x := c.extra()
	if x.timers == nil {
		x.timers = &connTimer{}
		x.timers.node.Owner = c.fireTimer
	}
	th.timers.SetAt(&x.timers.node, th.now()+int64(min(d, longest)))
	th.deadlineMoved()
	return nil
}
