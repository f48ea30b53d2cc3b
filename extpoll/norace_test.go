//go:build !race

package extpoll

const raceEnabled = false
