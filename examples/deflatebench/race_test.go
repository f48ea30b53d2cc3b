//go:build race

package main

// raceEnabled: this test binary, which is also the servers, has the race detector.
const raceEnabled = true
