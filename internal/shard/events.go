package shard

import (
	"fmt"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// maxBatchIDBytes is the longest batch_id of a valid task: 200 characters. What is
// wrong with a task may be the length of this one.
const maxBatchIDBytes = 4 * 200

// Events makes the events of a shard's jobs.
type Events struct {
	config *Config
	port   Port
}

// New is an event of a job with everything filled in that the shard
// knows: who, what, which attempt, where from and when, and of a last one what models were asked for before.
func (es *Events) New(j *Job, kind schemas.Kind, status schemas.Status) *schemas.Event {
	t := j.Task
	e := &schemas.Event{
		TaskID: t.TaskID, UserID: t.UserID, Attempt: j.Attempt, Kind: kind, Status: status,
		Step: t.StepOrDefault(), Task: t.TaskName, Time: schemas.AtTime(es.port.Now()),
		Lane: es.config.Shard.Lane, Mode: t.Mode, Service: t.Service, Worker: es.config.Worker,
	}
	if j.Invalid == nil || len(t.BatchID) <= maxBatchIDBytes {
		e.BatchID = t.BatchID
	}
	if aboutRecord(kind) {
		if j.source == nil {
			j.source = &schemas.Source{Topic: es.config.Topic, Partition: es.config.Shard.Partition, Offset: j.Offset,
				Wait: j.Wait.ID(), Claim: j.claim.ID()}
			if j.delayed != nil {
				j.source.WaitOffset = j.delayed.logged
			}
		}
		e.Source = j.source
	}
	if kind == schemas.KindState && status.Terminal() {
		e.Usage = j.history.used
	}
	return e
}

// Failed ends a job as failed. Messages are the ones the old system's clients show.
func (es *Events) Failed(j *Job, code schemas.ErrorCode, text string) *schemas.Event {
	e := es.New(j, schemas.KindState, schemas.Failed)
	e.Message = "Failed to execute task: " + e.Task
	e.ErrorCode, e.Error = code, text
	return e
}

func (es *Events) lost(j *Job) *schemas.Event {
	text := fmt.Sprintf("the worker running it was lost %d times; the task is not tried again because it may be "+
		"what ends them", j.history.lost())
	if last := len(j.history.earlier) - 1; last >= 0 && j.history.earlier[last].Code == schemas.CodeWorkerLost {
		text += ": " + j.history.earlier[last].Error
	}
	return es.Failed(j, schemas.CodeWorkerLost, text)
}

// wait tells that a job waits; deferred if it does so in the waiting log.
func (es *Events) wait(j *Job, w *Postponement, deferred bool) *schemas.Event {
	e := es.New(j, schemas.KindState, schemas.Pending)
	e.Deferred = deferred
	e.Waiting = &schemas.Waiting{For: w.For, Reason: w.Reason, By: w.By, Name: w.Name}
	if !w.Until.IsZero() {
		until := schemas.AtTime(w.Until)
		e.Waiting.Until, e.NextAttemptAt = &until, &until
	}
	e.Error, e.ErrorCode = w.Error, w.ErrorCode
	e.Message = "Waiting (" + w.For + "): " + e.Task
	if w.For == schemas.WaitRetry {
		e.Message = "Waiting to be tried again: " + e.Task
	}
	if w.Reason != "" {
		e.Message += ": " + w.Reason
	}
	return e
}

func (es *Events) repeat(j *Job, first int64) *schemas.Event {
	e := es.New(j, schemas.KindRepeat, schemas.Pending)
	e.Message = fmt.Sprintf("Received before at offset %d; not run again", first)
	return e
}

// Record is one record to append to the journal.
type Record struct {
	Stamp fold.Stamp
	// Event is the record's event, nil for a fence or a mark.
	Event *schemas.Event
	// Sign is the fence or mark, nil for an event.
	Sign *schemas.Sign
	// Callback is where a terminal event is delivered to, "" for nowhere.
	Callback string
}

// callbackOf is where an event of a task is delivered to. A task that is ended
// because it is not valid may have a URL that is not.
func callbackOf(t *schemas.Task, e *schemas.Event) string {
	if t.CallbackURL == "" || !e.Terminal() || schemas.CheckCallbackURL(t.CallbackURL) != "" {
		return ""
	}
	return t.CallbackURL
}

// written is an own record of the journal until it has counted.
type written struct {
	job   *Job // nil for a mark
	event *schemas.Event
	// counted is set while a take-over reads the journal.
	counted bool
}

func (r *written) running() bool {
	return r.event != nil && r.event.Kind == schemas.KindState && r.event.Status == schemas.Running
}

// late reports whether it is a report of an attempt that is closed already.
func (r *written) late() bool {
	closed := r.job.stage.in(stageHanded, stageRetrying, stageQueued, stageOffered)
	return closed && r.event.Kind != schemas.KindState && !r.job.history.open
}

// stands reports whether an end that was decided from the journal alone is still
// right after the journal went on: another owner may have handed the job over,
// or started it.
func (r *written) stands() bool {
	switch {
	case r.job.recordless:
		return true
	case r.event.Kind == schemas.KindRepeat:
		return !r.job.history.started
	case r.event.ErrorCode == schemas.CodeWorkerLost && !r.job.begun():
		return r.job.lostTooOften()
	case r.event.ErrorCode == schemas.CodeDuplicate, r.event.ErrorCode == schemas.CodeOverLimit && !r.job.begun():
		return false // the claim may be free by now, or the job have one
	}
	return true
}
