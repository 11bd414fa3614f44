package taskview

import (
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// The functions in this file are the whole of what a record does to a task's
// picture. They touch no database and no clock.

// newTask is the picture of a run nothing is known of yet.
func newTask(run runKey) Task {
	return Task{
		TaskID: run.TaskID, UserID: run.UserID, Lane: run.lane, Partition: run.partition,
		Offset: -1, LastOffset: -1, FirstEvent: -1, Status: schemas.Pending,
		Step: schemas.DefaultStep, Priority: schemas.DefaultPriority,
	}
}

// takeRecord takes in the task's record on its lane; false if another one came
// first. Events of the run may have been seen before it: partitions are read
// independently, so what the events said of the status stays. A task that was
// lost begins anew with the record.
func (t *Task) takeRecord(task *schemas.Task, offset int64, at time.Time) bool {
	t.LastOffset = max(t.LastOffset, offset)
	switch {
	case t.Status == schemas.Lost:
		t.beginAnew(offset)
	case t.Offset >= 0:
		return false
	}
	t.Offset = offset
	t.TaskName, t.Mode, t.Service = task.TaskName, task.Mode, task.Service
	t.Step, t.Priority = task.StepOrDefault(), task.PriorityOrDefault()
	t.BatchID, t.RetryOf, t.Labels = task.BatchID, task.RetryOf, task.Labels
	t.CreatedAt = atMilli(at.UnixMilli())
	t.touch(t.CreatedAt)
	return true
}

// beginAnew forgets a life that was lost. Its events stay, and are counted.
func (t *Task) beginAnew(offset int64) {
	fresh := newTask(t.run())
	fresh.LastOffset, fresh.FirstEvent, fresh.UpdatedAt = offset, t.FirstEvent, t.UpdatedAt
	fresh.Repeats, fresh.Events, fresh.EventsOmitted = t.Repeats, t.Events, t.EventsOmitted
	*t = fresh
}

// lose notes that the task is gone from its lane, and why.
func (t *Task) lose(why string, at schemas.Time) {
	t.Status, t.Error, t.ErrorCode, t.EndedAt = schemas.Lost, why, "", &at
	t.Waiting, t.NextAttemptAt = nil, nil
	t.touch(at)
}

// loseUnheld notes why a task's record is not on its lane any more, unless somebody
// speaks for the task all the same: its owner, once it has started, or its record in
// tasks.scheduled. It returns why the task is lost, "" if it is not.
func (t *Task) loseUnheld(why string, at schemas.Time) string {
	if why == "" || !t.open() || t.Deferred || t.Attempt > 0 {
		return ""
	}
	t.lose(why, at)
	return why
}

// revive takes a loss back: an event of the task counts after all.
func (t *Task) revive() {
	if t.Status == schemas.Lost {
		t.Status, t.Error, t.EndedAt = schemas.Pending, "", nil
	}
}

// open reports whether the task has neither ended nor was lost.
func (t *Task) open() bool { return !t.Status.Terminal() && t.Status != schemas.Lost }

// touch moves the time of the last change. The latest of all times does not
// depend on the order in which partitions are read.
func (t *Task) touch(at schemas.Time) {
	if at.After(t.UpdatedAt.Time) {
		t.UpdatedAt = at
	}
}

// takeRepeat counts a record of the task that was received and not run.
func (t *Task) takeRepeat(at schemas.Time) {
	t.Repeats++
	t.appeared(at)
}

// appeared notes a sign of the task in its journal.
func (t *Task) appeared(at schemas.Time) {
	if t.CreatedAt.IsZero() {
		t.CreatedAt = at
	}
	t.touch(at)
}

// takeEvent takes in an event that counts; false if the task had ended, so that
// nothing more does.
func (t *Task) takeEvent(e *schemas.Event, offset int64) bool {
	if t.Status.Terminal() {
		return false
	}
	if e.Kind == schemas.KindState && !e.Status.Known() {
		return false // a status of a later version: keep what is understood
	}
	t.revive()
	if e.Source != nil {
		t.LastOffset = max(t.LastOffset, e.Source.Offset)
	}
	if t.FirstEvent < 0 {
		t.FirstEvent = offset
	}
	if t.Offset < 0 {
		t.TaskName, t.Mode, t.Service, t.Step = e.Task, e.Mode, e.Service, e.Step
	}
	at := atMilli(e.Time.UnixMilli())
	t.appeared(at)
	t.Attempt, t.Worker = e.Attempt, e.Worker
	switch e.Kind {
	case schemas.KindState:
		t.takeState(e, at)
	case schemas.KindProgress:
		t.Progress = e.Progress
	}
	if e.Message != "" {
		t.Message = e.Message
	}
	return true
}

func (t *Task) takeState(e *schemas.Event, at schemas.Time) {
	t.Status, t.Error, t.ErrorCode, t.DuplicateOf = e.Status, e.Error, e.ErrorCode, e.DuplicateOf
	t.Waiting, t.NextAttemptAt, t.ResultArtifact = e.Waiting, e.NextAttemptAt, e.ResultArtifact
	t.Deferred = t.Deferred || e.Deferred
	switch {
	case e.Status == schemas.Running:
		t.StartedAt, t.Progress = &at, nil
	case e.Status.Terminal():
		t.EndedAt = &at
	}
}

// keepEvent says whether the event's own record is kept, and counts it. State
// changes always are: a task has few of them.
func (t *Task) keepEvent(kind schemas.Kind) bool {
	if kind != schemas.KindState && t.Events >= MaxEventsPerTask {
		t.EventsOmitted++
		return false
	}
	t.Events++
	return true
}
