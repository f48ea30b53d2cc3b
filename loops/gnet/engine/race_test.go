//go:build race

package gnetengine_test

const raceEnabled = true
