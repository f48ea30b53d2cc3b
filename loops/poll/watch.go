package poll

import (
	"errors"
	"fmt"
	"sync"

	"anyloop/core/sys"
)

// ErrHostGone says that the loop which turned a nested Loop has ended.
var ErrHostGone = errors.New("poll: the host's loop has ended")

// Watcher has a nested Loop turned by a loop that can run a function on its own
// goroutine but cannot watch our descriptor. A goroutine sleeps in poll(2) until
// the Loop is ready, hands the host one job, and waits until that has run: so
// at most one job is ever queued, and the host's own work is not crowded out.
type Watcher struct {
	l    *Loop
	max  int
	post func(job func()) error
	bell *sys.Doorbell // wakes the goroutine out of poll(2)
	ack  chan struct{}
	quit chan struct{}
	done chan struct{}
	once sync.Once
	err  error // why it ended; read after done
}

// Watch starts watching l for another loop. post must see to it that job runs
// once on that loop's goroutine, soon, and must not wait for it; an error from
// it means that the host has ended. One job is one Pass of at most max events
// (0: a batch). A job that runs after Stop does nothing. One Watcher at a time;
// closing l stops it. ErrNoDescriptor if l is not nested. Any goroutine, while
// nobody else turns l.
func (l *Loop) Watch(max int, post func(job func()) error) (*Watcher, error) {
	if l.bell == nil {
		return nil, ErrNoDescriptor
	}
	bell, err := sys.NewDoorbell()
	if err != nil {
		return nil, fmt.Errorf("poll: %w", err)
	}
	w := &Watcher{l: l, max: max, post: post, bell: bell, ack: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{})}
	l.mu.Lock()
	busy := l.closed || l.watcher != nil
	if !busy {
		l.watcher = w
	}
	l.mu.Unlock()
	if busy {
		bell.Close()
		return nil, fmt.Errorf("poll: this loop is closed or watched already")
	}
	go w.run()
	return w, nil
}

// Stop ends the watching and returns when the goroutine has ended. It is legal
// anywhere, also inside a job; if it is called elsewhere than on the host's
// goroutine, a job that runs already may outlast it. Any goroutine.
func (w *Watcher) Stop() { w.stop(nil) }

// Lost tells the watcher that its host has ended, so that a job which is queued
// there will never run. Any goroutine.
func (w *Watcher) Lost() { w.stop(ErrHostGone) }

// Done is closed when the watcher has ended: stopped, or because the engine or
// the host has ended. Any goroutine.
func (w *Watcher) Done() <-chan struct{} { return w.done }

// Err returns why the watcher ended: nil for Stop and the end of the engine,
// else ErrHostGone, what post returned, or what the system said. It waits for
// the end. Any goroutine.
func (w *Watcher) Err() error {
	<-w.done
	return w.err
}

func (w *Watcher) stop(why error) {
	w.once.Do(func() {
		w.err = why
		close(w.quit)
		w.bell.Ring()
	})
	<-w.done
}

func (w *Watcher) run() {
	err := w.watch()
	// If stop was faster, this waits until it has rung the bell for the last
	// time: only then may the bell close.
	w.once.Do(func() {
		w.err = err
		close(w.quit)
	})
	w.l.mu.Lock()
	if w.l.watcher == w {
		w.l.watcher = nil
	}
	w.l.mu.Unlock()
	w.bell.Close()
	close(w.done)
}

// watch is the goroutine. It ends with nil when it was stopped.
func (w *Watcher) watch() error {
	job := w.job // one closure for all
	wait := waiter(w.l.FD(), w.bell.FD())
	for {
		rung, err := wait()
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if rung {
			return nil
		}
		if err := w.post(job); err != nil {
			return fmt.Errorf("%w: %w", ErrHostGone, err)
		}
		select {
		case <-w.ack:
		case <-w.quit:
			return nil
		}
	}
}

// job runs on the host's goroutine.
func (w *Watcher) job() {
	select {
	case <-w.quit:
		return
	default:
	}
	if _, err := w.l.Pass(w.max); err != nil {
		w.once.Do(func() {
			w.err = err
			close(w.quit)
		})
		return
	}
	w.ack <- struct{}{}
}
