package shard

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// ConcludeDeadLettered ends a job with an event that is appended once its dead letter is
// acknowledged. False as with [Shard.Conclude].
func (s *Shard) ConcludeDeadLettered(j *Job, e *schemas.Event) bool {
	if s.phase == phaseForgotten || !j.Endable() {
		return false
	}
	s.jobs.deadLetter(j, e)
	return true
}

func (js *jobs) deadLetter(j *Job, e *schemas.Event) {
	js.move(j, stepDeadLetter)
	j.lastEvent = e
	js.deadLettering++
	js.port.WriteDeadLetter(j, j.deadLetter())
}

func (js *jobs) deadLetterWritten(j *Job) {
	last := j.lastEvent
	if last != nil {
		j.lastEvent = nil
		js.deadLettering--
	}
	switch {
	case j.stage != stageDeadLettering: // dropped, or compared with the journal again
	case last != nil:
		js.endDeadLettered(j, last)
	case j.identified():
		js.conclude(j, js.events.Failed(j, schemas.CodeInvalidTask, j.Invalid.Error()))
	default:
		js.move(j, stepFinish)
		if js.running {
			js.advance()
		}
	}
}

// endDeadLettered appends the event of a job whose dead letter is written. What was
// decided from the journal alone is looked at again: a take-over in between may
// have shown that the attempt it rests on was handed over.
func (js *jobs) endDeadLettered(j *Job, e *schemas.Event) {
	if e.ErrorCode == schemas.CodeWorkerLost && !j.begun() && !j.lostTooOften() {
		js.move(j, stepReconsider)
		if js.running {
			js.resume(j)
		}
		return
	}
	e.Attempt = j.Attempt
	js.conclude(j, e)
}

// historyHeader is the value of a dead letter's tl-history: how many attempts there were,
// what became of them, and the last ones one by one. All stand in the journal too,
// for as long as it keeps them.
//
// Attempts is Lost and Failed together, as attempts are counted everywhere: those
// that were handed over count neither, but for what is beyond the free ones and is
// among the lost.
type historyHeader struct {
	Attempts   int       `json:"attempts"`
	Lost       int       `json:"lost,omitzero"`
	Failed     int       `json:"failed,omitzero"`
	HandedOver int       `json:"handed_over,omitzero"`
	History    []Attempt `json:"history,omitzero"`
}

// encodeHistory is what is known of the attempts at a job that ends with an event, in at
// most maxHistoryBytes.
func encodeHistory(j *Job, e *schemas.Event) ([]byte, error) {
	h := historyHeader{
		Attempts: j.Attempt, Lost: j.history.lost(), Failed: j.history.failed,
		HandedOver: min(j.history.handed, maxHandOvers), History: j.history.earlier,
	}
	if j.begun() {
		h.Failed++ // the attempt that ends here has failed,
		if j.current() {
			h.Lost-- // and is not lost
		}
	}
	h.History = lastOf(h.History, openAttempts(j, e))
	const counts = 100 // bytes that the rest takes
	h.History = fitting(h.History, maxHistoryBytes-counts)
	b, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode history: %w", err)
	}
	return b, nil
}

// openAttempts are the ones that the journal does not show as ended: an open one is
// lost, unless it is the one that ends with the event.
func openAttempts(j *Job, e *schemas.Event) (last []Attempt) {
	if j.history.open && (!j.begun() || !j.current()) {
		last = append(last, j.history.attempt(endedLost))
	}
	if !j.begun() {
		return last
	}
	now := Attempt{
		Attempt: j.Attempt, Worker: shortText(e.Worker), Ended: e.Time, End: attemptEnd(e.Status), Code: e.ErrorCode,
		Error: shortText(e.Error),
	}
	if !j.startedAt.IsZero() {
		now.Started = schemas.AtTime(j.startedAt)
	}
	return append(last, now)
}

// DeadLetter is what a dead letter says of why it is one. History is the value of its
// tl-history header, nil if nothing is known of attempts.
type DeadLetter struct {
	Reason  schemas.ErrorCode
	Text    string
	Attempt int
	History []byte
}

// deadLetter is that of a job on its way to the dead letters.
func (j *Job) deadLetter() DeadLetter {
	if j.lastEvent == nil {
		return DeadLetter{Reason: schemas.CodeInvalidTask, Text: j.Invalid.Error(), Attempt: j.Attempt}
	}
	d := DeadLetter{Reason: j.lastEvent.ErrorCode, Text: j.lastEvent.Error, Attempt: j.Attempt}
	if h, err := encodeHistory(j, j.lastEvent); err == nil {
		d.History = h
	}
	return d
}
