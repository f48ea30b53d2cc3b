//go:build !race

package gnetloop_test

const raceEnabled = false
