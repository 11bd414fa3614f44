package checker

import (
	"fmt"
	"testing"
)

// TestLostAttemptsAreBounded is I3: a task is not run for ever by workers that die of it.
func TestLostAttemptsAreBounded(t *testing.T) {
	// lose lets a task that was received start so many times and be lost each time.
	lose := func(l *log, times int) {
		for n := range times {
			l.says(state("a", "running", n+1))
			l.fence(int64(11 + n))
		}
	}
	worker := members{"error_code": "worker_lost"}
	tell(t,
		story{name: "lost once and run again", write: func(l *log) {
			l.received("a", "")
			lose(l, 1)
			l.says(state("a", "running", 2))
			l.says(state("a", "completed", 2))
		}},
		story{name: "lost three times", write: func(l *log) {
			l.received("a", "")
			lose(l, 3)
			l.says(state("a", "failed", 3, worker))
		}},
		story{name: "lost twice with one attempt allowed", write: func(l *log) {
			l.received("a", `,"retry":{"max_attempts":1}`)
			lose(l, 2)
			l.says(state("a", "failed", 2, worker))
		}},
		story{
			name: "lost four times",
			write: func(l *log) {
				l.received("a", "")
				lose(l, 4)
				l.says(state("a", "failed", 4, worker))
			},
			want: breaks("I3 …lost 4 attempts, at most 3"),
		},
		story{
			name: "lost three times with one attempt allowed",
			write: func(l *log) {
				l.received("a", `,"retry":{"max_attempts":1}`)
				lose(l, 3)
				l.says(state("a", "running", 4))
				l.says(state("a", "completed", 4))
			},
			want: breaks("I3 …lost 3 attempts, at most 2"),
		},
	)
}

// TestHandOversAreBounded is I3: ten are free, what is beyond them counts as lost.
func TestHandOversAreBounded(t *testing.T) {
	hand := func(l *log, times int) {
		l.received("a", "")
		for n := range times {
			l.says(state("a", "running", 1, by(fmt.Sprint("w", n))))
			l.says(state("a", "pending", 1, by(fmt.Sprint("w", n))))
			l.fence(int64(11 + n))
		}
	}
	tell(t,
		story{name: "ten, under the same number", write: func(l *log) {
			hand(l, 10)
			l.runs("a", 1)
			l.says(state("a", "completed", 1))
		}},
		story{name: "ten, under a new number each", write: func(l *log) {
			l.received("a", "")
			for n := range 10 {
				l.says(state("a", "running", n+1))
				l.says(state("a", "pending", n+1))
			}
			l.says(state("a", "running", 11))
			l.says(state("a", "completed", 11))
		}},
		story{name: "thirteen, of which three count as lost", write: func(l *log) {
			hand(l, 13)
			l.says(state("a", "failed", 1))
		}},
		story{
			name:  "fourteen",
			write: func(l *log) { hand(l, 14); l.says(state("a", "failed", 1)) },
			want:  breaks("I3 …lost 4 attempts"),
		},
	)
}

// TestRetriesAreBounded is I3: max_attempts.
func TestRetriesAreBounded(t *testing.T) {
	retry := func(l *log, times int) {
		for n := range times {
			l.runs("a", n+1)
			l.says(state("a", "pending", n+1, waiting("retry")))
		}
	}
	tell(t,
		story{name: "as often as is allowed", write: func(l *log) {
			l.received("a", `,"retry":{"max_attempts":3}`)
			retry(l, 2)
			l.runs("a", 3)
			l.says(state("a", "failed", 3))
		}},
		story{
			name: "once too often",
			write: func(l *log) {
				l.received("a", `,"retry":{"max_attempts":2}`)
				retry(l, 2)
				l.runs("a", 3)
				l.says(state("a", "failed", 3))
			},
			want: breaks("I3 …tried again after 2 failures"),
		},
	)
}

