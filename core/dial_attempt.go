package core

import (
	"syscall"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

// dialRole is one attempt to connect. Its interest is both directions: readiness
// of any kind only says that the system may be asked how it came out.
type dialRole struct {
	baseRole
	race *dialRace
	dest dialDest
}

func (*dialRole) name() string { return "dial" }

// attempt begins to connect to d.
func (th *Thread) attempt(r *dialRace, d dialDest) (*link, error) {
	fd, err := th.connect(&r.t, d)
	if err != nil {
		return nil, err
	}
	l := th.newLink(fd, &dialRole{race: r, dest: d})
	l.flags |= lfReady | lfWantOut
	l.own().setPeer(named(d.String()))
	if err := l.watch(l.wants()); err != nil {
		th.dropAttempt(l)
		return nil, err
	}
	return l, nil
}

// connect makes a descriptor that is being connected, or is already: nobody asks
// before the loop calls it writable.
func (th *Thread) connect(t *target, d dialDest) (int, error) {
	if th.kernel == nil {
		return sys.Connect(sys.ConnectOptions{
			Addr: d.addr, Path: d.path, LocalAddr: t.laddr, LocalPort: t.lport, Interface: t.iface,
		})
	}
	k, ok := th.kernel.(loop.Connecter)
	if !ok {
		return -1, sys.ErrUnsupported
	}
	o := loop.ConnectTo{Network: t.network, Address: d.path, Interface: t.iface, LocalPort: t.lport}
	if d.addr.IsValid() {
		o.Address = d.addr.String()
	}
	if t.laddr.IsValid() {
		o.LocalAddr = t.laddr.String()
	}
	return k.Connect(o)
}

// connected asks the system how an attempt came out: EINPROGRESS is not yet.
func (l *link) connected() error {
	if k, ok := l.th.kernel.(loop.Connecter); ok {
		return k.Connected(int(l.fd))
	}
	if e := l.th.io.Connected(int(l.fd)); e != 0 {
		return e
	}
	return nil
}

func (r *dialRole) ready(l *link)    { r.decide(l) }
func (r *dialRole) writable(c *Conn) { r.decide(c.link) }

// decide ends the attempt if it is decided. Readiness that is not true leaves it
// as it is.
func (r *dialRole) decide(l *link) {
	if l.is(lfDead) {
		return
	}
	err := l.connected()
	if err == syscall.EINPROGRESS && l.wireHungUp() {
		// The system says that it is over, and did not say how: it may have
		// ended between the two questions. Asked for ever it would spin.
		if err = l.connected(); err == syscall.EINPROGRESS {
			err = syscall.ENOTCONN
		}
	}
	switch err {
	case nil:
		r.race.won(l, r.dest)
	case syscall.EINPROGRESS:
		l.flags |= lfWantOut
	default:
		r.race.lost(l)
		l.th.dropAttempt(l)
		r.race.failed(r.dest, err)
	}
}

// stop: the client's own link cancels the race. Should it not come to it, the next
// step says why it is over.
func (r *dialRole) stop(l *link) { l.doom(l.th.farewell()) }

// gone: somebody else than the race has ended the attempt.
func (r *dialRole) gone(l *link, err error) {
	l.own().state = stDead
	r.race.lost(l)
	if err == nil {
		err = errPeerGone
	}
	r.race.failed(r.dest, err)
}

// dropAttempt un-watches an attempt and closes its descriptor, unless both have
// another link by now. It may be in service, and so may any other: what is corked
// is not touched.
func (th *Thread) dropAttempt(l *link) {
	if l.is(lfDead) {
		return
	}
	l.flags |= lfDead
	th.limits.Stop(&l.limit)
	l.unwatch()
	l.empty()
	l.own().state = stDead
	th.closeLink(l)
}

// inherit makes l, which has no descriptor yet, the owner of that of a connected
// attempt, with its registration: the loop hears nothing but the change of
// interest when l's service ends. from is over. l.fd is set, lfKeepFD is lifted
// and l is not adrift any more. Loop thread only, inside the done of reach.
func (l *link) inherit(from *link) {
	th := l.th
	l.fd, l.mask = from.fd, from.mask
	l.flags = l.flags&^lfKeepFD | lfWatched
	delete(th.adrift, l)
	th.table.Set(int(l.fd), l)
	from.flags = from.flags&^lfWatched | lfKeepFD
	from.mask = 0
	th.dropAttempt(from)
}
