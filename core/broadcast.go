package core

import "sync"

// Group is a set of outboxes, on any service threads, that get the same messages:
// a chat room, the subscribers of a topic. A message is encoded once, whatever
// the number of members, and each thread that has members is told once. A member
// whose peer does not keep up holds a pointer to the message, within the bounds
// and by the policy of its outbox; it delays nobody. A large group is served over
// several turns, so that it does not hold up its threads' loops.
//
// Each member gets the messages in the order of the sends. Between them and what
// is sent to its outbox directly there is no order. All methods but Add and
// Remove: any goroutine.
type Group struct {
	lim GroupLimits

	mu      sync.Mutex
	parts   []*groupPart
	members int
	flight  int    // messages that some thread has not handed out yet
	bytes   int    // of these
	seq     uint64 // of the last message
	stats   GroupStats
	full    bool // a Send was refused, and Room has not been called since
}

// GroupLimits bounds what is on its way in a group: taken by Send and not yet
// handed to every member's outbox. Zero means the default, -1 none.
type GroupLimits struct {
	Messages int // 1024
	Bytes    int // 16 MiB; one message is always taken
	// Room, if set, is called on some service thread when Send has been refused
	// and half of what may be on its way has arrived: for publishers that wait.
	// It may send.
	Room func()
}

// GroupStats counts what a group has done.
type GroupStats struct {
	Members     int    // now
	Flight      int    // messages on their way now
	FlightBytes int    // bytes of these
	Sent        uint64 // messages taken by Send
	Full        uint64 // messages refused by Send: too many on their way
	Delivered   uint64 // messages that members' outboxes took, counted per member
	Dropped     uint64 // messages that DropOldest dropped to make room, per member
	Refused     uint64 // messages that an outbox refused: full, or over its WriteLimit
	Left        uint64 // members that were gone, or closed as too slow, when a message came
}

// NewGroup returns an empty group.
func NewGroup(lim GroupLimits) *Group {
	pick(&lim.Messages, 1024)
	pick(&lim.Bytes, 16<<20)
	return &Group{lim: lim}
}

// Send sends m to every member. m.Data is copied, and is the caller's again.
// ErrFull if too much is on its way already, as may be when a peer's burst is
// passed on: a handler that returned it would end the connection. That m is
// longer than a member's Limits.WriteLimit is no error, but GroupStats.Refused
// counts it.
func (g *Group) Send(m Message) error { return g.SendExcept(nil, m) }

// SendExcept is Send to all members but one.
func (g *Group) SendExcept(o *Outbox, m Message) error {
	g.mu.Lock()
	none, err := g.members == 0, g.check(len(m.Data))
	g.mu.Unlock()
	if err != nil {
		return err
	}
	var s *Shared
	if !none {
		s = NewShared(m)
	}
	return g.send(s, o)
}

// SendShared is Send of a message that was prepared before: for several groups.
func (g *Group) SendShared(s *Shared) error { return g.send(s, nil) }

// check reports whether so many bytes more may be on their way. g is locked.
func (g *Group) check(bytes int) error {
	if g.members > 0 && (over(g.flight+1, g.lim.Messages) || g.flight > 0 && over(g.bytes+bytes, g.lim.Bytes)) {
		g.stats.Full++
		g.full = true
		return ErrFull
	}
	return nil
}

// send gives s, nil if there was nobody to encode it for, to the threads.
func (g *Group) send(s *Shared, except *Outbox) error {
	var few [8]*groupPart
	ring := few[:0]
	g.mu.Lock()
	if s != nil {
		if err := g.check(s.Len()); err != nil {
			g.mu.Unlock()
			return err
		}
	}
	g.stats.Sent++
	g.seq++
	if s != nil && len(g.parts) > 0 {
		m := &groupMessage{s: s, except: except, seq: g.seq, parts: len(g.parts)}
		g.flight++
		g.bytes += s.Len()
		for _, p := range g.parts {
			p.queue = append(p.queue, m)
			if !p.told {
				p.told = true
				ring = append(ring, p)
			}
		}
	}
	g.mu.Unlock()
	for _, p := range ring {
		if p.th.post(p.tell, false) != nil {
			p.drop() // the engine has ended, and its conns with it
		}
	}
	return nil
}

// Add makes o a member: it gets what is sent from now on, until Remove or the end
// of its conn. Adding it again changes nothing. ErrConnClosed if its conn is
// closing. Loop thread only.
func (g *Group) Add(o *Outbox) error {
	th := o.c.link.th
	th.checkVerb("Group.Add")
	if !o.c.Open() {
		return ErrConnClosed
	}
	if g.member(o) != nil {
		return nil
	}
	g.mu.Lock()
	p := g.part(th)
	m := &groupMember{o: o, part: p, from: g.seq, at: len(p.members)}
	m.end.owner = m
	p.members = append(p.members, m)
	g.members++
	g.mu.Unlock()
	o.c.onEnd(&m.end)
	return nil
}

// Remove ends o's membership and reports whether there was one. Messages on their
// way do not reach it any more; those that wait in its outbox do. A conn's end
// does this by itself, before its handler's Closed. Loop thread only.
func (g *Group) Remove(o *Outbox) bool {
	o.c.link.th.checkVerb("Group.Remove")
	m := g.member(o)
	if m == nil {
		return false
	}
	o.c.offEnd(&m.end)
	m.part.remove(m)
	return true
}

// member returns o's membership.
func (g *Group) member(o *Outbox) *groupMember {
	for n := o.c.endList(); n != nil; n = n.next {
		if m, ok := n.owner.(*groupMember); ok && m.o == o && m.part.g == g {
			return m
		}
	}
	return nil
}

// Len returns the number of members.
func (g *Group) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.members
}

// Stats returns the counters; those of a message that is being handed out follow
// when its threads' turns end.
func (g *Group) Stats() GroupStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.stats
	s.Members, s.Flight, s.FlightBytes = g.members, g.flight, g.bytes
	return s
}
