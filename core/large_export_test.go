package core

// LargeBytes returns the bytes that thread 0 keeps for large messages.
func LargeBytes(e *Engine) int { return e.threads[0].large.bytes }

// LargeMisses returns how often thread 0 had no buffer for one.
func LargeMisses(e *Engine) int { return e.threads[0].large.misses }
