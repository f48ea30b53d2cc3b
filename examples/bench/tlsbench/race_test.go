//go:build linux && race

package tlsbench

// raceEnabled: this test binary, which is also the servers, has the race detector.
const raceEnabled = true
