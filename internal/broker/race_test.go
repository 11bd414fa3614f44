//go:build race

package broker_test

// raceFactor is how many times as much memory a process takes with the race
// detector, which says five to ten times for what it looks at.
const raceFactor = 4
