//go:build linux && !race

package scalebench

const raceEnabled = false
