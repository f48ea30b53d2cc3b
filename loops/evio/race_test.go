//go:build race

package evioloop_test

const raceEnabled = true