// TestNumbersOfAttempts is I3: a number stands for one execution. Only an attempt that was
// handed over or put off leaves its number to the next, whatever the writers are called.
func TestNumbersOfAttempts(t *testing.T) {
	const rise = "I3 …number did not rise"
	tell(t,
		story{name: "handed over, the next under the same number", write: func(l *log) {
			l.received("a", "")
			l.says(state("a", "running", 1, by("w")))
			l.says(state("a", "pending", 1, by("w")))
			l.fence(11)
			l.runs("a", 1)
			l.says(state("a", "completed", 1))
		}},
		story{name: "put off, the next under the same number", write: func(l *log) {
			l.received("a", "")
			for range 12 {
				l.runs("a", 1)
				l.says(state("a", "pending", 1, waiting("time")))
			}
			l.runs("a", 1)
			l.says(state("a", "completed", 1))
		}},
		story{name: "an owner takes over in the middle of its work", write: func(l *log) {
			l.received("a", "")
			l.says(state("a", "running", 1, by("w")))
			l.executes("a", 1)
			for n := range 4 {
				l.fence(int64(11 + n))
				l.says(members{"task_id": "a", "user_id": "u", "kind": "progress", "status": "running", "attempt": 1,
					"worker": "w"})
			}
			l.says(state("a", "completed", 1, by("w")))
		}},
		story{name: "an owner whose start did not count writes it again", write: func(l *log) {
			l.received("a", "")
			l.fence(11)
			l.append(10, 2, "u", state("a", "running", 1, by("w")))
			l.runs("a", 1)
			l.says(state("a", "completed", 1))
		}},
		story{name: "a zombie executes the same number", write: func(l *log) {
			l.received("a", "")
			l.fence(11)
			l.append(10, 2, "u", state("a", "running", 1))
			l.executes("a", 1)
			l.fence(12)
			l.says(state("a", "running", 1))
			l.says(state("a", "completed", 1))
		}},
		story{
			name: "twice in an owner's turn",
			write: func(l *log) {
				l.received("a", "")
				l.says(state("a", "running", 1, by("w")))
				l.says(state("a", "running", 1, by("w")))
				l.says(state("a", "completed", 1))
			},
			want: breaks(rise),
		},
		story{
			name: "by the next owner",
			write: func(l *log) {
				l.received("a", "")
				l.says(state("a", "running", 1, by("w")))
				l.fence(11)
				l.says(state("a", "running", 1, by("v")))
				l.says(state("a", "completed", 1, by("v")))
			},
			want: breaks(rise),
		},
		story{
			name: "by a second process under the same worker's name",
			write: func(l *log) {
				l.received("a", "")
				l.says(state("a", "running", 1, by("w")))
				l.c.Start(Start{PID: 1, UserID: "u", TaskID: "a", Lane: "fast", Attempt: 1, AtMS: l.now.UnixMilli()})
				l.fence(11)
				l.says(state("a", "running", 1, by("w")))
				l.c.Start(Start{PID: 2, UserID: "u", TaskID: "a", Lane: "fast", Attempt: 1, AtMS: l.now.UnixMilli()})
				l.says(state("a", "completed", 1, by("w")))
			},
			want: breaks(rise, "once …executed 2 times"),
		},
		story{
			name: "by a second process under the same worker's name, after others",
			write: func(l *log) {
				l.received("a", "")
				l.says(state("a", "running", 1, by("w")))
				l.fence(11) // another owner, which started nothing
				l.fence(12)
				l.says(state("a", "running", 1, by("w")))
				l.says(state("a", "completed", 1, by("w")))
			},
			want: breaks(rise),
		},
		story{
			name: "handed over once and started twice",
			write: func(l *log) {
				l.received("a", "")
				l.says(state("a", "running", 1, by("w")))
				l.says(state("a", "pending", 1, by("w")))
				l.says(state("a", "running", 1, by("w")))
				l.fence(11)
				l.says(state("a", "running", 1, by("w")))
				l.says(state("a", "completed", 1, by("w")))
			},
			want: breaks(rise),
		},
		story{
			name: "after a failure",
			write: func(l *log) {
				l.received("a", `,"retry":{"max_attempts":3}`)
				l.runs("a", 1)
				l.says(state("a", "pending", 1, waiting("retry")))
				l.says(state("a", "running", 1))
				l.says(state("a", "completed", 1))
			},
			want: breaks(rise),
		},
		story{
			name: "a lower one after a hand-over",
			write: func(l *log) {
				l.received("a", "")
				l.says(state("a", "running", 1))
				l.fence(11)
				l.says(state("a", "running", 2))
				l.says(state("a", "pending", 2))
				l.says(state("a", "running", 1))
				l.says(state("a", "completed", 1))
			},
			want: breaks(rise),
		},
	)
}

// TestExecutionsAreWritten is I3: the start of an attempt stands in the log, counted or
// not, before its work does anything.
func TestExecutionsAreWritten(t *testing.T) {
	tell(t,
		story{name: "with its start", write: func(l *log) { l.whole("a") }},
		story{name: "a start that was never executed", write: func(l *log) {
			l.received("a", "")
			l.says(state("a", "running", 1))
			l.says(state("a", "completed", 1))
		}},
		story{
			name: "without a start",
			write: func(l *log) {
				l.received("a", "")
				l.executes("a", 1)
				l.says(state("a", "completed", 1))
			},
			want: breaks("I3 …no start of it stands in the log"),
		},
		story{
			name: "with another attempt's start",
			write: func(l *log) {
				l.received("a", "")
				l.says(state("a", "running", 1))
				l.executes("a", 2)
				l.says(state("a", "completed", 1))
			},
			want: breaks("I3 …attempt 2 was executed by process 1 and no start of it"),
		},
		story{
			name: "with another task's start",
			write: func(l *log) {
				l.whole("b")
				l.received("a", "")
				l.executes("a", 1)
				l.says(state("a", "completed", 1))
			},
			want: breaks("I3 …u/a in fast: attempt 1"),
		},
		story{
			name:  "twice with one start",
			write: func(l *log) { l.whole("a"); l.executes("a", 1) },
			want:  breaks("I3 …no start of it stands in the log", "once …executed 2 times"),
		},
	)
}
