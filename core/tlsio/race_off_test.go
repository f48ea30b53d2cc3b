//go:build !race

package tlsio

const raceEnabled = false

const manySessions = 200
