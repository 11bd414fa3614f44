package journal

import (
	"fmt"
	"testing"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// received lets a shard receive tasks that are to wait until a time.
func received(s *Shard, from, count int, until time.Time) (jobs []*Job) {
	for n := range count {
		j := job(int64(from+n), fmt.Sprint("later-", from+n))
		j.NotBefore = until
		s.Receive(j)
		jobs = append(jobs, j)
	}
	return jobs
}

// A lane full of tasks for later does not fill the way to the log: a task that
// starts now is written behind a bounded number of them.
func TestWaitingRecordsAreWrittenAFewAtATime(t *testing.T) {
	s, d := taken(t)
	s.config.Deferring = 3
	before, until := len(d.waits), d.now.Add(time.Hour)
	jobs := received(s, 0, 10, until)
	if n := len(d.waits) - before; n != 3 {
		t.Fatalf("%d waiting records on their way, want 3", n)
	}
	if s.Quiet() {
		t.Error("the shard is quiet with tasks that are not yet in the waiting log")
	}
	d.turn(t, s)
	if n := len(d.waits) - before; n != len(jobs) {
		t.Fatalf("%d waiting records in the end, want %d", n, len(jobs))
	}
	for _, j := range jobs {
		if w := s.waits.waiters.byIdentity[j.Identity]; w == nil || !j.finished {
			t.Errorf("%s does not wait", j.Task.TaskID)
		}
	}
	if len(s.deferring) > 0 || !s.Quiet() {
		t.Errorf("%d still wait for room, quiet %v", len(s.deferring), s.Quiet())
	}
}

// What comes near its time before there is room in the waiting log needs none,
// unless an attempt has to be closed there.
func TestWaitsTooShortToBeWrittenStayInTheQueue(t *testing.T) {
	s, d := taken(t)
	tried := works(t, s, d, job(0, "tried"))
	s.config.Deferring = 1
	until := d.now.Add(time.Minute)
	first := received(s, 1, 1, until)[0]
	if !s.Postpone(tried, Postponement{For: schemas.WaitRetry, Until: until, Error: "busy"}) {
		t.Fatal("the job cannot wait")
	}
	near, far := received(s, 2, 2, until), received(s, 4, 1, until.Add(time.Hour))[0]
	offered := len(d.offered)
	d.now = until.Add(-4 * time.Second)
	s.Tick()
	if n := len(d.offered) - offered; n != len(near) {
		t.Fatalf("%d tasks offered, want %d", n, len(near))
	}
	for _, j := range near {
		if j.stage != stageQueued || !j.NotBefore.Equal(until) {
			t.Errorf("%s is in stage %d, not before %v", j.Task.TaskID, j.stage, j.NotBefore)
		}
	}
	d.turn(t, s)
	for _, j := range []*Job{first, tried, far} {
		if w := s.waits.waiters.byIdentity[j.Identity]; w == nil || !j.finished {
			t.Errorf("%s does not stand in the waiting log", j.Task.TaskID)
		}
	}
}

// A doubt loses none of those that had no room: they are written after it.
func TestDoubtKeepsWhatHadNoRoom(t *testing.T) {
	s, d := taken(t)
	s.config.Deferring = 1
	jobs := received(s, 0, 4, d.now.Add(time.Hour))
	s.AppendFailed(s.waitStamp(), fmt.Errorf("no answer"))
	d.now = d.now.Add(time.Second)
	s.Tick()
	d.reload(t, s)
	for _, j := range jobs {
		if s.waits.waiters.byIdentity[j.Identity] == nil || !j.finished {
			t.Errorf("%s does not wait: stage %d", j.Task.TaskID, j.stage)
		}
	}
}
