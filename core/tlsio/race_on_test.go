//go:build race

package tlsio

// raceEnabled: sync.Pool forgets at random under the race detector, so that
// allocations cannot be counted.
const raceEnabled = true
