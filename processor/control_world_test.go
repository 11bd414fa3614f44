package processor_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// control writes a control record.
func (w *world) control(c *schemas.Control) { w.controlOf(time.Now(), c) }

// controlOf writes one that was asked for at a time.
func (w *world) controlOf(at time.Time, c *schemas.Control) {
	w.t.Helper()
	c.Time = schemas.AtTime(at)
	value, err := c.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), deadline)
	defer cancel()
	record := &kgo.Record{Topic: w.topics.Control(), Key: []byte(c.Key()), Value: value}
	if err := w.client.ProduceSync(ctx, record).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) cancel(taskID string) {
	w.t.Helper()
	expires := schemas.AtTime(time.Now().Add(time.Hour))
	w.control(&schemas.Control{
		Kind: schemas.ControlCancel, Target: schemas.Target{Type: schemas.TargetTask, UserID: "user-1", TaskID: taskID},
		ExpiresAt: &expires, By: "test", Reason: "not needed",
	})
}

// untilStatus waits until a task's last event has a status.
func (w *world) untilStatus(taskID string, s schemas.Status) {
	w.t.Helper()
	w.until(taskID+" is "+string(s), func() bool {
		all := w.history(taskID)
		return len(all) > 0 && all[len(all)-1].Status == s
	})
}

// blocking is a service whose "block" runs until its context ends, and says so.
func blocking(ran *counts) processor.Service {
	return handlers(map[string]processor.Handler{
		"block": func(ctx context.Context, c *processor.Context) (any, error) {
			ran.start(c.Task().TaskID)
			<-ctx.Done()
			if err := c.Usage(context.Background(), schemas.Usage{Model: "small", InputTokens: 3}); err != nil {
				return nil, err
			}
			return nil, context.Cause(ctx)
		},
		"once": ran.once,
	})
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	service := blocking(ran)
	one := func(c *processor.Config) { short(100*time.Millisecond, t)(c); c.Lanes[0].Slots = 1 }
	stop := w.start(one, service)
	w.cancel("early") // before the task is there
	w.sendKeyed("k", task("running", "block"))
	w.untilStatus("running", schemas.Running)
	w.sendKeyed("k", task("queued", "once"))
	w.sendKeyed("k", task("waiting", "once", `"not_before":"2999-01-01T00:00:00Z"`))
	w.sendKeyed("k", task("waiting-on", "once", `"not_before":"2999-01-01T00:00:00Z"`))
	w.sendKeyed("k", task("early", "once"))
	w.untilStatus("waiting", schemas.Pending)
	w.untilStatus("waiting-on", schemas.Pending)
	for _, id := range []string{"queued", "waiting", "running"} {
		w.cancel(id)
	}
	for _, id := range []string{"early", "queued", "waiting", "running"} {
		end := w.end(id)
		if end.Status != schemas.Cancelled || end.ErrorCode != schemas.CodeCancelled ||
			end.Error != "cancelled by test: not needed" {
			t.Errorf("%s ended %s %s %q", id, end.Status, end.ErrorCode, end.Error)
		}
		if id != "running" && len(ran.of(id)) != 0 {
			t.Errorf("%s was run", id)
		}
	}
	if end := w.end("running"); end.Usage == nil || end.Usage.InputTokens != 3 {
		t.Errorf("the partial usage is %+v", end.Usage)
	}
	stop()
	w.cancel("waiting-on") // while no processor runs
	w.start(one, service)
	if end := w.end("waiting-on"); end.Status != schemas.Cancelled {
		t.Errorf("cancelled while nobody ran it, ended %s", end.Status)
	}
}

// TestCancelRacesCompletion: whatever wins, a task ends once and nothing follows.
func TestCancelRacesCompletion(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	w.start(func(c *processor.Config) { c.Lanes[0].Slots = 8 }, blocking(ran))
	const count = 200
	for n := range count {
		id := fmt.Sprint("c", n)
		w.sendKeyed("k", task(id, "once"))
		w.cancel(id)
	}
	cancelled := 0
	for n := range count {
		if w.end(fmt.Sprint("c", n)).Status == schemas.Cancelled {
			cancelled++
		}
	}
	t.Logf("%d of %d were cancelled in time", cancelled, count)
}

