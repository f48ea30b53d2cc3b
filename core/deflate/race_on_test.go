//go:build race

package deflate

const raceDetector = true
