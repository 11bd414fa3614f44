//go:build race

package textanalyzer

const raceEnabled = true
