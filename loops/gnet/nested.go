//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetloop

import (
	"errors"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"

	"anyloop/core/loop"
	"anyloop/loops/poll"
)

// passMax is how many events of core are handled for one event of the poller, so
// that the application's own descriptors get their turn.
const passMax = 64

// nested watches a set of loops/poll, which has its own doorbell and timer.
type nested struct {
	loop.Loop // the set's
	set       *poll.Loop
	att       *netpoll.PollAttachment
	p         registrar
	l         *Loop
}

func newNested(p registrar, l *Loop) (watcher, error) {
	b := poll.Backend(poll.Nested())
	lp, err := b.Open(0, l.s)
	if err != nil {
		return nil, err
	}
	n := &nested{Loop: lp, set: b.Thread(0), p: p, l: l}
	n.att = &netpoll.PollAttachment{FD: n.set.FD()}
	l.n.Adds++
	if err := p.AddRead(n.att, false); err != nil {
		return nil, errors.Join(err, n.set.Close())
	}
	return n, nil
}

func (n *nested) event(fd int, _ netpoll.IOEvent) bool {
	if fd != n.att.FD {
		return false
	}
	n.l.n.Events++
	_, n.l.err = n.set.Pass(passMax)
	return true
}

func (n *nested) rearm() { n.Loop.(loop.Rearmer).Rearm() }

// close: a kqueue forgets the set when its descriptor is closed, and has no other
// way.
func (n *nested) close() error {
	n.l.n.Deletes++
	return errors.Join(n.p.Delete(n.att.FD), n.set.Close())
}
