package shard

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

// effort is how much of something a test does: more or less with the environment
// variable TASKLANE_TEST_EFFORT, a factor. The race detector makes the worlds ten
// times as slow and finds nothing there: each is used by one goroutine.
func effort(t *testing.T, usual int) int {
	t.Helper()
	factor, err := effortFactor()
	if err != nil || factor <= 0 {
		t.Fatalf("TASKLANE_TEST_EFFORT: want a number above 0: %v", err)
	}
	return max(1, int(float64(usual)*factor))
}

func effortFactor() (float64, error) {
	text := os.Getenv("TASKLANE_TEST_EFFORT")
	switch {
	case text != "":
		return strconv.ParseFloat(text, 64)
	case testing.Short():
		return 1.0 / 8, nil
	case underRaceDetector:
		return 1.0 / 16, nil
	}
	return 1, nil
}

// sideBySide lets subtests run at once, unless the first failure is to be the
// last.
func sideBySide(t *testing.T) {
	t.Helper()
	if first := flag.Lookup("test.failfast"); first == nil || first.Value.String() != "true" {
		t.Parallel()
	}
}
