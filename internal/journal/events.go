package journal

import (
	"fmt"

	"github.com/aiecs/tasklane/schemas"
)

// maxBatchIDBytes is the longest batch_id of a valid task: 200 characters. What is
// wrong with a task may be the length of this one.
const maxBatchIDBytes = 4 * 200

// NewEvent is an event of a job with everything filled in that the shard
// knows: who, what, which attempt, where from and when.
func (s *Shard) NewEvent(j *Job, kind schemas.Kind, status schemas.Status) *schemas.Event {
	t := j.Task
	e := &schemas.Event{
		TaskID: t.TaskID, UserID: t.UserID, Attempt: j.Attempt, Kind: kind, Status: status,
		Step: t.StepOrDefault(), Task: t.TaskName, Time: schemas.AtTime(s.port.Now()),
		Lane: s.config.Shard.Lane, Mode: t.Mode, Service: t.Service, Worker: s.config.Worker,
	}
	if j.Invalid == nil || len(t.BatchID) <= maxBatchIDBytes {
		e.BatchID = t.BatchID
	}
	if aboutRecord(kind) {
		if j.source == nil {
			j.source = &schemas.Source{Topic: s.config.Topic, Partition: s.config.Shard.Partition, Offset: j.Offset, Wait: j.Wait.waitID(), Claim: j.claim.waitID()}
		}
		e.Source = j.source
	}
	return e
}

// Messages are the ones the old system's clients show.
func (s *Shard) runningEvent(j *Job) *schemas.Event {
	e := s.NewEvent(j, schemas.KindState, schemas.Running)
	e.Message = "Executing task: " + e.Task
	return e
}

// FailedEvent ends a job as failed.
func (s *Shard) FailedEvent(j *Job, code schemas.ErrorCode, text string) *schemas.Event {
	e := s.NewEvent(j, schemas.KindState, schemas.Failed)
	e.Message = "Failed to execute task: " + e.Task
	e.ErrorCode, e.Error = code, text
	return e
}

func (s *Shard) invalidEvent(j *Job) *schemas.Event {
	return s.FailedEvent(j, schemas.CodeInvalidTask, j.Invalid.Error())
}

func (s *Shard) lostEvent(j *Job) *schemas.Event {
	text := fmt.Sprintf("the worker running it was lost %d times; the task is not tried again because it may be what ends them", j.past.lost())
	return s.FailedEvent(j, schemas.CodeWorkerLost, text)
}

func (s *Shard) handOverEvent(j *Job) *schemas.Event {
	e := s.NewEvent(j, schemas.KindState, schemas.Pending)
	e.Message = "Handed over to another processor: " + e.Task
	return e
}

// waitEvent tells that a job waits; deferred if it does so in the waiting log.
func (s *Shard) waitEvent(j *Job, w *Postponement, deferred bool) *schemas.Event {
	e := s.NewEvent(j, schemas.KindState, schemas.Pending)
	e.Deferred = deferred
	e.Waiting = &schemas.Waiting{For: w.For}
	if !w.Until.IsZero() {
		until := schemas.AtTime(w.Until)
		e.Waiting.Until, e.NextAttemptAt = &until, &until
	}
	e.Error, e.ErrorCode = w.Error, w.ErrorCode
	e.Message = "Waiting (" + w.For + "): " + e.Task
	if w.For == schemas.WaitRetry {
		e.Message = "Waiting to be tried again: " + e.Task
	}
	return e
}

func (s *Shard) repeatEvent(j *Job) *schemas.Event {
	first, _ := s.firstSeen(j.Identity)
	return s.repeatOf(j, first)
}

func (s *Shard) repeatOf(j *Job, first int64) *schemas.Event {
	e := s.NewEvent(j, schemas.KindRepeat, schemas.Pending)
	e.Message = fmt.Sprintf("Received before at offset %d; not run again", first)
	return e
}
