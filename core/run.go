package core

import (
	"context"
	"errors"
	"runtime/pprof"
	"strconv"

	"anyloop/core/loop"
)

// errExited is what Run returns if a handler has ended its goroutine.
var errExited = errors.New("core: a handler has ended the loop's goroutine (runtime.Goexit, or a test's Fatal)")

// Run turns the loops, one goroutine per service thread, until ctx ends or Stop
// is called, and returns nil after an orderly end (with the default grace if it
// was ctx), or after Detach. On a backend whose loop belongs to the application it returns
// ErrForeignLoop at once; ErrRunning if it runs already, or Thread.Run does; ErrDetached
// if the engine is in no loop, ErrStopped after the end. A handler that calls
// runtime.Goexit, as a test's Fatal does, ends the engine at once, and Run says so.
// Any goroutine.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	winding := e.winding
	var err error
	if winding == nil {
		err = e.claim(e.threads...)
	}
	e.mu.Unlock()
	switch {
	case winding != nil: // Shutdown came first, and turns the loops to their end
		<-winding
		return nil
	case err != nil:
		return err
	}
	return e.run(ctx)
}

// claim takes threads for a Run, all of them or none, with mu held. They are let go
// by letGo.
func (e *Engine) claim(threads ...*Thread) error {
	var hosted, detached, running bool
	for _, th := range threads {
		if th.hosted.Load() {
			hosted = true
		} else if !th.bell.ended.Load() {
			detached = true
		}
		running = running || th.running
	}
	switch {
	case detached && !hosted:
		return ErrDetached
	case e.info.Foreign:
		return ErrForeignLoop
	case running:
		return ErrRunning
	}
	for _, th := range threads {
		th.running, th.turned = true, true
	}
	return nil
}

// letGo ends what claim began.
func (th *Thread) letGo() {
	th.eng.mu.Lock()
	th.running, th.turned = false, false
	th.eng.mu.Unlock()
}

// over reports whether the engine has ended.
func (e *Engine) over() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// run is Run, with every thread claimed.
func (e *Engine) run(ctx context.Context) error {
	if e.over() {
		for _, th := range e.threads {
			th.letGo()
		}
		return ErrStopped
	}
	stop := context.AfterFunc(ctx, func() { e.Stop(0) })
	defer stop()
	errs := make(chan error, len(e.threads))
	for _, th := range e.threads {
		go e.host(th, nil, errs)
	}
	var first error
	for range e.threads {
		if err := <-errs; err != nil && first == nil {
			first = err
			e.Stop(-1)
		}
	}
	return first
}

// host turns a thread for Run, and tells errs how that has ended: with why, if there is
// a reason already. When a handler ends the goroutine, another one takes the thread to
// its end, since without it the engine would have none.
func (e *Engine) host(th *Thread, why error, errs chan<- error) {
	err := errExited
	defer func() {
		if why == nil {
			why = err
		}
		if th.torn {
			e.Stop(-1)
			go e.host(th, why, errs)
			return
		}
		th.letGo()
		errs <- why
	}()
	err = th.run(e.info.RunsHere)
}

// Run turns this thread's loop on the calling goroutine until the engine ends, or the
// thread is detached: for applications that bring their own threads. ErrForeignLoop if
// the backend's loop belongs to the application; ErrRunning if Run turns the thread
// already, this one or the engine's; ErrDetached if the thread is in no loop, ErrStopped
// after the end. A handler that calls runtime.Goexit ends the goroutine: Run does not
// return then, and may be called again on another one. Any goroutine, one at a time.
func (th *Thread) Run() error {
	e := th.eng
	e.mu.Lock()
	winding := e.winding
	var err error
	if winding == nil {
		err = e.claim(th)
	}
	e.mu.Unlock()
	switch {
	case winding != nil:
		<-winding
		return nil
	case err != nil:
		return err
	}
	defer th.letGo()
	if th.loop == nil {
		return ErrStopped
	}
	return th.run(false)
}

// run is Run for a thread that is claimed. steady says that the goroutine is ours and
// locked to no thread.
func (th *Thread) run(steady bool) (err error) {
	returned := false
	defer func() { th.torn = !returned && th.inTurn() }()
	if th.torn {
		th.takeOver()
	}
	if th.loop == nil && !th.hosted.Load() { // it has ended, or is detached
		returned = true
		return nil
	}
	r, ok := th.loop.(loop.Runner)
	if !ok || th.eng.info.Foreign {
		returned = true
		return ErrForeignLoop
	}
	th.steady = steady
	pprof.Do(context.Background(), pprof.Labels("anyloop.thread", strconv.Itoa(th.index)), func(context.Context) {
		err = r.Run()
	})
	returned = true
	if th.loop == loop.Loop(r) { // not left for another one meanwhile
		th.steady = false
		th.closeLoop()
	}
	return err
}

// takeOver ends a turn whose goroutine a handler has ended, as if the handler had
// panicked: until then no other turn can begin.
func (th *Thread) takeOver() {
	if debugging {
		th.goid = goroutineID()
	}
	th.inLoop = false
	th.panicked(errExited)
	th.bell.ring() // what it said may not have been done
	th.leave()
}
