package checker

import (
	"testing"
	"time"
)

func TestWhatIsRight(t *testing.T) {
	for name, write := range map[string]func(*log){
		"nothing":        func(*log) {},
		"one task":       func(l *log) { l.whole("a") },
		"received again": func(l *log) { l.whole("a"); l.received("a", "") },
		"lost and run again": func(l *log) {
			l.received("a", "")
			l.runs("a", 1)
			l.fence(11)
			l.says(state("a", "running", 2))
			l.says(state("a", "completed", 2))
		},
		"lost three times": func(l *log) {
			l.received("a", "")
			for n := range 3 {
				l.fence(int64(11 + n))
				l.says(state("a", "running", n+1))
			}
			l.says(state("a", "failed", 3, members{"error_code": "worker_lost"}))
		},
		"handed over ten times": func(l *log) {
			l.received("a", "")
			for n := range 10 {
				l.says(state("a", "running", n+1))
				l.says(state("a", "pending", n+1))
				l.fence(int64(11 + n))
			}
			l.says(state("a", "running", 11))
			l.says(state("a", "completed", 11))
		},
		"retried": func(l *log) {
			l.received("a", `,"retry":{"max_attempts":3}`)
			for n := range 2 {
				l.runs("a", n+1)
				l.says(state("a", "pending", n+1, members{"waiting": members{"for": "retry"}}))
			}
			l.runs("a", 3)
			l.says(state("a", "failed", 3))
		},
		"waited for its time": func(l *log) {
			l.received("a", `,"not_before":"2026-01-01T00:00:00.010Z"`)
			l.says(state("a", "pending", 0, members{"waiting": members{"for": "time"}}))
			l.now = l.now.Add(10 * time.Millisecond)
			l.runs("a", 1)
			l.says(state("a", "completed", 1))
		},
		"a zombie's execution of the same number": func(l *log) {
			l.received("a", "")
			l.fence(11)
			l.append(10, 2, "u", state("a", "running", 1))
			l.runs("a", 1)
			l.says(state("a", "completed", 1))
		},
		"a zombie's end before and after": func(l *log) {
			l.received("a", "")
			l.says(state("a", "running", 1))
			l.fence(11)
			l.append(10, 3, "u", state("a", "completed", 1))
			l.says(state("a", "running", 2))
			l.says(state("a", "completed", 2))
			l.append(10, 4, "u", state("a", "completed", 1))
		},
		"a repeat of the last record": func(l *log) {
			l.whole("a")
			l.append(10, 3, "u", state("a", "completed", 1))
		},
		"a missing start": func(l *log) {
			l.received("a", "")
			l.seq++
			l.says(state("a", "completed", 1))
		},
		"a record that names no task": func(l *log) {
			l.c.Lane("fast", &Record{Topic: "tasks.fast", Partition: 3, Offset: 7, Time: l.now, Value: []byte("{")})
			l.c.Letter(&Record{Headers: map[string]string{"tl-topic": "tasks.fast", "tl-partition": "3", "tl-offset": "7", "tl-reason": "invalid_task"}})
		},
		"cancelled": func(l *log) {
			l.received("a", "")
			l.c.Cancel(Cancel{"u", "a", l.now})
			l.says(state("a", "cancelled", 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog()
			write(l)
			l.want(t)
		})
	}
}

func TestWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		write func(*log)
		want  []string
	}{
		"two ends": {func(l *log) {
			l.whole("a")
			l.says(state("a", "completed", 1))
		}, []string{"I1 …has 2 ends", "I2 …after its end"}},
		"an event after the end": {func(l *log) {
			l.whole("a")
			l.says(members{"task_id": "a", "user_id": "u", "kind": "progress", "status": "running", "attempt": 1})
		}, []string{"I2 …after its end"}},
		"a start after the end": {func(l *log) {
			l.whole("a")
			l.says(state("a", "running", 2))
		}, []string{"I2 …after its end"}},
		"a lost task":         {func(l *log) { l.received("a", ""); l.runs("a", 1) }, []string{"I1 …has no end"}},
		"a task never begun":  {func(l *log) { l.received("a", "") }, []string{"I1 …has no end: 0 starts"}},
		"only a zombie's end": {func(l *log) { l.received("a", ""); l.fence(11); l.append(10, 2, "u", state("a", "completed", 1)) }, []string{"I1 …has no end"}},
		"no dead letter": {func(l *log) {
			l.c.Lane("fast", &Record{Topic: "tasks.fast", Partition: 3, Offset: 7, Time: l.now, Value: []byte("{")})
			l.c.Letter(&Record{Headers: map[string]string{"tl-topic": "tasks.fast", "tl-partition": "3", "tl-offset": "8", "tl-reason": "invalid_task"}})
		}, []string{"I1 …has no dead letter"}},
		"four lost attempts": {func(l *log) {
			l.received("a", "")
			for n := range 4 {
				l.fence(int64(11 + n))
				l.says(state("a", "running", n+1))
			}
			l.says(state("a", "failed", 4, members{"error_code": "worker_lost"}))
		}, []string{"I3 …lost 4 attempts"}},
		"too many for few attempts": {func(l *log) {
			l.received("a", `,"retry":{"max_attempts":1}`)
			for n := range 4 {
				l.fence(int64(11 + n))
				l.says(state("a", "running", n+1))
			}
			l.says(state("a", "completed", 4))
		}, []string{"I3 …lost 3 attempts, at most 2"}},
		"too many hand-overs": {func(l *log) {
			l.received("a", "")
			for n := range 14 {
				l.says(state("a", "running", n+1))
				l.says(state("a", "pending", n+1))
			}
			l.says(state("a", "failed", 14))
		}, []string{"I3 …lost 4 attempts"}},
		"too many retries": {func(l *log) {
			l.received("a", `,"retry":{"max_attempts":2}`)
			for n := range 2 {
				l.runs("a", n+1)
				l.says(state("a", "pending", n+1, members{"waiting": members{"for": "retry"}}))
			}
			l.runs("a", 3)
			l.says(state("a", "failed", 3))
		}, []string{"I3 …tried again after 2 failures"}},
		"an attempt's number twice": {func(l *log) {
			l.received("a", "")
			l.says(state("a", "running", 1))
			l.fence(11)
			l.says(state("a", "running", 1))
			l.says(state("a", "completed", 1))
		}, []string{"I3 …number did not rise"}},
		"work without a start in the log": {func(l *log) {
			l.received("a", "")
			l.executes("a", 1)
			l.says(state("a", "completed", 1))
		}, []string{"I3 …no start of it stands in the log"}},
		"two executions and one start in the log": {func(l *log) {
			l.whole("a")
			l.executes("a", 1)
		}, []string{"I3 …no start of it stands in the log", "once …executed 2 times"}},
		"executed twice": {func(l *log) {
			l.received("a", "")
			l.runs("a", 1)
			l.fence(11)
			l.runs("a", 2)
			l.says(state("a", "completed", 2))
		}, []string{"once …executed 2 times"}},
		"before its time": {func(l *log) {
			l.received("a", `,"not_before":"2026-01-01T00:00:09Z"`)
			l.runs("a", 1)
			l.says(state("a", "completed", 1))
		}, []string{"time …before its time"}},
		"an acknowledged task that is gone": {func(l *log) {
			l.c.Ack(Ack{Lane: "fast", Partition: 3, Offset: 0, UserID: "u", TaskID: "a", At: l.now})
		}, []string{"I6 …is not there"}},
		"an acknowledged task that is another": {func(l *log) {
			l.whole("a")
			l.c.Ack(Ack{Lane: "fast", Partition: 3, Offset: 0, UserID: "u", TaskID: "b", At: l.now})
		}, []string{"I6 …stands there"}},
		"too much memory": {func(l *log) {
			l.c.Memory(Memory{"p", l.now, 2 << 20, 1 << 20})
		}, []string{"I8 …holds 2 MiB"}},
		"a cancelled task that does not end": {func(l *log) {
			l.received("a", "")
			l.c.Cancel(Cancel{"u", "a", l.now})
		}, []string{"I1 …has no end", "cncl …0 ends"}},
		"a record that cannot be read": {func(l *log) {
			l.seq++
			l.append(10, l.seq, "u", "text")
		}, []string{"I4 …cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog()
			c.write(l)
			l.want(t, c.want...)
		})
	}
}

