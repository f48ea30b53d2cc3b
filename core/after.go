package core

import (
	"math/rand/v2"
	"time"
)

// Timer is a function that runs once, later, on its thread.
type Timer struct {
	th   *Thread
	node timerNode
}

// AfterFunc runs fn once, d from now or at the next turn if that is longer, on
// this thread. Nothing of it runs after the engine has ended. Loop thread only.
func (th *Thread) AfterFunc(d time.Duration, fn func()) *Timer {
	th.checkVerb("AfterFunc")
	t := &Timer{th: th}
	t.node.Owner = func() {
		th.callback, th.curConn = "AfterFunc", nil
		fn()
	}
	th.timers.SetAt(&t.node, th.now()+int64(min(max(d, 0), longest)))
	th.deadlineMoved()
	return t
}

// Stop keeps the function from running, if it has not begun. Loop thread only.
func (t *Timer) Stop() { t.th.timers.Stop(&t.node) }

// Backoff says how long to wait before a client connects again. The zero value
// waits 1, 3, 9, then always 17 seconds, each with up to 20 % added, and never
// gives up.
//
//	func (k *keeper) ConnectFailed(c *core.Conn, err error) {
//		if d, ok := k.backoff.Next(); ok {
//			c.Thread().AfterFunc(d, k.dial)
//		}
//	}
//
// Reset it when a connection was good. Not for concurrent use.
type Backoff struct {
	// Delays are the waits before the first try again, the second, and so on;
	// the last one holds for all further ones. nil is 1, 3, 9, 17 s.
	Delays []time.Duration
	// Jitter is the most that is added at random, in percent of the delay, so
	// that many clients do not come back at the same moment; 0 means 20, -1
	// none.
	Jitter int
	// Tries is after how many Next reports false; 0 means never.
	Tries int

	n int
}

var backoffDelays = []time.Duration{time.Second, 3 * time.Second, 9 * time.Second, 17 * time.Second}

// Next returns the next wait, false if there were Tries of them.
func (b *Backoff) Next() (d time.Duration, ok bool) {
	if b.Tries > 0 && b.n >= b.Tries {
		return 0, false
	}
	delays := b.Delays
	if len(delays) == 0 {
		delays = backoffDelays
	}
	d = delays[min(b.n, len(delays)-1)]
	b.n++
	jitter := b.Jitter
	if jitter == 0 {
		jitter = 20
	}
	if most := int64(d) / 100 * int64(max(jitter, 0)); most > 0 {
		d += time.Duration(rand.Int64N(most + 1))
	}
	return d, true
}

// Reset begins anew: the next wait is the first one.
func (b *Backoff) Reset() { b.n = 0 }
