//go:build linux && !race

package tlsbench

const raceEnabled = false
