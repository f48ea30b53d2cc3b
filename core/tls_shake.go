package core

import (
	"errors"
	"slices"

	"anyloop/core/tlsio"
)

// shakes is the thread's share of TLS handshakes: how many have begun and are not
// complete, and who waits for a turn. A step costs a hundred times what a message
// does, so that in one turn there are only a few; descriptors with data come first.
type shakes struct {
	left    int     // steps that this turn may still take
	running int     // places that are taken: begun and not complete, or given to who has not begun yet
	now     *link   // whose turn it is
	turns   []*link // wait for a step, oldest first
	places  []*link // wait for Limits.Handshakes to let them begin, oldest first
	lost    int     // of places, those that have ended meanwhile
}

// pending reports whether a step can be taken without any descriptor's event.
func (s *shakes) pending() bool { return len(s.turns) > 0 }

// mayStep takes one step of this turn's for l, or lets l wait for a later one.
// Nobody overtakes those that wait.
func (s *shakes) mayStep(l *link) bool {
	switch {
	case s.now == l:
		s.now = nil
		return true
	case s.left > 0 && len(s.turns) == 0:
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
	switch {
	case l.is(lfShakePlace):
		return false
	case l.is(lfShakeGiven) || !over(s.running+1, l.th.eng.limits.Handshakes):
		return true
	}
	l.flags |= lfShakePlace | lfNoRead
	s.places = append(s.places, l)
	return false
}

// take gives l, which begins, the place that was kept for it, or a free one.
func (s *shakes) take(l *link) {
	if l.is(lfShakeGiven) {
		l.flags &^= lfShakeGiven
		return
	}
	s.running++
}

// leave frees a place. The oldest of those that wait is given it, if there is
// room: no newcomer can take it meanwhile.
func (s *shakes) leave(th *Thread) {
	s.running--
	for len(s.places) > 0 && !over(s.running+1, th.eng.limits.Handshakes) {
		next := s.places[0]
		s.places[0] = nil
		if s.places = s.places[1:]; len(s.places) == 0 {
			s.places = nil
		}
		if next.flags&(lfDead|lfDoomed) != 0 {
			s.lost -= min(s.lost, 1)
			continue
		}
		next.flags = next.flags&^(lfShakePlace|lfNoRead) | lfShakeGiven
		s.running++
		s.wait(next)
		if next != th.cur {
			next.settle()
		}
	}
}

// gone: l has ended before it began.
func (s *shakes) gone(l *link) {
	if l.is(lfShakeGiven) {
		l.flags &^= lfShakeGiven
		s.leave(l.th)
		return
	}
	if s.lost++; s.lost > 16 && s.lost > len(s.places)/2 {
		s.places = slices.DeleteFunc(s.places, func(l *link) bool { return l.is(lfDead) })
		s.lost = 0
	}
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
		l.unseal()
	}
	th.shakes.now = nil
	l.offerAll()
	th.finishService(l)
}

// shakeOver: a handshake has ended, well or not.
func (l *link) shakeOver() {
	l.flags &^= lfShaking
	l.th.shakes.leave(l.th)
}

// shake takes a step of the handshake, if there is something to go on with, and
// reports whether it is complete.
func (l *link) shake(t *tlsWire) bool {
	th := l.th
	switch {
	case t.job || l.flags&(lfDoomed|lfDead|lfFinish) != 0:
		return false
	case !t.due && !t.s.Ready():
		l.cutShort(t)
		return false
	}
	if t.due = true; !th.shakes.mayStep(l) {
		return false
	}
	t.due = false
	if !t.began {
		t.began = true
		if !l.tellStep(t, TLSStart) {
			return false
		}
	}
	for {
		id := th.goid
		th.goid = anyGoroutine // callbacks have a stack of their own, for which this one waits
		out, step, err := t.s.Handshake(th.takeSealed())
		th.goid = id
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
		case tlsio.WantInput:
			l.cutShort(t)
		}
		return false
	}
}

// cutShort ends a handshake that waits for bytes which will not come: a stream's
// engine may tell of the end while there is still something to go on with.
func (l *link) cutShort(t *tlsWire) {
	if l.is(lfEOF) && !l.is(lfFinish) && (l.is(lfTxDead) || !t.job && !t.due && !t.s.Ready()) {
		err := error(errHandshakeCut)
		if l.is(lfHangup) {
			err = l.cause() // what writing has failed with says more
		}
		l.doom(err)
	}
}

// tellStep tells Info how far the handshake is, and reports whether it goes on.
func (l *link) tellStep(t *tlsWire, kind TLSEventKind) bool {
	if err := l.tellInfo(t, TLSEvent{Kind: kind}); err != nil {
		l.doom(err)
	}
	if c := l.own(); c.flags&cfClose != 0 { // also by VerifyClient
		c.closing(c.cause())
	}
	return l.flags&(lfDoomed|lfDead) == 0
}

// offLoop has a worker do what the handshake waits for. Nothing is read meanwhile: a
// peer seldom says anything, so only when it does (hold) is the loop told. false: it
// was done here.
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
	return true
}

// hold leaves what the peer says while a worker has the private key where it is.
func (l *link) hold(t *tlsWire) bool {
	if t.job {
		l.flags |= lfNoRead
	}
	return t.job
}

// jobDone goes on with the handshake behind its job.
func (l *link) jobDone(t *tlsWire) {
	if !t.job || l.tls() != t {
		return
	}
	t.job, t.due = false, true
	l.flags &^= lfNoRead
	l.unseal()
}

// shaken: the handshake is complete.
func (l *link) shaken(t *tlsWire) bool {
	th := l.th
	l.shakeOver()
	th.stats.Handshakes++
	if t.s.Resumed() {
		th.stats.Resumed++
	}
	if !l.tellStep(t, TLSDone) {
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
	byPeer := givenUp(err)
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
	l.failTLS(err, byPeer, !l.is(lfHandshake))
}
