package core

import (
	"slices"
	"syscall"
	"time"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

// listenRole accepts. Its interest is In while there is room, none at the
// descriptor limit and for AcceptPause after EMFILE: the backlog holds clients
// meanwhile, and nothing spins.
type listenRole struct {
	baseRole
	site *site
	full bool      // no thread has room
	on   bool      // the loop watches it, or did
	told time.Time // when it was last logged that it cannot accept
}

const phaseAcceptPause uint8 = 1

// complainEvery is how often a listener says at most that it cannot accept, which
// it may find out many times a second.
const complainEvery = time.Minute

var errMaxConns error = &LimitError{Limit: "MaxConns"}

func (*listenRole) name() string { return "listen" }

func (r *listenRole) ready(l *link) {
	th := l.th
	for range th.eng.limits.AcceptBatch {
		to := th.eng.leastLoaded()
		if to == nil {
			r.complain(l, errMaxConns)
			r.pause(l)
			return
		}
		fd, peer, err := th.accept(l)
		switch {
		case err == nil:
			th.welcome(to, r.site, fd, peer)
		case again(err):
			return
		case err == syscall.ECONNABORTED || err == syscall.EPROTO || err == syscall.EPERM:
			// That client is gone or forbidden; the next one may not be.
		default:
			r.complain(l, err)
			th.stats.AcceptPauses++
			l.flags |= lfNoRead
			l.arm(phaseAcceptPause, th.eng.limits.AcceptPause)
			return
		}
	}
}

// complain logs why clients have to wait: nothing else tells who runs the program.
func (r *listenRole) complain(l *link, err error) {
	th := l.th
	if now := th.Now(); r.told.IsZero() || now.Sub(r.told) >= complainEvery {
		r.told = now
		th.eng.log.Warn("not accepting for now", "addr", r.site.bound, "err", err)
	}
}

// pause stops accepting until a conn ends. The check after the store closes the
// gap in which the last conn of another thread ended.
func (r *listenRole) pause(l *link) {
	r.full = true
	l.flags |= lfNoRead
	l.th.eng.full.Store(true)
	l.th.stats.AcceptPauses++
	if l.th.eng.leastLoaded() != nil {
		l.th.eng.room()
	}
}

func (r *listenRole) expire(l *link) {
	l.phase = 0
	if !r.full {
		l.flags &^= lfNoRead
	}
}

func (r *listenRole) stop(l *link) { l.doom(ErrStopped) }
func (r *listenRole) gone(l *link, _ error) {
	th := l.th
	l.own().state = stDead
	th.listeners = slices.DeleteFunc(slices.Clone(th.listeners), func(o *link) bool { return o == l })
	if r.on {
		l.flags |= lfKeepFD
		r.site.closeSock(sock{th, int(l.fd)})
	}
}

// accept takes one connection off the listener's queue.
func (th *Thread) accept(l *link) (fd int, peer peerName, err error) {
	if th.kernel != nil {
		fd, text, err := th.kernel.Accept(int(l.fd))
		return fd, named(text), err
	}
	nfd, addr, e := th.io.Accept(int(l.fd))
	if e != 0 {
		return -1, peerName{}, e
	}
	if ap := addr.AddrPort(); ap.IsValid() {
		return nfd, peerName{addr: ap}, nil
	}
	return nfd, named(addr.String()), nil
}

// welcome filters an accepted descriptor and takes it to its thread.
func (th *Thread) welcome(to *Thread, s *site, fd int, peer peerName) {
	e := th.eng
	th.stats.Accepted++
	if !th.allowed(s, peer) {
		th.stats.Refused++
		th.closeRaw(fd)
		return
	}
	if th.kernel == nil && s.tcp {
		e.tune(fd, s.quick)
	}
	to.load.Add(1)
	if to == th {
		th.adopt(s, fd, peer)
		return
	}
	if err := to.Post(func() { to.adopt(s, fd, peer) }); err != nil {
		to.freePlace()
		th.stats.Refused++
		th.closeRaw(fd)
	}
}

// tune sets the options of a TCP connection; one that is quick has TCP_NODELAY.
func (e *Engine) tune(fd int, quick bool) {
	if !quick {
		sys.SetNoDelay(fd, true)
	}
	if ka := e.cfg.KeepAlive; ka.Idle > 0 {
		if err := sys.SetKeepAlive(fd, ka.Idle, ka.Interval, ka.Probes); err != nil {
			e.log.Warn("keepalive", "err", err)
		}
	}
}

// ownSocket makes a socket that somebody else has opened like one of vh's.
func (th *Thread) ownSocket(fd int, vh *VirtualHost) error {
	if th.kernel != nil {
		return nil
	}
	if err := sys.Adopt(fd); err != nil {
		return err
	}
	if !sys.IsTCP(fd) {
		return nil
	}
	th.eng.tune(fd, false)
	if vh != nil && vh.cfg.BindInterface {
		return sys.BindToDevice(fd, vh.cfg.Interface)
	}
	return nil
}

// allowed asks FilterConn. A panic in it refuses the connection, and nobody is asked
// about one whose vhosts are all removed.
func (th *Thread) allowed(s *site, peer peerName) (ok bool) {
	vh, f := s.first(), th.eng.cfg.FilterConn
	if f == nil || vh == nil {
		return vh != nil
	}
	defer func() {
		if v := recover(); v != nil {
			th.stats.Panics++
			th.eng.log.Error("panic in FilterConn; the connection is refused", "peer", peer.String(), "panic", v)
			ok = false
		}
	}()
	return f(vh, peer.String())
}

// adopt makes the link of an accepted connection, on its own thread.
func (th *Thread) adopt(s *site, fd int, peer peerName) {
	vh := s.first()
	if vh == nil || th.end.phase != endNot {
		th.freePlace()
		th.closeRaw(fd)
		return
	}
	r := th.firstRole(vh.site)
	l := th.newPeer(fd, vh, r, peer)
	if err := l.watch(loop.In); err != nil {
		th.eng.log.Warn("the loop refused a connection", "peer", peer.String(), "err", err)
		l.doom(err)
		cur := th.cur
		th.bury(l)
		th.cur = cur
		return
	}
	r.accepted(l)
	if debugging {
		vh.log.Debug("accepted", "conn", l.own().String(), "peer", peer.String())
	}
}

func (th *Thread) closeRaw(fd int) {
	if th.kernel != nil {
		th.kernel.Close(fd)
		return
	}
	th.io.Close(fd)
}

// release gives a conn's place back and lets paused listeners go on.
func (th *Thread) release() {
	th.conns--
	th.freePlace()
}

// freePlace gives back a place of the thread's that a connection has, or was on
// its way to. Any thread.
func (th *Thread) freePlace() {
	th.load.Add(-1)
	if th.eng.full.Load() {
		th.eng.room()
	}
}

// leastLoaded returns the thread with the fewest conns that has room, the lowest
// index of equals, nil if all are full.
func (e *Engine) leastLoaded() *Thread {
	var best *Thread
	for _, th := range e.threads {
		n := th.load.Load()
		if over(int(n)+1, e.limits.MaxConns) {
			continue
		}
		if best == nil || n < best.load.Load() {
			best = th
		}
	}
	return best
}

// room wakes listeners that wait for it. Any thread.
func (e *Engine) room() {
	if !e.full.CompareAndSwap(true, false) {
		return
	}
	for _, th := range e.threads {
		th.listenAgain.Store(true)
		th.bell.ring()
	}
}

// resumeListeners is run by the wake role.
func (th *Thread) resumeListeners() {
	if !th.listenAgain.Swap(false) {
		return
	}
	for _, l := range th.listeners {
		if r := l.role.(*listenRole); r.full {
			r.full = false
			if l.phase != phaseAcceptPause {
				l.flags &^= lfNoRead
			}
			if th.cur != l {
				l.settle()
			}
		}
	}
}
