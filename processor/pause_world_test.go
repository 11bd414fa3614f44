package processor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// pause writes a pause that has lasted for a while.
func (w *world) pause(t schemas.Target) {
	w.t.Helper()
	w.controlOf(time.Now().Add(-time.Minute), &schemas.Control{Kind: schemas.ControlPause, Target: t})
}

func (w *world) resume(t schemas.Target) {
	w.t.Helper()
	w.control(&schemas.Control{Kind: schemas.ControlResume, Target: t})
}

// untilStowed waits until a task waits for the end of a pause, out of the queue.
func (w *world) untilStowed(taskID string) { w.untilStowedFor(schemas.WaitPause, taskID) }

func (w *world) untilStowedFor(what, taskID string) {
	w.t.Helper()
	w.until(taskID+" waits for the end of a pause", func() bool {
		all := w.history(taskID)
		if len(all) == 0 {
			return false
		}
		last := all[len(all)-1]
		return last.Status == schemas.Pending && last.Deferred && last.Waiting != nil && last.Waiting.For == what
	})
}

// untilCommitted waits until so many records of the fast lane are committed.
func (w *world) untilCommitted(want int64) {
	w.t.Helper()
	admin := kadm.NewClient(w.client)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for until := time.Now().Add(deadline); ; <-ticker.C {
		offsets, err := admin.FetchOffsets(w.t.Context(), w.topics.ProcessorGroup(schemas.LaneFast))
		if err != nil {
			w.t.Fatal(err)
		}
		sum := int64(0)
		offsets.Each(func(o kadm.OffsetResponse) { sum += max(o.At, 0) })
		switch {
		case sum >= want:
			return
		case time.Now().After(until):
			w.t.Fatalf("%d records are committed, want %d", sum, want)
		}
	}
}

// TestLastingPause: what it holds does not stand in the way of its lane, and goes
// on when it ends, whoever runs the lane then.
func TestLastingPause(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	user := schemas.Target{Type: schemas.TargetUser, UserID: "user-1"}
	w.pause(user)
	stop := w.start(nil, blocking(ran))
	const count = 10
	for n := range count {
		w.sendKeyed("k", task(fmt.Sprint("p", n), "once"))
	}
	for n := range count {
		w.untilStowed(fmt.Sprint("p", n))
	}
	w.untilCommitted(count)
	w.resume(user)
	for n := range count {
		id := fmt.Sprint("p", n)
		if end := w.end(id); end.Status != schemas.Completed || end.Attempt != 1 || len(ran.of(id)) != 1 {
			t.Errorf("%s ended %s after attempt %d, it was run %d times", id, end.Status, end.Attempt, len(ran.of(id)))
		}
	}

	stop()
	w.pause(user) // a processor that runs might take the task before it has read this
	stop = w.start(nil, blocking(ran))
	w.sendKeyed("k", task("over", "once"))
	w.untilStowed("over")
	stop()
	w.resume(user) // while no processor runs
	w.start(nil, blocking(ran))
	if end := w.end("over"); end.Status != schemas.Completed {
		t.Errorf("paused by one processor and resumed before the next, it ended %s", end.Status)
	}
}

// TestLimitOfNone: what it holds waits as in a pause and says for what, until there
// is another limit.
func TestLimitOfNone(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	limit := func(most int64) *schemas.Control {
		return &schemas.Control{
			Kind: schemas.ControlLimits, Target: schemas.Target{Type: schemas.TargetUser, UserID: "user-1"},
			Limits: &schemas.Limits{MaxRunning: &most},
		}
	}
	w.controlOf(time.Now().Add(-time.Minute), limit(0))
	w.start(nil, blocking(ran))
	const count = 5
	for n := range count {
		w.sendKeyed("k", task(fmt.Sprint("l", n), "once"))
	}
	for n := range count {
		w.untilStowedFor(schemas.WaitLimit, fmt.Sprint("l", n))
	}
	w.untilCommitted(count)
	w.control(limit(2))
	for n := range count {
		if end := w.end(fmt.Sprint("l", n)); end.Status != schemas.Completed {
			t.Errorf("it ended %s", end.Status)
		}
	}
}

// TestPauseOfOneTask: the others of its user run, and it goes on with its resume.
func TestPauseOfOneTask(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	one := schemas.Target{Type: schemas.TargetTask, UserID: "user-1", TaskID: "one"}
	w.pause(one)
	w.start(nil, blocking(ran))
	w.sendKeyed("k", task("one", "once"))
	w.sendKeyed("k", task("other", "once"))
	w.untilStowed("one")
	w.end("other")
	w.resume(one)
	if end := w.end("one"); end.Status != schemas.Completed {
		t.Errorf("it ended %s", end.Status)
	}
}

// TestPausedTaskKeepsItsTime: a pause that ends does not let a task start before
// its own time.
func TestPausedTaskKeepsItsTime(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	user := schemas.Target{Type: schemas.TargetUser, UserID: "user-1"}
	w.pause(user)
	w.start(func(c *processor.Config) { c.ShortWait = time.Minute }, blocking(ran))
	due := time.Now().Add(3 * time.Second)
	w.sendKeyed("k", task("later", "once", fmt.Sprintf(`"not_before":%q`, due.UTC().Format(time.RFC3339Nano))))
	w.sendKeyed("k", task("now", "once"))
	w.untilStowed("now") // what is paused has been looked at
	w.resume(user)
	w.end("now")
	w.end("later")
	if started := ran.of("later"); len(started) != 1 || started[0].Before(due) {
		t.Errorf("started %v, its time was %v", started, due)
	}
}
