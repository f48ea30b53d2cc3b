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
