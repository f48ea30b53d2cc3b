package core

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// ending is how far a thread is on its way out:
//
//	running  --Stop, seen by the thread-->  stopping: listeners closed, WebSockets
//	         sent 1001, HTTP answers finish; the grace time runs
//	stopping --grace is over-->             stopping, but what is left is cut off
//	stopping --last conn gone-->            drained
//	drained  --all threads drained, protocols destroyed, workers gone--> over:
//	         remaining posts run, the wake-up leaves the loop
//
// Goodbyes and cuts are said to turnBatch links a turn.
type ending struct {
	phase endPhase
	timer timerNode
	final atomic.Bool
	told  []*link // links that are still to be told, from the front
	cut   bool    // they are cut off
}

type endPhase uint8

const (
	endNot endPhase = iota
	endStopping
	endDrained
	endOver
)

// Stop begins the end of the engine and returns at once: listening sockets
// close, WebSockets get a closing handshake with 1001, running HTTP
// transactions finish, idle connections close. What is left after grace is cut
// off. grace 0 means FlushTimeout + CloseTimeout, or their defaults where they are
// none; negative cuts at once. Each turn
// of a thread says goodbye to, or cuts off, at most 1024 connections. Done
// tells the end. A foreign loop must be turned by its owner until then. The
// first call counts. Any goroutine, also in callbacks.
func (e *Engine) Stop(grace time.Duration) {
	e.mu.Lock()
	if e.stopping.Load() {
		e.mu.Unlock()
		return
	}
	if grace == 0 {
		grace = e.limits.stopGrace()
	}
	e.grace = grace
	e.stopping.Store(true)
	e.mu.Unlock()
	for _, th := range e.threads {
		th.bell.ring()
	}
}

// Shutdown is Stop with what is left of ctx as grace, or the default, and waits
// for the end. If nobody turns the loops, it does so itself (own backends). A detached
// engine is in no loop: it is asked to stop, and ends when it is attached and turned
// again, which Shutdown waits for, as long as ctx allows. On a loop thread it would wait
// for itself: ErrWouldDeadlock. Any goroutine.
func (e *Engine) Shutdown(ctx context.Context) error {
	if onLoopStack() {
		return ErrWouldDeadlock
	}
	grace := time.Duration(0)
	if t, ok := ctx.Deadline(); ok {
		grace = max(time.Until(t)*9/10, time.Nanosecond)
	}
	e.Stop(grace)
	e.mu.Lock()
	idle := e.winding == nil && !e.over() && e.claim(e.threads...) == nil
	if idle {
		e.winding = make(chan struct{})
	}
	e.mu.Unlock()
	if idle {
		go e.wind()
	}
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wind is Run for Shutdown. What it leaves unfinished, since the engine was detached
// meanwhile, another Run can finish.
func (e *Engine) wind() {
	if err := e.run(context.Background()); err != nil {
		e.log.Error("Shutdown turns the loops", "err", err)
	}
	e.mu.Lock()
	close(e.winding)
	if !e.over() {
		e.winding = nil
	}
	e.mu.Unlock()
}

// onLoopStack reports whether this goroutine is inside an entry point of some
// thread, or one that such waits for: a handshake's.
func onLoopStack() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(2, pcs)
	for n == len(pcs) { // there may be more
		pcs = make([]uintptr, 2*n)
		n = runtime.Callers(2, pcs)
	}
	frames := runtime.CallersFrames(pcs[:n])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "core.(*Thread).ServiceFD") || strings.HasSuffix(f.Function, "core.(*Thread).ServicePending") ||
			strings.HasSuffix(f.Function, "core.(*streamWire).enter") || strings.HasSuffix(f.Function, "core.(*Thread).takeOver") ||
			strings.HasSuffix(f.Function, "core/tlsio.(*Session).handshake") {
			return true
		}
		if !more {
			return false
		}
	}
}

