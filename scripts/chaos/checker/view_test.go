package checker

import (
	"fmt"
	"testing"
	"time"
)

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
	if r.Failed() > 0 || r.Counters.Stale != 1 || r.Counters.StaleByWorker[""] != 1 || r.Counters.Status["failed"] != 1 ||
		r.Counters.Status["completed"] != 0 {
		t.Errorf("%+v, %v", r.Counters, r.Violations)
	}
}

// TestForgedEpochCountsForNobody: neither for a reader from the start, nor for those
// that start at a commit or in the middle.
func TestForgedEpochCountsForNobody(t *testing.T) {
	l := newLog() // offset 0
	l.whole("a")  // 1, 2
	forged := l.now.Add(time.Hour).UnixMilli()
	l.append(forged, 1, "", map[string]any{"kind": "fence", "worker": "w"}) // 3
	l.append(forged, 2, "u", state("a", "failed", 1))                       // 4
	l.whole("b")                                                            // 5, 6
	l.c.Commit(Commit{Lane: "fast", Partition: 3, Offset: 1, Metadata: "tl1:1:10:1:10:0", At: l.now})
	l.want(t)
}

// TestRecordsThatCountCanBeRead is I4: a reader that goes by headers alone, and one that
// needs the value, see the same.
func TestRecordsThatCountCanBeRead(t *testing.T) {
	tell(t,
		story{
			name:  "one that counts",
			write: func(l *log) { l.seq++; l.append(10, l.seq, "u", "text") },
			want:  breaks("I4 …cannot be read"),
		},
		story{name: "a zombie's does not count", write: func(l *log) { l.fence(11); l.append(10, 9, "u", "text") }},
	)
}

// TestReadersFromTheMiddle is I4: who starts without a state, 15 s before, sees what others
// see, also where a zombie writes in between; where nobody wrote in that time nothing is
// promised.
func TestReadersFromTheMiddle(t *testing.T) {
	l := newLog()
	for n := range 200 {
		id := fmt.Sprint("t-", n)
		l.received(id, "")
		l.runs(id, 1)
		if n%10 == 9 {
			l.fence(int64(11 + n))
			l.append(int64(10+n), 1000, "u", state(id, "failed", 1)) // of the owner before
		}
		l.says(state(id, "completed", 1))
		if n == 100 {
			l.now = l.now.Add(time.Minute) // nobody owns the shard for so long
		}
	}
	r := l.judge()
	if r.Failed() > 0 {
		t.Fatalf("%v", r.Violations)
	}
	if r.Counters.MiddleViews < 90 || r.Counters.Unsighted == 0 {
		t.Errorf("%d readers from the middle, %d of them without a sight", r.Counters.MiddleViews, r.Counters.Unsighted)
	}
}

// TestAZombieThatIsAloneIsTakenForTheOwner: a reader from the middle that sees nobody else
// within 15 s cannot tell, as docs/DELIVERY.md says, and the log is called broken if the
// zombie's record is what it shows.
func TestAZombieThatIsAloneIsTakenForTheOwner(t *testing.T) {
	j := &journal{entries: []entry{
		{offset: 0, at: 0, state: State{11, 1}, after: State{11, 1}, counts: true},
		{offset: 1, at: 60_000, state: State{10, 5}, after: State{11, 1}},
		{offset: 2, at: 60_001, state: State{10, 6}, after: State{11, 1}},
	}}
	if at, same := j.view(2, State{10, 5}); same || at != 2 {
		t.Errorf("the view from there is the same: %t, up to %d", same, at)
	}
	if _, same := j.view(2, State{11, 1}); !same {
		t.Error("who knows the owner sees another history")
	}
}
