//go:build !race

package textanalyzer

const raceEnabled = false
