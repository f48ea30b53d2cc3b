package flate

const noSlot = -1

// Matchers is what the deflaters of one thread share: a bounded number of
// Matchers, and the scratch of the encoder, about 70 KiB. The zero value is
// ready to use and holds one Matcher. It belongs to one thread, and must not be
// copied.
//
// A deflater that comes back while its Matcher is still its own is hot: the
// Matcher holds its history with the tables made. Otherwise it is cold: it takes
// the Matcher that was longest unused and enters its history first. So that many
// connections taking turns do not push out the few that are busy, and use one
// set of tables that stays in the processor's caches, a Matcher so taken is the
// next to be taken again, until its owner comes back; one in 32 is not, so
// that a new set of busy connections finds its places.
type Matchers struct {
	limit int
	turns uint64 // owners so far
	slots []matcherSlot
	lists [MaxBits + 1]matcherList // by bits of the window
	enc   encoder
}

// matcherSlot is a place in the list of the Matchers of one size.
type matcherSlot struct {
	m          *Matcher
	prev, next int32
	bits       uint8
}

// matcherList runs from the slot used last to the one to be taken next; without
// slots, n is 0 and the ends mean nothing.
type matcherList struct {
	first, last int32
	n           int
}

// Init sets how many Matchers there may be, at least one, and drops those there
// are. Each takes about 8 bytes for each byte of the window it is for.
func (ms *Matchers) Init(limit int) {
	for i := range ms.slots {
		ms.slots[i].m.home = nil // whoever used it last must not find it
	}
	*ms = Matchers{limit: limit}
}

// Memory is how many bytes of heap the Matchers and the scratch take.
func (ms *Matchers) Memory() int {
	n := 4 * cap(ms.enc.tokens)
	for i := range ms.slots {
		n += ms.slots[i].m.memory()
	}
	return n
}

// hot tells whether m still holds what the deflater of this turn left in it.
func (ms *Matchers) hot(m *Matcher, turn uint64) bool {
	if m == nil || m.home != ms || m.owner != turn {
		return false
	}
	if l := &ms.lists[ms.slots[m.slot].bits]; l.first != m.slot {
		ms.unlink(m.slot)
		ms.link(m.slot, true)
	}
	return true
}

// take returns a Matcher for windows of 1<<bits, without an owner. When there may
// be no more it is the next one of that size, or of a larger one if there is
// none, or in place of a smaller one. keep says that it is to have an owner.
func (ms *Matchers) take(bits uint8, keep bool) *Matcher {
	l := &ms.lists[bits]
	slot := l.last
	switch {
	case l.n > 0 && ms.slots[slot].m.owner == 0:
	case len(ms.slots) < max(ms.limit, 1):
		slot = int32(len(ms.slots))
		ms.slots = append(ms.slots, matcherSlot{})
		ms.fill(slot, bits)
	case l.n == 0:
		slot = ms.other(bits)
	default:
		keep = keep && ms.turns%32 == 0
	}
	if keep {
		ms.unlink(slot)
		ms.link(slot, true)
	}
	m := ms.slots[slot].m
	m.owner = 0
	ms.turns++
	return m
}

// fill puts a new Matcher into a slot that is in no list, and makes it the next.
func (ms *Matchers) fill(slot int32, bits uint8) {
	m := newMatcher(bits)
	m.home, m.slot = ms, slot
	ms.slots[slot] = matcherSlot{m: m, bits: bits}
	ms.link(slot, false)
}

// other finds a slot for windows of 1<<bits when no Matcher has that size and
// there may be no more.
func (ms *Matchers) other(bits uint8) int32 {
	for b := int(bits) + 1; b <= MaxBits; b++ {
		if ms.lists[b].n > 0 {
			return ms.lists[b].last
		}
	}
	b := bits - 1
	for ms.lists[b].n == 0 {
		b--
	}
	slot := ms.lists[b].last
	ms.unlink(slot)
	ms.slots[slot].m.home = nil // whoever used it last must not find it
	ms.fill(slot, bits)
	return slot
}

func (ms *Matchers) unlink(slot int32) {
	s := &ms.slots[slot]
	l := &ms.lists[s.bits]
	if l.n--; l.n == 0 {
		return
	}
	if l.first == slot {
		l.first = s.next
	} else {
		ms.slots[s.prev].next = s.next
	}
	if l.last == slot {
		l.last = s.prev
	} else {
		ms.slots[s.next].prev = s.prev
	}
}

// link puts a slot in front, as used last, or at the end, as the next to be taken.
func (ms *Matchers) link(slot int32, front bool) {
	s := &ms.slots[slot]
	l := &ms.lists[s.bits]
	s.prev, s.next = noSlot, noSlot
	switch {
	case l.n == 0:
		l.first, l.last = slot, slot
	case front:
		s.next = l.first
		ms.slots[l.first].prev = slot
		l.first = slot
	default:
		s.prev = l.last
		ms.slots[l.last].next = slot
		l.last = slot
	}
	l.n++
}
