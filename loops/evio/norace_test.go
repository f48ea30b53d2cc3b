//go:build !race

package evioloop_test

const raceEnabled = false
