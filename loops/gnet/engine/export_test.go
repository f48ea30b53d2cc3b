package gnetengine

// Queued returns how many turns the event loop of a thread was given.
func Queued(b *Bridge, thread int) uint64 {
	b.mu.Lock()
	hl := b.seats[thread].on
	b.mu.Unlock()
	if hl == nil {
		return 0
	}
	hl.mu.Lock()
	defer hl.mu.Unlock()
	return hl.queued
}

// Settled reports whether the event loops of the wrapped engine are found.
func Settled(b *Bridge) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.home != nil && b.home.settled
}

// Waiting returns how many turns wait for another to end on a thread's event loop.
func Waiting(b *Bridge, thread int) int {
	b.mu.Lock()
	hl := b.seats[thread].on
	b.mu.Unlock()
	hl.mu.Lock()
	defer hl.mu.Unlock()
	return len(hl.waiting)
}

// Choked returns how many connections of a thread the poll set watches for room.
// On the thread.
func Choked(sl *StreamLoops, thread int) int {
	sl.b.mu.Lock()
	defer sl.b.mu.Unlock()
	return len(sl.b.seats[thread].waits)
}
