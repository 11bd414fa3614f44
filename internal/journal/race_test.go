//go:build race

package journal

const underRaceDetector = true