// checkStop is run by the wake role: it begins the end that Stop asked for.
func (th *Thread) checkStop() {
	en := &th.end
	if th.eng.stopping.Load() && en.phase == endNot {
		th.beginStop()
	}
	if en.final.Load() && en.phase == endDrained {
		th.finalize()
	}
}

func (th *Thread) beginStop() {
	en := &th.end
	en.phase = endStopping
	if !th.ready {
		th.start()
	}
	if th.index == 0 {
		for _, s := range th.eng.listening() {
			s.closeAlien()
		}
	}
	for _, l := range th.listeners {
		th.stopLink(l)
	}
	en.told, th.parting = th.links(), nil
	if en.cut = th.eng.grace < 0; en.cut {
		return
	}
	en.timer.Owner = th.cutOff
	th.timers.SetAt(&en.timer, th.now()+int64(th.eng.grace))
}

func (th *Thread) stopLink(l *link) {
	if l.is(lfDead) || l == th.bell.link {
		return
	}
	defer th.rescue()
	th.visit(l)
	l.role.stop(l)
	th.finishService(l)
}

// cutOff begins to end what has not ended by itself in the grace time.
func (th *Thread) cutOff() {
	th.end.told, th.end.cut = th.links(), true
}

// tell is a turn's part of goodbyes or cuts.
func (en *ending) tell(th *Thread) {
	for range min(len(en.told), turnBatch) {
		l := en.told[0]
		en.told[0], en.told = nil, en.told[1:] // before a handler can end the goroutine
		switch {
		case !en.cut:
			th.stopLink(l)
		case l != th.bell.link && !l.is(lfDead):
			l.doom(errShutdown)
			th.buryLink(l)
		}
	}
	if len(en.told) == 0 {
		en.told = nil
	}
}

// buryLink ends a doomed link, also while another is in service.
func (th *Thread) buryLink(l *link) {
	cur := th.cur
	if cur != nil && cur != l {
		cur.flush() // the cork is one for all
	}
	defer func() { th.cur = cur }()
	defer th.rescue()
	th.visit(l)
	th.finishService(l)
}

// due reports whether step has something to do.
func (en *ending) due(th *Thread) bool {
	return en.phase == endStopping && (len(en.told) > 0 || th.onlyBell())
}

// onlyBell reports whether the wake-up is the last link.
func (th *Thread) onlyBell() bool { return th.nlinks == 1 && th.bell.link != nil }

// step tells the links, and moves from stopping to drained. The last thread to come
// there destroys protocols and vhosts, and sends the workers home.
func (en *ending) step(th *Thread) {
	if !en.due(th) {
		return
	}
	en.tell(th)
	if !th.onlyBell() {
		return
	}
	en.phase, en.told = endDrained, nil
	th.timers.Stop(&en.timer)
	e := th.eng
	if int(e.drained.Add(1)) < len(e.threads) {
		return
	}
	defer e.work.stop(func() { // also if a Destroy ends the goroutine
		e.names.stop(func() {
			for _, th := range e.threads {
				th.end.final.Store(true)
				th.bell.ring()
			}
		})
	})
	for _, s := range e.listening() {
		s.closeLate(th)
	}
	for _, vh := range e.vhosts() {
		vh.destroy()
	}
}

// finalize runs the remaining posts and leaves the loop.
func (th *Thread) finalize() {
	q := &th.posts
	for {
		q.mu.Lock()
		empty := len(q.waits) == 0 && !q.left()
		q.closed = empty
		q.mu.Unlock()
		if empty {
			break
		}
		th.runPosts()
	}
	th.end.phase = endOver
	b := &th.bell
	b.mu.Lock()
	b.ended.Store(true)
	b.mu.Unlock()
	b.link.doom(ErrStopped)
	th.hosted.Store(false)
}

// over is run when the wake-up has left the loop.
func (th *Thread) over() {
	th.bell.Close()
	e := th.eng
	if e.info.Foreign {
		th.closeLoop()
	}
	th.publish()
	if int(e.ended.Add(1)) == len(e.threads) {
		close(e.done)
	}
}
