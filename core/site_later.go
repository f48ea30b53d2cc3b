package core

import (
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
