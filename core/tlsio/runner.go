package tlsio

import "iter"

// runner runs a function on a stack of its own, which can be suspended.
type runner interface {
	// next runs it until it suspends itself, which is true, or has returned.
	next() bool
	// suspend is called by the function itself. It is false if the function is to
	// return: it must not call suspend again.
	suspend() bool
	// stop ends a suspended function, and waits for that.
	stop()
}

// coroutine is a runner of one goroutine: the runtime's lock state of the caller
// must be the same at every call.
type coroutine struct {
	yield  func(struct{}) bool
	resume func() (struct{}, bool)
	end    func()
}

func newCoroutine(body func()) runner {
	c := &coroutine{}
	c.resume, c.end = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		body()
	})
	return c
}

func (c *coroutine) next() bool {
	_, more := c.resume()
	return more
}

func (c *coroutine) suspend() bool { return c.yield(struct{}{}) }
func (c *coroutine) stop()         { c.end() }

// elsewhere is a coroutine whose caller may have become another goroutine, or
// one that is locked to its thread, for which the runtime would end the process:
// a fresh goroutine, which never is, switches to it.
type elsewhere struct{ runner }

func (e elsewhere) next() (more bool) {
	wait(func() { more = e.runner.next() })
	return more
}

func (e elsewhere) stop() { wait(e.runner.stop) }

func wait(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done) // also by Goexit
		f()
	}()
	<-done
}

// lockStep is a runner of any goroutine: the function has one of its own, which
// runs only while next or stop waits for it.
type lockStep struct {
	resume chan bool // false: return
	state  chan bool // false: it has returned
}

func newLockStep(body func()) runner {
	l := &lockStep{make(chan bool), make(chan bool)}
	go func() {
		defer func() { l.state <- false }() // also by Goexit
		if <-l.resume {
			body()
		}
	}()
	return l
}

func (l *lockStep) next() bool {
	l.resume <- true
	return <-l.state
}

func (l *lockStep) suspend() bool {
	l.state <- true
	return <-l.resume
}

func (l *lockStep) stop() {
	l.resume <- false
	<-l.state
}
