package processor_test

import (
	"fmt"
	"slices"
	"strings"
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

// untilHeld waits until a task waits for the end of a pause, out of the queue.
func (w *world) untilHeld(taskID string) { w.untilHeldFor(schemas.WaitPause, taskID) }

func (w *world) untilHeldFor(what, taskID string) {
	w.t.Helper()
	w.until(taskID+" waits for the end of a pause", func() bool {
		all := w.history(taskID)
		return w.waitsFor(taskID) == what && all[len(all)-1].Deferred
	})
}

// waitsFor is what a task waits for, "" if it does not.
func (w *world) waitsFor(taskID string) string {
	all := w.history(taskID)
	if len(all) == 0 || all[len(all)-1].Status != schemas.Pending || all[len(all)-1].Waiting == nil {
		return ""
	}
	return all[len(all)-1].Waiting.For
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
		w.untilHeld(fmt.Sprint("p", n))
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
	w.untilHeld("over")
	stop()
	w.resume(user) // while no processor runs
	w.start(nil, blocking(ran))
	if end := w.end("over"); end.Status != schemas.Completed {
		t.Errorf("paused by one processor and resumed before the next, it ended %s", end.Status)
	}
}

// TestAPauseIsToldAtOnce: whoever has a task that a pause holds hears of it while the pause
// is young: why, until when, whose doing it is and what was paused. It counts, with its age.
func TestAPauseIsToldAtOnce(t *testing.T) {
	w, ran := newWorld(t), newCounts()
	p, _ := w.startProcessor(func(c *processor.Config) { c.Lanes[0].Slots = 1 }, blocking(ran))
	w.sendKeyed("k", task("runs", "block"))
	w.untilStatus("runs", schemas.Running)
	w.sendKeyed("k", task("queued", "once"))
	until := schemas.AtTime(time.Now().Add(time.Hour).Truncate(time.Millisecond))
	service := schemas.Target{Type: schemas.TargetService, Mode: "debug", Service: "test"}
	began := time.Now()
	w.control(&schemas.Control{Kind: schemas.ControlPause, Target: service, By: "ops", Reason: "quota used up",
		ExpiresAt: &until})
	w.sendKeyed("k", task("later", "once"))
	for _, id := range []string{"queued", "later"} {
		w.untilHeld(id)
		all := w.history(id)
		e := all[len(all)-1]
		got := *e.Waiting
		if got.Until == nil || !got.Until.Equal(until.Time) {
			t.Errorf("%s waits until %v, want %v", id, got.Until, until)
		}
		got.Until = nil
		want := schemas.Waiting{For: schemas.WaitPause, Reason: "quota used up", By: "ops", Name: "service/debug/test"}
		if got != want || !strings.Contains(e.Message, want.Reason) {
			t.Errorf("%s waits for %+v: %q", id, got, e.Message)
		}
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("told after %v", took)
	}
	metrics := func() string {
		var b strings.Builder
		p.WritePrometheus(&b)
		return b.String()
	}
	for _, want := range []string{
		`tasklane_queue_waiting{lane="fast",for="pause"} 2` + "\n", `tasklane_queue_waiting{lane="fast",for="time"} 0` + "\n",
		`tasklane_lane_processors{lane="fast"} 1` + "\n",
	} {
		// The event is read here a moment before it counts in the processor.
		w.until(want+" is in the metrics", func() bool { return strings.Contains(metrics(), want) })
	}
	w.until("the oldest has an age", func() bool {
		return !strings.Contains(metrics(), `tasklane_queue_oldest_age_seconds{lane="fast"} 0`+"\n") &&
			!strings.Contains(metrics(), `tasklane_queue_waiting_age_seconds{lane="fast",for="pause"} 0`+"\n")
	})
	w.resume(service)
	w.cancel("runs")
	w.end("queued")
	w.end("later")
	w.until("what has ended is not counted any more", func() bool {
		return strings.Contains(metrics(), `tasklane_queue_waiting{lane="fast",for="pause"} 0`+"\n")
	})
}

// TestAnotherPauseIsToldToo: where another pause takes the place of the one that a task waits for, its user is told
// that one: with another reason, author or end, of the same target or of the whole lane, and the first again when that
// is over. The same pause once more is no news. None of it lets a task start.
func TestAnotherPauseIsToldToo(t *testing.T) {
	w, ran := newWorld(t), newCounts()
	user := schemas.Target{Type: schemas.TargetUser, UserID: "user-1"}
	lane := schemas.Target{Type: schemas.TargetLane, Lane: schemas.LaneFast}
	pause := func(target schemas.Target, reason, by string, lasts time.Duration) {
		c := &schemas.Control{Kind: schemas.ControlPause, Target: target, Reason: reason, By: by}
		if lasts > 0 {
			until := schemas.AtTime(time.Now().Add(lasts).Truncate(time.Minute))
			c.ExpiresAt = &until
		}
		w.control(c)
	}
	ids := []string{"one", "two", "three"}
	var told []string
	tell := func(want schemas.Waiting) {
		t.Helper()
		for _, id := range ids {
			w.until(id+" is told "+want.Reason, func() bool {
				all := w.history(id)
				if len(all) == 0 || all[len(all)-1].Waiting == nil {
					return false
				}
				got := *all[len(all)-1].Waiting
				got.Until = nil
				return got == want
			})
		}
		told = append(told, want.Reason)
	}
	pause(user, "first", "ops", time.Hour)
	w.start(nil, blocking(ran)) // a processor that runs might take the tasks before it has read this
	for _, id := range ids {
		w.sendKeyed("k", task(id, "once"))
	}
	tell(schemas.Waiting{For: schemas.WaitPause, Reason: "first", By: "ops", Name: "user/user-1"})
	pause(user, "second", "ops", time.Hour)
	tell(schemas.Waiting{For: schemas.WaitPause, Reason: "second", By: "ops", Name: "user/user-1"})
	pause(user, "second", "ops", time.Hour) // the same again
	pause(user, "second", "ann", 3*time.Hour)
	tell(schemas.Waiting{For: schemas.WaitPause, Reason: "second", By: "ann", Name: "user/user-1"})
	pause(lane, "for good", "ops", 0)
	tell(schemas.Waiting{For: schemas.WaitPause, Reason: "for good", By: "ops", Name: "lane/fast"})
	w.resume(lane)
	tell(schemas.Waiting{For: schemas.WaitPause, Reason: "second", By: "ann", Name: "user/user-1"})
	w.resume(user)
	for _, id := range ids {
		if end := w.end(id); end.Status != schemas.Completed || len(ran.of(id)) != 1 {
			t.Errorf("%s ended %s, it was run %d times", id, end.Status, len(ran.of(id)))
		}
		var heard []string
		for _, e := range w.history(id) {
			if e.Waiting != nil {
				heard = append(heard, e.Waiting.Reason)
			}
		}
		if len(slices.Compact(slices.Clone(heard))) != len(slices.Compact(slices.Clone(told))) || len(heard) > 2*len(told) {
			t.Errorf("%s heard of %q, want %q", id, heard, told)
		}
	}
}

// TestAPauseOfAnotherTargetIsToldAtOnce: a pause of another kind of target that lasts longer than the one that holds a
// task takes its place when it begins, not when the first ends. Tasks that it does not touch hear nothing. When it is
// lifted the first is told again, and none of it lets a task start.
func TestAPauseOfAnotherTargetIsToldAtOnce(t *testing.T) {
	w, ran := newWorld(t), newCounts()
	begin := time.Now().Truncate(time.Minute)
	pause := func(target schemas.Target, hours int) {
		c := &schemas.Control{Kind: schemas.ControlPause, Target: target, Reason: "of the " + string(target.Type)}
		if hours > 0 {
			until := schemas.AtTime(begin.Add(time.Duration(hours) * time.Hour))
			c.ExpiresAt = &until
		}
		w.control(c)
	}
	told := map[string][]string{}
	tell := func(name string, ids ...string) {
		t.Helper()
		for _, id := range ids {
			w.until(id+" is told of "+name, func() bool {
				all := w.history(id)
				return len(all) > 0 && all[len(all)-1].Waiting != nil && all[len(all)-1].Waiting.Name == name
			})
			told[id] = append(told[id], name)
		}
	}
	user := schemas.Target{Type: schemas.TargetUser, UserID: "user-1"}
	name := schemas.Target{Type: schemas.TargetTaskName, TaskName: "once"}
	service := schemas.Target{Type: schemas.TargetService, Mode: "debug", Service: "test"}
	one := schemas.Target{Type: schemas.TargetTask, UserID: "user-1", TaskID: "one"}
	pause(user, 1)
	w.start(nil, handlers(map[string]processor.Handler{"once": ran.once, "again": ran.once}))
	w.sendKeyed("k", task("one", "once"))
	w.sendKeyed("k", task("two", "again"))
	tell("user/user-1", "one", "two")
	pause(name, 2)
	tell("task_name/once", "one")
	pause(service, 3)
	tell("service/debug/test", "one", "two")
	pause(schemas.Target{Type: schemas.TargetLane, Lane: schemas.LaneFast}, 2) // it ends before
	pause(one, 0)
	tell("task/user-1/one", "one")
	w.resume(schemas.Target{Type: schemas.TargetLane, Lane: schemas.LaneFast})
	w.resume(one)
	tell("service/debug/test", "one")
	w.resume(service)
	tell("task_name/once", "one")
	tell("user/user-1", "two")
	w.resume(name)
	tell("user/user-1", "one")
	w.resume(user)
	for id, want := range told {
		if end := w.end(id); end.Status != schemas.Completed || len(ran.of(id)) != 1 {
			t.Errorf("%s ended %s, it was run %d times", id, end.Status, len(ran.of(id)))
		}
		var heard []string
		for _, e := range w.history(id) {
			if e.Waiting != nil {
				heard = append(heard, e.Waiting.Name)
			}
		}
		if !slices.Equal(slices.Compact(heard), want) {
			t.Errorf("%s heard of %q, want %q", id, heard, want)
		}
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
		w.untilHeldFor(schemas.WaitLimit, fmt.Sprint("l", n))
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
	w.untilHeld("one")
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
	w.untilHeld("now") // what is paused has been looked at
	w.resume(user)
	w.end("now")
	w.end("later")
	if started := ran.of("later"); len(started) != 1 || started[0].Before(due) {
		t.Errorf("started %v, its time was %v", started, due)
	}
}
