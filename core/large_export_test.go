package core

// LargeBytes returns the bytes that thread 0 keeps for large messages.
func LargeBytes(e *Engine) int { return e.threads[0].large.bytes }

// LargeMisses returns how often thread 0 had no buffer for one.
func LargeMisses(e *Engine) int { return e.threads[0].large.misses }

// Vectors returns the writes of thread 0 that had two pieces.
func Vectors(e *Engine) uint64 { return e.threads[0].io.Writevs }
