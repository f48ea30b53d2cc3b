//go:build race

package tlsio

// raceEnabled: sync.Pool forgets at random under the race detector, so that
// allocations cannot be counted. It makes every byte cost ten times as much, and
// finds nothing in what one goroutine does: the longest tests do a part of their
// work then, and the whole without it.
const raceEnabled = true

const manySessions = 20