// TestViews: a reader that starts elsewhere, or was there all the time, has to
// see the same.
func TestViews(t *testing.T) {
	for name, c := range map[string]struct {
		commit string
		live   func(Digest) map[string]Digest
		want   []string
	}{
		"from the start":            {commit: "tl1:0:0:0:10:0"},
		"from the middle":           {commit: "tl1:4:10:4:10:0"},
		"from behind the end":       {commit: "tl1:999:11:9:11:0"},
		"from the zombie, knowing":  {commit: "tl1:7:11:2:11:0"},
		"with too low an epoch":     {commit: "tl1:7:10:4:11:0", want: []string{"I4 …another history at offset 7"}},
		"with too high an epoch":    {commit: "tl1:0:12:1:12:0", want: []string{"I4 …another history at offset 0"}},
		"with too high a number":    {commit: "tl1:3:10:9:10:0", want: []string{"I4 …another history at offset 3"}},
		"of another form":           {commit: "tl2:0", want: []string{"I4 …has another form"}},
		"the reader during the run": {live: func(d Digest) map[string]Digest { return map[string]Digest{shard: d} }},
		"one that missed a record": {live: func(d Digest) map[string]Digest {
			d.Count--
			return map[string]Digest{shard: d}
		}, want: []string{"I4 …a reader during the run"}},
		"one that saw another": {live: func(d Digest) map[string]Digest {
			d.Sum++
			return map[string]Digest{shard: d}
		}, want: []string{"I4 …a reader during the run"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog() // offset 0
			l.whole("a")  // 1, 2
			l.whole("b")  // 3, 4
			l.fence(11)   // 5
			l.received("c", "")
			l.says(state("c", "running", 1))                 // 6
			l.append(10, 6, "u", state("c", "completed", 1)) // 7, a zombie's
			l.says(state("c", "completed", 1))               // 8
			if c.commit != "" {
				l.c.Commit(Commit{Lane: "fast", Partition: 3, Offset: 1, Metadata: c.commit, At: l.now})
			}
			if c.live != nil {
				l.c.Live(c.live(l.c.journals[shard].digest))
			}
			l.want(t, c.want...)
		})
	}
}

// TestNaiveReader: a record that counts for one who takes everything does not
// count here, and the verdict depends on it.
func TestNaiveReader(t *testing.T) {
	l := newLog()
	l.received("a", "")
	l.says(state("a", "running", 1))
	l.fence(11)
	l.append(10, 3, "u", state("a", "completed", 1)) // a naive reader's first end
	l.says(state("a", "running", 2))
	l.says(state("a", "failed", 2)) // the one that counts
	r := l.judge()
	if r.Failed() > 0 || r.Counters.Stale != 1 || r.Counters.StaleByWorker[""] != 1 || r.Counters.Status["failed"] != 1 || r.Counters.Status["completed"] != 0 {
		t.Errorf("%+v, %v", r.Counters, r.Violations)
	}
}

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
