package core

import (
	"slices"
	"time"

	"anyloop/core/sys"
)

// A site whose interface or address is not there, and whose vhosts have BindLater,
// waits: thread 0 tries again once a second, until it works or the last of its
// vhosts is removed.

const bindAgain = time.Second

// waiting is why a site does not listen yet.
type waiting struct {
	err   error
	armed bool
}

// mayWait reports whether what kept vh from listening can pass.
func (vh *VirtualHost) mayWait(err error) bool { return vh.cfg.BindLater && sys.Absent(err) }

// startWaiting lets thread 0 try again, once for all vhosts of the site.
func (s *site) startWaiting(vh *VirtualHost) error {
	e := s.eng
	e.mu.Lock()
	w := s.waits
	first := w != nil && !w.armed
	if first {
		w.armed = true
	}
	e.mu.Unlock()
	if !first {
		return nil
	}
	vh.log.Warn("listening as soon as the address is there", "addr", s.key.Addr, "err", w.err)
	return e.threads[0].post(func() { e.threads[0].AfterFunc(bindAgain, s.tryAgain) }, false)
}

// tryAgain runs on thread 0.
func (s *site) tryAgain() {
	e := s.eng
	th := e.threads[0]
	e.mu.Lock()
	ended := s.ended
	e.mu.Unlock()
	if ended || th.end.phase != endNot {
		return
	}
	socks, err := s.open(nil)
	if err == nil {
		e.mu.Lock()
		s.waits = nil
		e.mu.Unlock()
		e.log.Info("listening", "addr", s.bound)
		var left []sock
		if left, err = s.watchAll(socks); err == nil {
			return
		}
		s.closeSocks(left)
		e.log.Error("a listening socket is lost", "addr", s.bound, "err", err)
		return
	}
	e.mu.Lock()
	news := err.Error() != s.waits.err.Error()
	s.waits.err = err
	e.mu.Unlock()
	if news {
		e.log.Warn("still not listening", "addr", s.key.Addr, "err", err)
	}
	th.AfterFunc(bindAgain, s.tryAgain)
}

// send gives a socket to its thread. On an error it stays the caller's.
func (s *site) send(sk sock) error {
	e := s.eng
	e.mu.Lock()
	s.late = append(s.late, sk)
	e.mu.Unlock()
	err := sk.th.post(func() { s.arrive(sk) }, false)
	if err != nil {
		s.takeLate(sk)
	}
	return err
}

// arrive is watch when nobody waits for the answer any more.
func (s *site) arrive(sk sock) {
	if !s.takeLate(sk) {
		return
	}
	if sk.th.end.phase != endNot {
		s.closeSock(sk)
		return
	}
	if err := s.watch(sk); err != nil {
		s.eng.log.Error("a listening socket is lost", "addr", s.bound, "thread", sk.th.index, "err", err)
		s.closeSock(sk)
	}
}

// takeLate reports whether the socket was still on its way.
func (s *site) takeLate(sk sock) bool {
	e := s.eng
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(s.late, sk)
	if i >= 0 {
		s.late = slices.Delete(s.late, i, i+1)
	}
	return i >= 0
}

// closeLate closes what has not arrived when all threads have drained: Destroy, which
// follows, promises that nobody listens. On the last thread that has.
func (s *site) closeLate(th *Thread) {
	e := s.eng
	e.mu.Lock()
	late := s.late
	s.late = nil
	e.mu.Unlock()
	for _, sk := range late {
		s.closeSock(sock{th, sk.fd})
	}
}
