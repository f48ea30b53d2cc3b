//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"

	"anyloop/core/loop"
)

// Gnet gives a StreamLoops further options for its gnet engine. The number of
// event loops is that of the service threads, connections go to the one with the
// fewest, addresses are reused, and there is no ticker, whatever they say. The
// default is to log nothing.
func Gnet(opts ...gnet.Option) Option {
	return func(o *options) { o.gnet = append(o.gnet, opts...) }
}

// StreamLoops is a backend that runs a gnet engine and serves through its
// connections. See Streams.
type StreamLoops struct {
	b *Bridge

	mu        sync.Mutex
	listeners []*listener
	loops     int           // open
	running   int           // threads inside Run
	begun     bool          // Run was called: no further addresses
	idle      chan struct{} // closed when the last thread has left Run
	ended     chan struct{} // closed when gnet has ended for good
	failed    chan struct{} // closed with err: gnet cannot listen
	err       error
	listening chan struct{} // closed when gnet listens for the first time, or has tried
}

// Streams returns a backend for core.Config that Engine.Run turns: gnet listens,
// accepts and reads, and core speaks through its connections, one event loop per
// service thread. What it costs, compared with all the other backends:
//
//   - gnet cannot stop reading. What comes for a connection that is paused, or
//     whose peer does not take its answers, is kept up to InputCap; then the
//     connection leaves gnet, and core serves its descriptor, so that TCP holds the
//     peer back. It stays so.
//   - gnet takes the end of what a peer sends for the end of the connection: a
//     client that half-closes gets no answer.
//   - At the limit of descriptors gnet's engine ends. It is run again on the same
//     ports, after 100 ms at first and every second later, while the engine lives on:
//     but gnet has closed all of its connections, with ErrHostGone.
//   - Above MaxConns connections are accepted and closed; elsewhere they wait.
//   - All addresses must be known before Run: VHosts added later must share one of
//     them, or listen nowhere; else ErrLate.
//   - VHost.Listener and abstract unix sockets are refused.
//
// What it does not cost: gnet's unbounded output buffer is never used, nor waited
// for; a slow peer costs no more than on other backends, and nothing is lost at a
// close. Config.ReusePort has no effect.
//
// A backend serves one engine at a time: a second one is refused with ErrInUse
// until the first has ended or left.
func Streams(opts ...Option) *StreamLoops {
	return &StreamLoops{b: New(opts...), listening: make(chan struct{})}
}

// Listening is closed when gnet listens, which is soon after Engine.Run begins. A
// connection that comes before waits, and is served by its descriptor, not by gnet;
// with several service threads, or a unix socket among the addresses, or elsewhere
// than on Linux, it may be refused in the moment in which gnet's sockets take the
// place of ours. No service thread turns before. Any goroutine.
func (sl *StreamLoops) Listening() <-chan struct{} { return sl.listening }

// Info implements loop.Backend.
func (sl *StreamLoops) Info() loop.Info {
	return loop.Info{Name: "gnet-stream", Tier: loop.Bytes}
}

// Open implements loop.Backend. Errors: ErrInUse, and the system's.
func (sl *StreamLoops) Open(thread int, s loop.Service) (loop.Loop, error) {
	l, err := sl.b.Open(thread, s)
	if err != nil {
		return nil, err
	}
	sl.mu.Lock()
	sl.loops++
	sl.mu.Unlock()
	own := &ownLoop{jobs: make(chan gnet.Runnable, 1)}
	sl.b.mu.Lock()
	st := sl.b.seats[thread]
	st.left = make(chan struct{})
	st.own = &hostLoop{h: newHost(sl.b, true), el: own}
	sl.b.mu.Unlock()
	return &streamLoop{nested: l.(nested), sl: sl, st: st, own: own}, nil
}

// Listen implements loop.Acceptor.
func (sl *StreamLoops) Listen(network, address string, accept func(thread int, s loop.Stream, peer string) (loop.StreamConn, error)) (string, io.Closer, error) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if sl.begun {
		return "", nil, ErrLate
	}
	all, bound, err := listen(network, address, accept)
	if err != nil {
		return "", nil, err
	}
	sl.listeners = append(sl.listeners, all...)
	return bound, closer(func() { sl.forget(all) }), nil
}

type closer func()

// Close implements io.Closer.
func (f closer) Close() error { f(); return nil }

// forget ends the listening on some addresses. If gnet has them already, core
// refuses what still comes.
func (sl *StreamLoops) forget(all []*listener) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if sl.begun {
		return
	}
	release(all, false)
	sl.listeners = slices.DeleteFunc(sl.listeners, func(l *listener) bool { return slices.Contains(all, l) })
}

// streamLoop is the loop of one service thread. It is turned by the goroutine of
// Run until gnet has a connection for the thread, and then by the event loop that
// the connection is on.
type streamLoop struct {
	nested
	sl  *StreamLoops
	st  *seat
	own *ownLoop
}

// Close implements loop.Closer.
func (l *streamLoop) Close() error {
	sl := l.sl
	sl.mu.Lock()
	if sl.loops--; sl.loops == 0 {
		release(sl.listeners, false)
		sl.listeners, sl.begun = nil, false
	}
	sl.mu.Unlock()
	return l.nested.Close()
}

// Run implements loop.Runner. That of the last thread to end waits for gnet.
func (l *streamLoop) Run() error {
	l.sl.begin()
	<-l.sl.listening // who sees the engine turn can connect
	var err error
	for err == nil && l.st.s.Hosted() {
		err = l.turn()
	}
	return l.sl.end(err)
}

// turn turns the thread here until gnet takes it, and waits until gnet has ended
// or the engine is over.
func (l *streamLoop) turn() error {
	w, err := l.here()
	if err != nil {
		select { // no descriptor for the watcher: it may pass
		case <-time.After(retryEvery):
			return nil
		case <-l.sl.failed:
			return l.sl.err
		}
	}
	for turning := w != nil; turning; {
		select {
		case job := <-l.own.jobs:
			job.Run(context.Background())
		case <-w.Done():
			turning = false
		case <-l.st.left:
			w.Stop()
			return nil
		case <-l.sl.failed:
			w.Stop()
			return l.sl.err
		}
	}
	h := l.sl.b.takenBy(l.st)
	if h == nil {
		return w.Err() // it has ended by itself
	}
	select {
	case <-l.st.left:
		l.sl.b.unseat(l.st)
	case <-h.over:
	case <-l.sl.failed:
		<-h.over
		return l.sl.err
	}
	return nil
}

// ownLoop takes the place of a gnet event loop while a thread has none.
type ownLoop struct{ jobs chan gnet.Runnable }

// Execute implements executor.
func (o *ownLoop) Execute(_ context.Context, r gnet.Runnable) error {
	o.jobs <- r // never more than one
	return nil
}

// Close implements executor.
func (o *ownLoop) Close(gnet.Conn) error { return nil }

// begin starts gnet with the first thread.
func (sl *StreamLoops) begin() {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.running++
	if sl.begun {
		return
	}
	sl.begun = true
	sl.idle, sl.ended, sl.failed, sl.err = make(chan struct{}), make(chan struct{}), make(chan struct{}), nil
	go sl.host(sl.loops)
}

// end is what a thread does last; the last one waits for gnet.
func (sl *StreamLoops) end(err error) error {
	sl.mu.Lock()
	sl.running--
	last := sl.running == 0
	if last {
		close(sl.idle)
	}
	sl.mu.Unlock()
	if last {
		<-sl.ended
	}
	return err
}
