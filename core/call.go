package core

import (
	"fmt"
	"runtime/debug"
)

// calling notes whose callback runs, for rescue, and where the cork stood.
func (c *Conn) calling(what string) {
	th := c.link.th
	th.curConn, th.callback, th.mark = c, what, len(th.cork)
}

// called ends what calling began.
func (c *Conn) called() { c.link.th.curConn = nil }

// panicked closes the conn whose callback panicked, with code 1011 or status
// 500, and logs the stack. What the callback had half written is taken back.
func (th *Thread) panicked(v any) {
	stack := debug.Stack()
	c, what, l := th.curConn, th.callback, th.cur
	th.curConn = nil
	th.stats.Panics++
	err := &PanicError{Callback: what, Value: v}
	log := th.eng.log
	if c != nil && c.vh() != nil {
		log = c.vh().log
	}
	attrs := []any{"callback", what, "panic", fmt.Sprint(v), "stack", string(stack)}
	if c != nil {
		attrs = append(attrs, "conn", c.String())
	}
	log.Error("panic in a handler; its connection is closed", attrs...)
	if l == nil {
		return
	}
	defer th.rescue() // ends may have callbacks, which may panic, too
	if th.mark < len(th.cork) {
		th.cork = th.cork[:th.mark]
	}
	if c != nil && c.link == l && l.flags&(lfDoomed|lfDead) == 0 {
		c.flags &^= cfInside
		if c.state == stClosing { // it panicked on its way out
			l.doom(err)
		} else {
			c.closing(err)
		}
	}
	if c == nil && l.is(lfCounted) && l.flags&(lfDoomed|lfDead) == 0 {
		l.doom(err) // in code of ours: nobody knows what it has left half done
	}
	if l.is(lfDead) {
		th.buryRest(l)
		return
	}
	th.finishService(l)
}

// buryRest completes the end of a link whose Closed panicked.
func (th *Thread) buryRest(l *link) {
	l.own().state = stDead
	l.own().leave()
	th.closeLink(l)
	th.cur = nil
}

// misuse names a broken rule in the log; the call had no effect.
func (th *Thread) misuse(err error, what string) {
	th.misused.Add(1)
	th.eng.log.Error("misuse", "call", what, "thread", th.index, "err", err)
}

// checkVerb names wrong-thread use (tag anyloopdebug) and calls from inside a
// loop callback.
func (th *Thread) checkVerb(what string) {
	if th.inLoop {
		th.misuse(ErrLoopCallback, what)
		if debugging {
			panic(ErrLoopCallback)
		}
	}
	if debugging && th.inTurn() && th.goid != anyGoroutine && th.goid != goroutineID() {
		panic(fmt.Errorf("%s: %w", what, ErrWrongThread))
	}
}

// anyGoroutine is Thread.goid while the loop's own goroutine waits for callbacks on
// another one.
const anyGoroutine = 0

// closed is the last callback.
func (c *Conn) closed(err error) {
	if h, ok := c.link.role.handler(c).(ClosedHandler); ok {
		c.calling("Closed")
		h.Closed(c, err)
		c.called()
	}
}

// fireTimer is the callback of SetTimer.
func (c *Conn) fireTimer() {
	th, l := c.link.th, c.link
	if c.state != stOpen || c.cause() != nil {
		return
	}
	h, ok := l.role.handler(c).(TimerHandler)
	if !ok {
		c.vh().log.Warn("a timer is ripe, but the handler has no Timer method", "conn", c.String())
		return
	}
	th.begin(l)
	c.calling("Timer")
	err := h.Timer(c)
	c.called()
	if c.after(err) {
		c.offer()
	}
	th.finishService(l)
}
