package checker

import (
	"testing"
	"time"
)

// TestOnceOnlyWherePromised: what was executed again over two phases, or in one
// with a kill, is no violation.
func TestOnceOnlyWherePromised(t *testing.T) {
	for name, c := range map[string]struct {
		exact func(int) bool
		apart time.Duration
		want  int
	}{
		"in one exact phase": {func(int) bool { return true }, time.Second, 1},
		"in a phase of kill": {func(int) bool { return false }, time.Second, 0},
		"over two phases":    {func(int) bool { return true }, time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog()
			begin := l.now
			l.c.report.phase = Phases{Count: 2, Exact: c.exact, At: func(at time.Time) int {
				if at.Sub(begin) > time.Minute {
					return 1
				}
				return 0
			}}
			for _, i := range Invariants() {
				l.c.report.Checked[i], l.c.report.Broken[i] = make([]int, 2), make([]int, 2)
			}
			l.received("a", "")
			l.runs("a", 1)
			l.now = l.now.Add(c.apart)
			l.runs("a", 2)
			l.says(state("a", "completed", 2))
			if got := l.judge().Failed(); got != c.want {
				t.Errorf("%d violations, want %d", got, c.want)
			}
		})
	}
}

// TestOnce is once: where processes stop in order nothing is executed again, but for what
// failed or was put off.
func TestOnce(t *testing.T) {
	tell(t,
		story{name: "once", write: func(l *log) { l.whole("a") }},
		story{name: "again after a failure", write: func(l *log) {
			l.received("a", "")
			l.runs("a", 1)
			l.says(state("a", "pending", 1, waiting("retry")))
			l.runs("a", 2)
			l.says(state("a", "completed", 2))
		}},
		story{name: "again after it was put off", write: func(l *log) {
			l.received("a", "")
			l.runs("a", 1)
			l.says(state("a", "pending", 1, waiting("time")))
			l.runs("a", 1)
			l.says(state("a", "completed", 1))
		}},
		story{
			name: "again without a reason",
			write: func(l *log) {
				l.received("a", "")
				l.runs("a", 1)
				l.fence(11)
				l.runs("a", 2)
				l.says(state("a", "completed", 2))
			},
			want: breaks("once …executed 2 times"),
		},
		story{
			name: "more often than it failed",
			write: func(l *log) {
				l.received("a", "")
				l.runs("a", 1)
				l.says(state("a", "pending", 1, waiting("retry")))
				l.runs("a", 2)
				l.fence(11)
				l.runs("a", 3)
				l.says(state("a", "completed", 3))
			},
			want: breaks("once …executed 3 times"),
		},
	)
}

// TestTheSameNameInAnotherLane is another task.
func TestTheSameNameInAnotherLane(t *testing.T) {
	l := newLog()
	l.whole("a")
	l.c.Start(Start{PID: 2, UserID: "u", TaskID: "a", Lane: "heavy", Attempt: 1, AtMS: l.now.UnixMilli()})
	l.want(t, "I3 …u/a in heavy: attempt 1 was executed by process 2")
}
