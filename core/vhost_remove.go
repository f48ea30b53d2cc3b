package core

import (
	"slices"
	"sync/atomic"
)

// Remove takes the vhost off its port at once and closes its conns in good order
// (WebSockets with 1001), each turn of a thread at most 1024 of them; a client that
// has not said yet what it wants is left to the next vhost on the address. Destroy
// follows the last of them, and the sockets that listened for it alone: then their
// address is free. A listening socket that other vhosts share stays open without a
// gap. Nothing is adopted to, or dialled for, a removed vhost (ErrRemoved, which
// Closed of its conns tells, too). Loop thread only, any of the engine's threads.
func (vh *VirtualHost) Remove() {
	if vh.leaving.Swap(true) {
		return
	}
	e := vh.eng
	e.mu.Lock()
	e.vhs = slices.DeleteFunc(slices.Clone(e.vhs), func(v *VirtualHost) bool { return v == vh })
	e.mu.Unlock()
	vh.site.removeVHost(vh)
	vh.refs.Add(1) // held until every thread knows
	vh.removed.Store(true)
	left := atomic.Int32{}
	left.Store(int32(len(e.threads)))
	for _, th := range e.threads {
		err := th.post(func() {
			th.part(vh)
			if left.Add(-1) == 0 {
				vh.unref()
			}
		}, false)
		if err != nil && left.Add(-1) == 0 {
			vh.unref()
		}
	}
}

// takes reports why no further connection can be brought to vh, nil if one can.
func (th *Thread) takes(vh *VirtualHost) error {
	if err := th.eng.owns(vh); err != nil {
		return err
	}
	if vh.leaving.Load() {
		return ErrRemoved
	}
	return th.hasRoom()
}

// owns reports what is wrong with a vhost that the caller has brought, nil if it is one
// of the engine's. That of another engine would count conns that its own threads do not
// know, and Destroy would not wait for them.
func (e *Engine) owns(vh *VirtualHost) error {
	switch {
	case vh == nil:
		return ErrNoVHost
	case vh.eng != e:
		return ErrOtherEngine
	}
	return nil
}

// part has the conns told that a removed vhost has on this thread. Stop tells all by
// itself.
func (th *Thread) part(vh *VirtualHost) {
	if th.end.phase == endNot && !slices.Contains(th.parting, vh) {
		th.parting = append(th.parting, vh)
	}
}

// servePartings is a turn's part of goodbyes for removed vhosts, which take turns.
func (th *Thread) servePartings() {
	for n := turnBatch; n > 0 && len(th.parting) > 0; {
		vh := th.parting[0]
		th.parting = slices.Delete(th.parting, 0, 1)
		n = vh.none.goodbyes(th, n)
		for _, b := range vh.bindings {
			n = b.goodbyes(th, n)
		}
		if n == 0 {
			th.part(vh)
		}
	}
}

// goodbyes tells at most n conns of b, and returns how many more may be told. Who has
// been told goes behind the others on the ring: what comes to it meanwhile is in
// front, and whoever ends or leaves is no matter.
func (b *binding) goodbyes(th *Thread, n int) int {
	list := &b.lists[th.index]
	for ; n > 0; n-- {
		c := *list
		if c == nil || c.flags&cfTold != 0 {
			break
		}
		c.flags |= cfTold
		*list = c.next
		th.goodbye(c.link)
	}
	return n
}

// goodbye ends a link in good order, unless another vhost takes it.
func (th *Thread) goodbye(l *link) {
	defer th.rescue()
	th.visit(l)
	if !l.passOn() {
		l.role.stop(l)
	}
	th.finishService(l)
}

// passOn gives a connection whose vhost has gone to the first that is left on the
// address, if it has not come to what its client wants yet.
func (l *link) passOn() bool {
	var s *site
	switch r := l.role.(type) {
	case *sniffRole:
		s = r.site
	case *guessRole:
		s = r.site
	case *h1Role:
		if r.phase < h1Busy && r.h == nil {
			s = r.site
		}
	}
	if s == nil || l.is(lfTLS|lfDoomed|lfFinish|lfDead) {
		return false
	}
	vh := s.first()
	if vh != nil {
		l.own().setVHost(vh)
	}
	return vh != nil
}
