package checker

import (
	"fmt"
	"testing"
	"time"
)

// TestOneEnd is I1 for tasks: one end that counts, whoever wrote others.
func TestOneEnd(t *testing.T) {
	tell(t,
		story{name: "nothing at all", write: func(*log) {}},
		story{name: "one task", write: func(l *log) { l.whole("a") }},
		story{name: "received again", write: func(l *log) { l.whole("a"); l.received("a", "") }},
		story{name: "a zombie's end before and after the one that counts", write: func(l *log) {
			l.received("a", "")
			l.says(state("a", "running", 1))
			l.fence(11)
			l.append(10, 3, "u", state("a", "completed", 1))
			l.says(state("a", "running", 2))
			l.says(state("a", "completed", 2))
			l.append(10, 4, "u", state("a", "completed", 1))
		}},
		story{name: "the end written twice with one stamp", write: func(l *log) {
			l.whole("a")
			l.append(10, 3, "u", state("a", "completed", 1))
		}},
		story{name: "an end without its start, which is missing", write: func(l *log) {
			l.received("a", "")
			l.seq++
			l.says(state("a", "completed", 1))
		}},
		story{name: "an end of a task that nobody sent", write: func(l *log) {
			l.says(state("a", "cancelled", 0))
		}},
		story{
			name:  "two ends",
			write: func(l *log) { l.whole("a"); l.says(state("a", "completed", 1)) },
			want:  breaks("I1 …has 2 ends", "I2 …after its end"),
		},
		story{
			name:  "started and never ended",
			write: func(l *log) { l.received("a", ""); l.runs("a", 1) },
			want:  breaks("I1 …has no end"),
		},
		story{
			name:  "never begun",
			write: func(l *log) { l.received("a", "") },
			want:  breaks("I1 …has no end: 0 starts"),
		},
		story{
			name: "only a zombie's end",
			write: func(l *log) {
				l.received("a", "")
				l.fence(11)
				l.append(10, 2, "u", state("a", "completed", 1))
			},
			want: breaks("I1 …has no end"),
		},
	)
}

// TestNothingAfter is I2.
func TestNothingAfter(t *testing.T) {
	for _, end := range []string{"completed", "failed", "timed_out", "cancelled"} {
		for _, kind := range []string{"progress", "output", "usage", "log", "checkpoint"} {
			tell(t, story{
				name: kind + " after " + end,
				write: func(l *log) {
					l.received("a", "")
					l.runs("a", 1)
					l.says(state("a", end, 1))
					l.says(members{"task_id": "a", "user_id": "u", "kind": kind, "status": "running", "attempt": 1})
				},
				want: breaks("I2 …after its end"),
			})
		}
	}
	tell(t,
		story{
			name:  "a start after the end",
			write: func(l *log) { l.whole("a"); l.says(state("a", "running", 2)) },
			want:  breaks("I2 …after its end"),
		},
		story{name: "progress before the end", write: func(l *log) {
			l.received("a", "")
			l.runs("a", 1)
			l.says(members{"task_id": "a", "user_id": "u", "kind": "progress", "status": "running", "attempt": 1})
			l.says(state("a", "completed", 1))
		}},
		story{name: "a zombie's progress after the end", write: func(l *log) {
			l.whole("a")
			l.fence(11)
			l.append(10, 9, "u", members{"task_id": "a", "user_id": "u", "kind": "progress", "status": "running", "attempt": 1})
		}},
		story{name: "a repeat is recorded after the end", write: func(l *log) {
			l.whole("a")
			l.seq++
			l.append(l.epoch, l.seq, "", members{"kind": "repeat", "task_id": "a", "user_id": "u", "status": "completed"})
		}},
	)
}

// bare puts a record that names no task on the lane.
func (l *log) bare(offset int64, value string) {
	l.c.Lane("fast", &Record{Topic: "tasks.fast", Partition: 3, Offset: offset, Time: l.now, Value: []byte(value)})
}

// letter puts a dead letter about a record of that lane down.
func (l *log) letter(headers members) {
	all := map[string]string{"tl-topic": "tasks.fast", "tl-partition": "3", "tl-offset": "7", "tl-reason": "invalid_task"}
	for name, value := range headers {
		all[name] = fmt.Sprint(value)
	}
	l.c.Letter(&Record{Headers: all})
}

