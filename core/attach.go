package core

import (
	"fmt"

	"anyloop/core/h1"
	"anyloop/core/loop"
)

// Detach takes everything of the engine out of its loops, so that they are as
// they were found; the conns live on, unserved, with their deadlines running,
// until Attach. Only streams, and the listening of an engine that accepts by
// itself, cannot leave: the engine is told to close them, and their handlers hear
// of it in the first turn after Attach. It is done when it returns, also inside a
// callback. The caller must be the only one who turns the engine's loops; where
// several goroutines do, each detaches its own by Thread.Detach. While Run turns a
// thread that is inside a callback of it, best by Post: from anywhere else it is a
// misuse, which does nothing but a log line and a count in Stats. Loop thread only.
func (e *Engine) Detach() {
	for _, th := range e.threads {
		th.Detach()
	}
}

// Detach is Engine.Detach for this thread alone: for loops that are turned by
// goroutines of their own. Attach needs all of them detached. Loop thread only.
func (th *Thread) Detach() {
	if !th.hosted.Load() {
		return
	}
	th.eng.mu.Lock()
	turned := th.turned
	th.eng.mu.Unlock()
	if turned && !(th.inTurn() && onLoopStack()) { // Run would sleep on in what is left of the loop
		th.misuse(ErrWrongThread, "Detach")
		return
	}
	th.detach()
}

// detach is Detach by who may.
func (th *Thread) detach() {
	if !th.hosted.Load() {
		return
	}
	for _, s := range th.eng.listening() {
		s.closeAlien()
	}
	for _, l := range th.links() {
		if w := l.stream(); w != nil {
			w.abandon()
		}
		if l.is(lfTLS) {
			l.tls().s.Leave()
		}
		if l.is(lfWatched) {
			l.flags |= lfParked
			l.unwatch()
		}
	}
	for l := range th.leaving {
		l.stream().gone = true
		th.forget(l)
	}
	th.eng.mu.Lock()
	th.turned = false
	th.eng.mu.Unlock()
	th.steady = false
	th.hosted.Store(false)
	th.closeLoop()
}

// Attach puts a detached engine into the loops of b, a readiness backend with
// the same kernel. Deadlines that passed meanwhile fire at the first turn. On an
// error the engine stays detached, and the loops as they were; ErrNoBackend says that
// b is nil. Loop thread only.
func (e *Engine) Attach(b loop.Backend) error {
	if b == nil {
		return ErrNoBackend
	}
	left := 0 // threads that have not ended: while the engine stops, some may have
	for _, th := range e.threads {
		if th.hosted.Load() {
			return ErrAttached
		}
		if th.end.phase != endOver {
			left++
		}
	}
	if left == 0 {
		return ErrStopped
	}
	if k, _ := b.(loop.Kernel); (k == nil) != (e.kernel == nil) {
		return fmt.Errorf("core: backend %s has another kernel than the engine's descriptors", b.Info().Name)
	}
	clock := e.clock
	e.useBackend(b)
	if e.clock == nil {
		e.clock = clock
	}
	for _, th := range e.threads {
		if th.end.phase == endOver {
			continue
		}
		if err := th.reattach(b); err != nil {
			for _, th := range e.threads {
				th.detach()
			}
			return err
		}
	}
	return nil
}

func (th *Thread) reattach(b loop.Backend) error {
	th.clock = th.eng.clock
	if err := th.attach(b); err != nil {
		return fmt.Errorf("core: thread %d: %w", th.index, err)
	}
	for _, l := range th.links() {
		if !l.is(lfParked) || l.is(lfDead) { // one that ends may be who calls, in its Closed
			continue
		}
		if err := l.watch(l.wants()); err != nil {
			return err
		}
		l.flags &^= lfParked
		delete(th.adrift, l)
	}
	th.armedFor = never
	if th.rearm != nil && !th.inTurn() {
		th.rearm.Rearm()
	}
	return nil
}

// date returns the Date field's value for this turn, formatted once a second.
func (th *Thread) date() []byte {
	th.now()
	sec := th.wall.Unix()
	if sec != th.dateSec || th.dateText == nil {
		th.dateSec = sec
		th.dateText = h1.AppendDate(th.dateText[:0], th.wall)
	}
	return th.dateText
}

func (th *Thread) stoppingNow() bool { return th.end.phase != endNot || th.eng.stopping.Load() }

var _ loop.Service = (*Thread)(nil)
