package gnetengine

// Writes returns how often the event loop of a thread has written to connections of
// gnet's. On the thread.
func Writes(sl *StreamLoops, thread int) uint64 {
	sl.b.mu.Lock()
	defer sl.b.mu.Unlock()
	io := &sl.b.seats[thread].on.io
	return io.Writes + io.Writevs
}
