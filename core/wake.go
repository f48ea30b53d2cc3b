package core

import (
	"sync"
	"sync/atomic"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

// bell is the thread's wake-up: a descriptor of core like any other, announced
// to every loop. Ringing is the only thing that other goroutines do to a thread.
type bell struct {
	loop.Doorbell
	asked atomic.Bool // Wake was called; owes a WaitCancelled round
	ended atomic.Bool // ringing would hit a closed descriptor
	mu    sync.RWMutex
	link  *link
}

func (th *Thread) openBell() error {
	var err error
	if th.kernel != nil {
		th.bell.Doorbell, err = th.kernel.Doorbell()
	} else {
		th.bell.Doorbell, err = sys.NewDoorbell()
	}
	return err
}

// ring makes the loop turn. Any goroutine.
func (b *bell) ring() {
	b.mu.RLock()
	if !b.ended.Load() {
		b.Ring()
	}
	b.mu.RUnlock()
}

// wakeRole answers the bell: posts first, then WaitCancelled.
type wakeRole struct{ baseRole }

func (wakeRole) name() string { return "wake" }

func (wakeRole) ready(l *link) {
	th := l.th
	th.bell.Clear()
	th.stats.Wakes++
	th.runPosts()
	th.resumeListeners()
	if th.bell.asked.Swap(false) && th.end.phase < endDrained {
		th.waitCancelled()
	}
	th.checkStop()
}

func (wakeRole) stop(*link) {}

func (wakeRole) gone(l *link, _ error) {
	l.own().state = stDead
	l.th.over()
}

// Wake makes the thread's loop turn and runs WaitCancelled on every protocol of
// every vhost: at least once after the last Wake, possibly once for several.
// Any goroutine.
func (th *Thread) Wake() {
	th.bell.asked.Store(true)
	th.bell.ring()
}

func (th *Thread) waitCancelled() {
	for _, vh := range th.eng.vhosts() {
		for _, b := range vh.bindings {
			if b.proto.WaitCancelled != nil && b.inited {
				th.callback, th.curConn = "WaitCancelled", nil
				b.proto.WaitCancelled(th, vh)
			}
		}
	}
}

// postQueue holds what other goroutines asked for.
type postQueue struct {
	mu     sync.Mutex
	waits  []func()
	run    []func() // being run, from at
	at     int
	closed bool
}

// Post runs fn on the thread, in the order of the calls: exactly once, also
// while the engine stops. ErrFull if Limits.PostQueue functions wait, ErrStopped
// after the end. It never blocks. Any goroutine.
func (th *Thread) Post(fn func()) error { return th.post(fn, true) }

// post is Post. What is bounded by what it serves, one at a time for each, does
// not count against the limit.
func (th *Thread) post(fn func(), counts bool) error {
	q := &th.posts
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return ErrStopped
	}
	if counts && over(len(q.waits)+1, th.eng.limits.PostQueue) {
		q.mu.Unlock()
		return ErrFull
	}
	q.waits = append(q.waits, fn)
	q.mu.Unlock()
	th.bell.ring()
	return nil
}

// left reports whether posts of an earlier batch wait for their turn.
func (q *postQueue) left() bool { return q.at < len(q.run) }

// runPosts runs at most Limits.PostBatch of them. What is left is pending work.
func (th *Thread) runPosts() {
	q := &th.posts
	for n := 0; n < th.eng.limits.PostBatch; n++ {
		if !q.left() {
			q.mu.Lock()
			clear(q.run)
			q.run, q.waits = q.waits, q.run[:0]
			q.mu.Unlock()
			q.at = 0
			if len(q.run) == 0 {
				return
			}
		}
		fn := q.run[q.at]
		q.run[q.at] = nil
		q.at++
		th.runPost(fn)
	}
	if !q.left() {
		q.mu.Lock()
		more := len(q.waits) > 0
		q.mu.Unlock()
		if more {
			th.bell.ring()
		}
	}
}

func (th *Thread) runPost(fn func()) {
	cur := th.cur
	th.cur = nil // a post is nobody's service: what it asks for is queued
	defer func() {
		if v := recover(); v != nil {
			th.panicked(v)
		}
		th.cur = cur
	}()
	th.callback, th.curConn = "Post", nil
	th.stats.Posts++
	fn()
}

func (th *Thread) runLeftPosts() {
	if th.posts.left() {
		th.runPosts()
	}
}