// TestDeadLetters is I1 for records that name no task.
func TestDeadLetters(t *testing.T) {
	tell(t,
		story{name: "with a letter", write: func(l *log) { l.bare(7, "{"); l.letter(nil) }},
		story{name: "with two", write: func(l *log) { l.bare(7, "{"); l.letter(nil); l.letter(nil) }},
		story{name: "a letter about a task that could be told", write: func(l *log) { l.whole("a"); l.letter(nil) }},
		story{name: "none", write: func(l *log) { l.bare(7, "{") }, want: breaks("I1 …has no dead letter")},
	)
	for name, value := range map[string]any{
		"tl-topic": "tasks.heavy", "tl-partition": 4, "tl-offset": 8, "tl-reason": "",
	} {
		for _, value := range []any{value, "x"} {
			if name == "tl-reason" && value == "x" {
				continue // any reason will do
			}
			tell(t, story{
				name:  fmt.Sprintf("a letter with %s %q", name, fmt.Sprint(value)),
				write: func(l *log) { l.bare(7, "{"); l.letter(members{name: value}) },
				want:  breaks("I1 …tasks.fast/3 offset 7 names no task and has no dead letter"),
			})
		}
	}
	for i, user := range []string{`a\n`, `\u0000`, `\u0085`, `a\u2028b`, `\u202e`, `\ufeff`} {
		tell(t, story{name: fmt.Sprint("a user whose name has what cannot be seen ", i), write: func(l *log) {
			l.bare(7, fmt.Sprintf(`{"task_id":"a","user_id":"%s","task_name":"echo","mode":"debug","service":"echo"}`, user))
			l.letter(nil)
		}})
	}
}

// TestCancelledTasksEnd is cncl.
func TestCancelledTasksEnd(t *testing.T) {
	cancel := func(l *log) { l.c.Cancel(Cancel{"u", "a", l.now}) }
	tell(t,
		story{name: "before it starts", write: func(l *log) {
			l.received("a", "")
			cancel(l)
			l.says(state("a", "cancelled", 0))
		}},
		story{name: "too late", write: func(l *log) { l.whole("a"); cancel(l) }},
		story{name: "of a task that nobody sent", write: cancel},
		story{
			name:  "and the task goes on for ever",
			write: func(l *log) { l.received("a", ""); cancel(l) },
			want:  breaks("I1 …has no end", "cncl …0 ends"),
		},
		story{
			name: "and the task ends twice",
			write: func(l *log) {
				l.whole("a")
				cancel(l)
				l.says(state("a", "cancelled", 1))
			},
			want: breaks("I1 …has 2 ends", "I2 …after its end", "cncl …2 ends"),
		},
	)
}

// TestNothingStartsBeforeItsTime is time.
func TestNothingStartsBeforeItsTime(t *testing.T) {
	const later = `,"not_before":"2026-01-01T00:00:00.100Z"`
	tell(t,
		story{name: "at its time", write: func(l *log) {
			l.received("a", later)
			l.says(state("a", "pending", 0, waiting("time")))
			l.now = l.now.Add(100 * time.Millisecond)
			l.runs("a", 1)
			l.says(state("a", "completed", 1))
		}},
		story{name: "ended before its time, unstarted", write: func(l *log) {
			l.received("a", later)
			l.says(state("a", "cancelled", 0))
		}},
		story{name: "an hour that is no time is an invalid task", write: func(l *log) {
			l.received("a", `,"not_before":"soon"`)
			l.says(state("a", "failed", 0))
		}},
		story{
			name: "before its time",
			write: func(l *log) {
				l.received("a", later)
				l.runs("a", 1)
				l.says(state("a", "completed", 1))
			},
			want: breaks("time …before its time"),
		},
		story{
			name: "before its time once, and then again at it",
			write: func(l *log) {
				l.received("a", later)
				l.runs("a", 1)
				l.says(state("a", "pending", 1, waiting("retry")))
				l.now = l.now.Add(time.Second)
				l.runs("a", 2)
				l.says(state("a", "completed", 2))
			},
			want: breaks("time …before its time"),
		},
	)
}

// TestAcknowledgedTasksAreThere is I6.
func TestAcknowledgedTasksAreThere(t *testing.T) {
	ack := func(l *log, partition int32, offset int64, id string) {
		l.c.Ack(Ack{Lane: "fast", Partition: partition, Offset: offset, UserID: "u", TaskID: id, At: l.now})
	}
	tell(t,
		story{name: "where the broker said", write: func(l *log) { l.whole("a"); ack(l, 3, 0, "a") }},
		story{name: "a record without a name", write: func(l *log) {
			l.bare(7, "{")
			l.letter(nil)
			ack(l, 3, 7, "")
		}},
		story{
			name:  "gone",
			write: func(l *log) { ack(l, 3, 0, "a") },
			want:  breaks("I6 …is not there"),
		},
		story{
			name:  "in another partition",
			write: func(l *log) { l.whole("a"); ack(l, 4, 0, "a") },
			want:  breaks("I6 …fast/4 offset 0 and is not there"),
		},
		story{
			name:  "another one stands there",
			write: func(l *log) { l.whole("a"); ack(l, 3, 0, "b") },
			want:  breaks("I6 …stands there"),
		},
	)
}

// TestMemoryIsBounded is I8.
func TestMemoryIsBounded(t *testing.T) {
	tell(t,
		story{name: "just within", write: func(l *log) { l.c.Memory(Memory{"p", l.now, 2 << 20, 2 << 20}) }},
		story{
			name:  "over",
			write: func(l *log) { l.c.Memory(Memory{"p", l.now, 2 << 20, 1 << 20}) },
			want:  breaks("I8 …p holds 2 MiB, more than 1"),
		},
	)
}
