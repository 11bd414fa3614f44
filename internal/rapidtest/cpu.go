package rapidtest

import "time"

// failer is a test or a property under test.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// CPU is how much processor time the process takes while do runs. What code costs is judged by this: the clock also
// counts for how long the machine did something else.
func CPU(t failer, do func()) time.Duration {
	t.Helper()
	before := used(t)
	do()
	return used(t) - before
}
