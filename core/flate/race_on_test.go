//go:build race

package flate

// raceEnabled: the race detector makes every byte cost ten times as much, and finds
// nothing in what one goroutine does. The longest tests do a part of their work then;
// without it they do the whole.
const raceEnabled = true
