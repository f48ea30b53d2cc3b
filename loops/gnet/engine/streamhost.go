//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"

	"anyloop/core/loop"
)

// host runs gnet until the last thread has left, again and again if it ends by
// itself, as it does when it cannot accept for lack of descriptors.
func (sl *StreamLoops) host(threads int) {
	defer close(sl.ended)
	wait := retryEvery
	for {
		sl.mu.Lock()
		all := slices.Clone(sl.listeners)
		sl.mu.Unlock()
		if len(all) == 0 {
			sl.up()
			<-sl.idle
			return
		}
		begun := time.Now()
		err := sl.hostOnce(all, threads)
		sl.up()
		switch {
		case over(sl.idle):
			return
		case err != nil && !passes(err):
			sl.err = err
			close(sl.failed)
			<-sl.idle
			return
		case time.Since(begun) > time.Minute:
			wait = retryEvery
		}
		select {
		case <-sl.idle:
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Second)
	}
}

// up lets the threads turn: gnet listens, or cannot yet.
func (sl *StreamLoops) up() {
	if !over(sl.listening) {
		close(sl.listening)
	}
}

// passes reports whether err is a lack of descriptors or memory.
func passes(err error) bool {
	return slices.ContainsFunc([]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM},
		func(e error) bool { return errors.Is(err, e) })
}

// hostOnce is one life of gnet.
func (sl *StreamLoops) hostOnce(all []*listener, threads int) error {
	var urls []string
	for _, l := range all {
		urls = append(urls, l.url)
	}
	opts := append([]gnet.Option{gnet.WithLogger(Silent)}, sl.b.opt.gnet...)
	opts = append(opts, gnet.WithReusePort(sharing(all, threads)), gnet.WithReuseAddr(true), gnet.WithTicker(false),
		gnet.WithMulticore(false), gnet.WithNumEventLoop(threads), gnet.WithLoadBalancing(gnet.LeastConnections))
	a := &acceptor{b: sl.b, all: all}
	var came []early
	share := sharing(all, threads)
	if !share {
		came = sl.collect(all)
	}
	a.ready = func() {
		if share { // nobody is refused meanwhile
			came = sl.collect(all)
		}
		sl.up()
		sl.first(came)
		came = nil
	}
	r := newRunning(a)
	go func() { r.ended(gnet.Rotate(r, urls, opts...), urls...) }()
	select {
	case <-r.done:
	case <-sl.idle:
		select {
		case <-r.done:
		case <-r.booted:
		}
		r.stop()
		<-r.done
	}
	refuse(came)
	if a.err != nil {
		return a.err
	}
	return r.err
}

// acceptor is the handler of a gnet engine that has core's connections only.
type acceptor struct {
	gnet.BuiltinEventEngine
	b    *Bridge
	all  []*listener
	host *host
	err  error // of OnBoot

	ready func() // gnet listens, and its loops do not turn yet
}

// OnBoot implements gnet.EventHandler.
func (a *acceptor) OnBoot(gnet.Engine) gnet.Action {
	a.host = newHost(a.b, true)
	if a.err = restrict(a.all); a.err != nil {
		return gnet.Shutdown
	}
	a.ready()
	return gnet.None
}

// OnShutdown implements gnet.EventHandler.
func (a *acceptor) OnShutdown(gnet.Engine) { a.host.end(ErrHostGone) }

// OnOpen implements gnet.EventHandler.
func (a *acceptor) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	at := a.b.take(a.host, c.EventLoop())
	accept := a.listener(c)
	if at.st == nil || accept == nil {
		return nil, gnet.Close
	}
	s := newStream(c, at)
	if !s.hl.enter() {
		return nil, gnet.Close
	}
	defer s.hl.leave()
	var err error
	if s.sc, err = accept(at.st.thread, s, peerOf(c)); err != nil {
		return nil, gnet.Close
	}
	s.begin()
	return nil, s.opened(nil)
}

func (a *acceptor) listener(c gnet.Conn) acceptFunc {
	if len(a.all) == 1 {
		return a.all[0].accept
	}
	local := localOf(c.LocalAddr())
	for _, l := range a.all {
		if l.local == local {
			return l.accept
		}
	}
	return nil
}

// OnTraffic implements gnet.EventHandler.
func (a *acceptor) OnTraffic(c gnet.Conn) gnet.Action {
	if s, ok := c.Context().(*stream); ok {
		return s.traffic()
	}
	return gnet.Close
}

// OnClose implements gnet.EventHandler.
func (a *acceptor) OnClose(c gnet.Conn, err error) gnet.Action {
	if s, ok := c.Context().(*stream); ok {
		s.gone(err)
	}
	return gnet.None
}

// here has the calling goroutine turn the thread; nil if gnet has taken it.
func (l *streamLoop) here() (watcher, error) {
	b := l.sl.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.st.host != nil {
		return nil, nil
	}
	if err := b.seat(l.st, l.st.own); err != nil {
		return nil, err
	}
	return l.st.w, nil
}

// watcher is a poll.Watcher.
type watcher interface {
	Done() <-chan struct{}
	Err() error
	Stop()
}

// take returns the thread of an event loop, giving it one that no event loop has
// yet; none if there is none. On that event loop.
func (b *Bridge) take(h *host, el gnet.EventLoop) place {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.down {
		return place{}
	}
	hl := h.loop(el)
	if hl.st != nil {
		return place{hl.st, hl}
	}
	for _, st := range b.seats {
		if st == nil || st.w != nil && st.on != st.own {
			continue
		}
		if st.w != nil {
			st.w.Stop()
			st.own.wait()
			st.w, st.on = nil, nil
		} // else Run is about to turn it
		if over(st.left) || b.seat(st, hl) != nil {
			return place{} // Run sees to it
		}
		hl.st, st.host = st, h
		return place{st, hl}
	}
	return place{}
}

// takenBy returns the gnet engine that has taken a thread since it was last
// asked, nil if none has.
func (b *Bridge) takenBy(st *seat) *host {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := st.host
	st.host = nil
	return h
}

// unseat ends the turning of a thread whose engine has ended.
func (b *Bridge) unseat(st *seat) {
	b.mu.Lock()
	w, hl := st.w, st.on
	b.mu.Unlock()
	if w != nil {
		w.Stop()
		hl.wait()
	}
}

var _ loop.Acceptor = (*StreamLoops)(nil)
