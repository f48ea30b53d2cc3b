package core

import "sync"

// workers is the engine's bounded pool for work that can block: files, names,
// private keys. Goroutines come with work and go when there is none.
type workers struct {
	mu      sync.Mutex
	max     int
	limit   int
	running int
	queue   []func()
	stopped bool
	idle    func() // called when the last worker has gone
}

func newWorkers(n, queue int) *workers { return &workers{max: max(n, 1), limit: queue} }

func (w *workers) do(job func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return ErrStopped
	}
	if w.running < w.max {
		w.running++
		go w.run(job)
		return nil
	}
	if over(len(w.queue)+1, w.limit) {
		return ErrFull
	}
	w.queue = append(w.queue, job)
	return nil
}

func (w *workers) run(job func()) {
	for job != nil {
		job()
		w.mu.Lock()
		job = nil
		if len(w.queue) > 0 {
			job = w.queue[0]
			w.queue[0] = nil
			w.queue = w.queue[1:]
		} else {
			w.running--
		}
		idle := w.stopped && w.running == 0
		w.mu.Unlock()
		if job == nil && idle {
			w.idle()
		}
	}
}

// stop refuses new work, lets what is accepted finish and calls idle then.
func (w *workers) stop(idle func()) {
	w.mu.Lock()
	w.stopped, w.idle = true, idle
	now := w.running == 0
	w.mu.Unlock()
	if now {
		idle()
	}
}

// Work runs work on a goroutine of the engine's bounded pool, with the conn's
// input paused, and then done on the conn's thread, unless the conn has ended by
// then. work must not touch the conn. An error that done returns closes the
// conn like one from a handler. ErrFull if Limits.WorkQueue jobs wait. A panic
// in work is reported to done's conn as one of the handler. The engine's end waits
// for work to return, whatever the grace: give it a time limit. Loop thread only.
func (c *Conn) Work(work func(), done func(c *Conn) error) error {
	th := c.link.th
	th.checkVerb("Work")
	if !c.Open() {
		return ErrConnClosed
	}
	if c.pause&pauseWorker != 0 {
		return ErrFull
	}
	err := th.eng.work.do(func() {
		failed := guarded(work)
		th.force(func() { th.workDone(c, done, failed) })
	})
	if err != nil {
		return err
	}
	c.setPause(pauseWorker, true)
	return nil
}

func guarded(work func()) (failed *PanicError) {
	defer func() {
		if v := recover(); v != nil {
			failed = &PanicError{"Work", v}
		}
	}()
	work()
	return nil
}

func (th *Thread) workDone(c *Conn, done func(*Conn) error, failed *PanicError) {
	if c.state != stOpen || c.link.is(lfDead) {
		return
	}
	defer th.rescue()
	th.begin(c.link)
	c.setPause(pauseWorker, false)
	c.calling("Work")
	var err error
	if failed != nil {
		th.stats.Panics++
		c.vh().log.Error("panic in a worker", "conn", c.String(), "panic", failed.Value)
		err = failed
	} else {
		err = done(c)
	}
	c.called()
	if c.after(err) {
		c.offer()
	}
	th.finishService(c.link)
}

// force is Post without the limit: the work was bounded when it was accepted.
func (th *Thread) force(fn func()) {
	q := &th.posts
	q.mu.Lock()
	q.waits = append(q.waits, fn)
	q.mu.Unlock()
	th.bell.ring()
}
