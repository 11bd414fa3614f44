package checker

import "testing"

// story is a log and what is wrong with it, nothing if want is empty.
type story struct {
	name  string
	write func(*log)
	want  []string
}

// tell judges each story by itself.
func tell(t *testing.T, stories ...story) {
	t.Helper()
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			l := newLog()
			s.write(l)
			l.want(t, s.want...)
		})
	}
}

// breaks is what is wrong with a story, in the form of log.want.
func breaks(want ...string) []string { return want }

// by is the member of an event that says who wrote it.
func by(worker string) members { return members{"worker": worker} }

// waiting is the member of a pending event that says what for.
func waiting(what string) members { return members{"waiting": members{"for": what}} }
