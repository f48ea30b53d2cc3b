package evioloop

// Writes returns how often a thread has written to connections of evio's. On the
// thread.
func Writes(b *StreamLoops, thread int) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	io := &b.lanes[thread].io
	return io.Writes + io.Writevs
}