// limitRunning writes how many tasks of a target may run at once.
func (w *world) limitRunning(target schemas.Target, most int64) {
	w.t.Helper()
	w.control(&schemas.Control{Kind: schemas.ControlLimits, Target: target, Limits: &schemas.Limits{MaxRunning: &most}})
}

func TestPauseLimitAndKillSwitch(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	user := schemas.Target{Type: schemas.TargetUser, UserID: "user-1"}
	name := schemas.Target{Type: schemas.TargetTaskName, TaskName: "block"}
	// What is in force before the start is obeyed from the first task on; of what
	// comes later only its effect tells that it has been read.
	w.limitRunning(name, 1)
	w.control(&schemas.Control{Kind: schemas.ControlPause, Target: user})
	w.start(nil, blocking(ran))
	w.sendKeyed("k", task("b1", "block"))
	w.sendKeyed("k", task("b2", "block"))
	w.sendKeyed("k", task("after", "once"))
	w.control(&schemas.Control{Kind: schemas.ControlResume, Target: user})
	w.end("after") // its turn came after that of both
	w.until("one of two runs", func() bool { return len(ran.of("b1"))+len(ran.of("b2")) > 0 })
	if runs := len(ran.of("b1")) + len(ran.of("b2")); runs != 1 {
		t.Errorf("%d of two ran under a limit of one", runs)
	}
	w.limitRunning(name, 2)
	w.until("both run", func() bool { return len(ran.of("b1"))+len(ran.of("b2")) == 2 })
	w.control(&schemas.Control{Kind: schemas.ControlKillSwitch, Target: name, Reason: "wrong prompt"})
	for _, id := range []string{"b1", "b2"} {
		end := w.end(id)
		if end.Status != schemas.Failed || end.ErrorCode != schemas.CodeBlocked {
			t.Errorf("%s ended %s %s", id, end.Status, end.ErrorCode)
		}
	}
	w.sendKeyed("k", task("b3", "block"))
	if end := w.end("b3"); end.ErrorCode != schemas.CodeBlocked || len(ran.of("b3")) != 0 {
		t.Errorf("under the kill switch it ended %s %s after %d runs", end.Status, end.ErrorCode, len(ran.of("b3")))
	}
	w.control(&schemas.Control{Kind: schemas.ControlKillSwitch, Target: name, Off: true})
	w.sendKeyed("k", task("b4", "once"))
	w.end("b4")
}

// A flood of one user's cancels, of tasks that never come, leaves another's alone: it
// ends its task when that comes.
func TestAFloodOfCancelsVoidsNoOther(t *testing.T) {
	w, ran := newWorld(t), newCounts()
	w.start(nil, blocking(ran))
	w.cancel("mine") // of user-1, acknowledged first and the first to expire
	expires := schemas.AtTime(time.Now().Add(7 * 24 * time.Hour))
	const flood = 95_000
	records := make([]*kgo.Record, flood)
	for n := range records {
		c := &schemas.Control{
			Kind: schemas.ControlCancel, Target: schemas.Target{Type: schemas.TargetTask, UserID: "mallory",
				TaskID: fmt.Sprintf("%036d", n)},
			Time: schemas.AtTime(time.Now()), ExpiresAt: &expires,
		}
		value, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		records[n] = &kgo.Record{Topic: w.topics.Control(), Key: []byte(c.Key()), Value: value}
	}
	if err := w.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	// A cancel written last has been read when its task ends; then all before it have.
	w.sendKeyed("k", task("last", "block"))
	w.untilStatus("last", schemas.Running)
	w.cancel("last")
	w.end("last")
	w.sendKeyed("k", task("mine", "once"))
	if end := w.end("mine"); end.Status != schemas.Cancelled || len(ran.of("mine")) != 0 {
		t.Errorf("ended %s after %d runs", end.Status, len(ran.of("mine")))
	}
}
