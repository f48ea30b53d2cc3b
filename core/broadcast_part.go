package core

// groupPart is a group's members on one thread, and the messages that they have
// still to get. It is made with the first member there and gone with the last.
type groupPart struct {
	g    *Group
	th   *Thread
	tell func() // tells the thread

	// Guarded by the group's mutex; members are changed on the thread only.
	queue []*groupMessage
	told  bool // the thread knows of the queue, or will

	// Loop thread only.
	members []*groupMember
	next    int // of the front message: members before this one have it
	tally   GroupStats
}

// groupMember is an outbox's membership of one group.
type groupMember struct {
	o    *Outbox
	part *groupPart
	from uint64 // it gets what comes after this message
	at   int    // in part.members
	end  endNode
}

// groupMessage is one message on its way.
type groupMessage struct {
	s      *Shared
	except *Outbox
	seq    uint64
	parts  int // that have not handed it out; guarded by the group's mutex
}

// part returns the group's part on a thread, making it. g is locked.
func (g *Group) part(th *Thread) *groupPart {
	for _, p := range g.parts {
		if p.th == th {
			return p
		}
	}
	p := &groupPart{g: g, th: th}
	p.tell = func() { th.casting().add(p) }
	g.parts = append(g.parts, p)
	return p
}

// connEnded: its conn is over.
func (m *groupMember) connEnded() { m.part.remove(m) }

// remove takes m out. Those who have the front message stay in front of those who
// have not.
func (p *groupPart) remove(m *groupMember) {
	g := p.g
	g.mu.Lock()
	i, last := m.at, len(p.members)-1
	if i < p.next {
		p.next--
		p.move(p.next, i)
		i = p.next
	}
	p.move(last, i)
	p.members[last] = nil
	p.members = p.members[:last]
	if c := cap(p.members); c > 64 && last < c/4 {
		p.members = append(make([]*groupMember, 0, c/2), p.members...)
	}
	g.members--
	if last == 0 {
		for i, q := range g.parts {
			if q == p {
				g.parts = append(g.parts[:i], g.parts[i+1:]...)
				break
			}
		}
	}
	g.mu.Unlock()
	if last == 0 {
		p.drop()
	}
}

// move puts the member at from into another's place.
func (p *groupPart) move(from, to int) {
	m := p.members[from]
	p.members[to], m.at = m, to
}

// drop forgets what was on its way here.
func (p *groupPart) drop() {
	g := p.g
	g.mu.Lock()
	for _, m := range p.queue {
		g.landed(m)
	}
	p.queue, p.next = nil, 0
	p.count()
	room := g.hasRoom()
	g.mu.Unlock()
	g.tellRoom(room)
}

// landed: one more part has done with m. g is locked.
func (g *Group) landed(m *groupMessage) {
	if m.parts--; m.parts == 0 {
		g.flight--
		g.bytes -= m.s.Len()
	}
}

// hasRoom reports, once, that those who were refused may try again. g is locked.
func (g *Group) hasRoom() bool {
	if !g.full || over(2*g.flight, g.lim.Messages) || over(2*g.bytes, g.lim.Bytes) && g.flight > 0 {
		return false
	}
	g.full = false
	return g.lim.Room != nil
}

// tellRoom calls Room; nothing is locked.
func (g *Group) tellRoom(room bool) {
	if room {
		g.lim.Room()
	}
}

// count adds what was done to the group's counters. The group is locked.
func (p *groupPart) count() {
	s, t := &p.g.stats, &p.tally
	s.Delivered += t.Delivered
	s.Dropped += t.Dropped
	s.Refused += t.Refused
	s.Left += t.Left
	*t = GroupStats{}
}

// front returns the message to be handed out; done, if not nil, is the one before
// it. Without one the thread is to be told of the next.
func (p *groupPart) front(done *groupMessage) *groupMessage {
	g := p.g
	g.mu.Lock()
	room := false
	if done != nil && len(p.queue) > 0 && p.queue[0] == done {
		g.landed(done)
		p.queue[0] = nil
		p.queue, p.next = p.queue[1:], 0
		room = g.hasRoom()
	}
	var m *groupMessage
	if len(p.queue) > 0 {
		m = p.queue[0]
	} else {
		p.queue, p.told = nil, false
		p.count()
	}
	g.mu.Unlock()
	g.tellRoom(room)
	return m
}

// run hands out messages within b and reports whether all are.
func (p *groupPart) run(b *castBudget) bool {
	for m := p.front(nil); m != nil; m = p.front(m) {
		for p.next < len(p.members) {
			if !b.take(m.s.Len()) {
				p.g.mu.Lock()
				p.count()
				p.g.mu.Unlock()
				return false
			}
			to := p.members[p.next]
			p.next++
			if m.seq > to.from && to.o != m.except {
				p.hand(to, m.s)
			}
		}
	}
	return true
}

// hand gives a message to one member.
func (p *groupPart) hand(to *groupMember, s *Shared) {
	before := to.o.Dropped()
	err := to.o.cast(s)
	p.tally.Dropped += to.o.Dropped() - before
	switch {
	case err == nil:
		p.tally.Delivered++
		return
	case err != ErrConnClosed:
		p.tally.Refused++
		if to.o.c.Open() {
			return
		}
	}
	p.tally.Left++
	p.g.Remove(to.o) // what it does not get now it will never get
}
