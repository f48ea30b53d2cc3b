package core

import (
	"errors"

	"anyloop/core/tlsio"
)

// shakes is the thread's share of TLS handshakes: how many have begun and are not
// complete, and who waits for a turn. A step costs a hundred times what a message
// does, so that in one turn there are only a few; descriptors with data come first.
type shakes struct {
	left    int     // steps that this turn may still take
	running int     // begun and not complete
	now     *link   // whose turn it is
	turns   []*link // wait for a step, oldest first
	places  []*link // wait for Limits.Handshakes to let them begin, oldest first
}

// pending reports whether a step can be taken without any descriptor's event.
func (s *shakes) pending() bool { return len(s.turns) > 0 }

// mayStep takes one step of this turn's for l, or lets l wait for a later one.
func (s *shakes) mayStep(l *link) bool {
	switch {
	case s.now == l:
		s.now = nil
		return true
	case s.left > 0:
		s.left--
		return true
	}
	s.wait(l)
	return false
}

// wait puts l behind those that wait for a step, once.
func (s *shakes) wait(l *link) {
	if !l.is(lfShakeTurn) {
		l.flags |= lfShakeTurn
		s.turns = append(s.turns, l)
	}
}

// mayBegin reports whether one more handshake may begin; else l waits for a place,
// unread.
func (s *shakes) mayBegin(l *link) bool {
	if !over(s.running+1, l.th.eng.limits.Handshakes) {
		return true
	}
	if !l.is(lfShakePlace) {
		l.flags |= lfShakePlace | lfNoRead
		s.places = append(s.places, l)
	}
	return false
}

// serve takes the steps that are left of this turn for those that wait.
func (s *shakes) serve(th *Thread) {
	for s.left > 0 && len(s.turns) > 0 {
		l := s.turns[0]
		s.turns[0] = nil
		if s.turns = s.turns[1:]; len(s.turns) == 0 {
			s.turns = nil
		}
		l.flags &^= lfShakeTurn
		if l.flags&(lfDead|lfDoomed) == 0 {
			s.left--
			th.serveShake(l)
		}
	}
}

// serveShake is the step of a link that waited for it.
func (th *Thread) serveShake(l *link) {
	defer th.rescue()
	th.begin(l)
	th.shakes.now = l
	if r, ok := l.role.(*sniffRole); ok && !l.is(lfShaking) {
		r.again(l)
	} else {
		l.receiveOrUnseal()
	}
	th.shakes.now = nil
	l.offerAll()
	th.finishService(l)
}

// receiveOrUnseal goes on with a handshake: with what is there already, else with
// what the wire has.
func (l *link) receiveOrUnseal() {
	switch t := l.tls(); {
	case t == nil:
	case t.s.Ready() || l.stream() != nil || !t.began:
		l.unseal()
	case l.mayRead():
		l.receive()
	}
}

// shakeOver: a handshake has ended, well or not. The oldest of those that wait for
// its place goes on.
func (l *link) shakeOver() {
	l.flags &^= lfShaking
	s := &l.th.shakes
	s.running--
	for len(s.places) > 0 {
		next := s.places[0]
		s.places[0] = nil
		if s.places = s.places[1:]; len(s.places) == 0 {
			s.places = nil
		}
		next.flags &^= lfShakePlace
		if next.flags&(lfDead|lfDoomed) == 0 {
			next.flags &^= lfNoRead
			s.wait(next)
			if next != l.th.cur {
				next.settle()
			}
			return
		}
	}
}

// shake takes a step of the handshake and reports whether it is complete.
func (l *link) shake(t *tlsWire) bool {
	th := l.th
	if t.job || l.flags&(lfDoomed|lfDead|lfFinish) != 0 {
		return false
	}
	if !th.shakes.mayStep(l) {
		return false
	}
	if !t.began {
		t.began = true
		if err := l.tellInfo(t, TLSEvent{Kind: TLSStart}); err != nil {
			l.doom(err)
			return false
		}
	}
	for {
		out, step, err := t.s.Handshake(th.takeSealed())
		l.putOwn(t, out)
		switch step {
		case tlsio.Complete:
			return l.shaken(t)
		case tlsio.Failed:
			l.shakeFailed(t, err)
			return false
		case tlsio.WantJob:
			if !l.offLoop(t) {
				continue // the workers are busy: it was done here
			}
		}
		return false
	}
}

// offLoop has a worker do what the handshake waits for; nothing is read meanwhile.
// false: it was done here.
func (l *link) offLoop(t *tlsWire) bool {
	th, job := l.th, t.s.Job()
	err := th.eng.work.do(func() {
		job()
		th.force(func() { th.inService(l, func() { l.jobDone(t) }) })
	})
	if err != nil {
		job()
		return false
	}
	t.job = true
	l.flags |= lfNoRead
	return true
}

// jobDone goes on with the handshake behind its job.
func (l *link) jobDone(t *tlsWire) {
	if !t.job || l.tls() != t {
		return
	}
	t.job = false
	l.flags &^= lfNoRead
	l.unseal()
}

// shaken: the handshake is complete.
func (l *link) shaken(t *tlsWire) bool {
	th := l.th
	l.shakeOver()
	th.stats.Handshakes++
	if t.s.State().DidResume {
		th.stats.Resumed++
	}
	if err := l.tellInfo(t, TLSEvent{Kind: TLSDone}); err != nil {
		l.doom(err)
		return false
	}
	if l.flags&(lfDoomed|lfDead) != 0 {
		return false
	}
	l.role.(secured).secure(l)
	return true
}

// shakeFailed ends the connection behind the alert that says why.
func (l *link) shakeFailed(t *tlsWire, err error) {
	th, c := l.th, l.own()
	l.shakeOver()
	th.stats.ShakeFailures++
	t.over = true
	var p *tlsio.PanicError
	if errors.As(err, &p) {
		th.stats.Panics++
		c.vh().log.Error("panic in a callback of a TLS handshake; its connection is closed",
			"conn", c.String(), "panic", p.Value, "stack", string(p.Stack))
		err = &PanicError{Callback: "TLS", Value: p.Value}
	} else {
		err = l.tellAlert(t, err)
	}
	c.vh().log.Info("TLS handshake failed", "conn", c.String(), "peer", c.Peer(), "err", err)
	l.finish(&TransportError{Op: "tls", Err: err}, !l.is(lfHandshake))
}
