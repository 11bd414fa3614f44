package journal

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// LetterPolicy says which failures become dead letters beyond those that always
// do: what nobody here can run, what may have ended its workers, what panicked,
// and what held up its shard.
type LetterPolicy string

const (
	// LettersExhausted adds errors of services at a task's last attempt.
	LettersExhausted LetterPolicy = "exhausted"
	// LettersAll adds every failed or timed out end.
	LettersAll LetterPolicy = "all"
	// LettersNone adds nothing.
	LettersNone LetterPolicy = "none"
)

// Valid reports whether there is such a policy; the empty one is exhausted.
func (p LetterPolicy) Valid() bool {
	return p == "" || p == LettersExhausted || p == LettersAll || p == LettersNone
}

// buries reports whether a job that ends with this event has a dead letter. A
// service's plain error is its answer to the sender, and the sender's to act on:
// it would bury what matters in letters. One after the last attempt is not.
func (p LetterPolicy) buries(j *Job, e *schemas.Event) bool {
	if e.Kind != schemas.KindState || e.Status != schemas.Failed && e.Status != schemas.TimedOut {
		return false
	}
	switch e.ErrorCode {
	case schemas.CodeInvalidTask, schemas.CodeUnknownService, schemas.CodeUnknownVersion,
		schemas.CodeWorkerLost, schemas.CodeBlocked, schemas.CodePanic:
		return true
	case schemas.CodeServiceError:
		if (p == "" || p == LettersExhausted) && j.Attempt >= j.Task.MaxAttempts() {
			return true
		}
	}
	return p == LettersAll
}

// Condemn ends a job with an event that is appended once its dead letter is
// acknowledged. False as with [Shard.Conclude].
func (s *Shard) Condemn(j *Job, e *schemas.Event) bool {
	if s.phase == phaseForgotten || !j.endable() {
		return false
	}
	s.condemn(j, e)
	return true
}

func (s *Shard) condemn(j *Job, e *schemas.Event) {
	s.rest(j)
	j.stage, j.verdict = stageBurying, e
	s.condemned++
	s.port.Bury(j)
}

// takeVerdict is the event of a condemned job, nil for any other.
func (s *Shard) takeVerdict(j *Job) *schemas.Event {
	e := j.verdict
	if e != nil {
		j.verdict = nil
		s.condemned--
	}
	return e
}

// execute appends the event of a condemned job whose letter is written. What was
// decided from the journal alone is looked at again: a take-over in between may
// have shown that the attempt it rests on was handed over.
func (s *Shard) execute(j *Job, e *schemas.Event) {
	if e.ErrorCode == schemas.CodeWorkerLost && !j.begun && !j.convicted() {
		j.stage = stageReceived
		if s.phase == phaseRunning {
			s.resume(j)
		}
		return
	}
	e.Attempt = j.Attempt
	s.conclude(j, e)
}

// attempts is the value of a letter's tl-history: how many attempts there were,
// what became of them, and the last ones one by one. All stand in the journal too,
// for as long as it keeps them.
type attempts struct {
	Attempts   int       `json:"attempts"`
	Lost       int       `json:"lost,omitzero"`
	Failed     int       `json:"failed,omitzero"`
	HandedOver int       `json:"handed_over,omitzero"`
	History    []episode `json:"history,omitzero"`
}

// history is what is known of the attempts at a job that ends with an event, in at
// most maxHistoryBytes.
func history(j *Job, e *schemas.Event) ([]byte, error) {
	h := attempts{Attempts: j.Attempt, Lost: j.past.lost(), Failed: j.past.failed, HandedOver: j.past.handed, History: j.past.episodes}
	if j.begun && j.current() {
		h.Lost-- // the attempt that ends here is not lost
	}
	h.History = lastEpisodes(h.History, lastAttempts(j, e))
	const counts = 100 // bytes that the rest takes
	h.History = fitting(h.History, maxHistoryBytes-counts)
	b, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode history: %w", err)
	}
	return b, nil
}

// lastAttempts are the ones that the journal does not show as ended: an open one is
// lost, unless it is the one that ends with the event.
func lastAttempts(j *Job, e *schemas.Event) (last []episode) {
	if j.past.open && (!j.begun || !j.current()) {
		last = append(last, j.past.attempt(endedLost))
	}
	if !j.begun {
		return last
	}
	now := episode{
		Attempt: j.Attempt, Worker: shortText(e.Worker), Ended: e.Time, End: episodeEnd(e.Status), Code: e.ErrorCode, Error: shortText(e.Error),
	}
	if started := j.Payload.(*Delivery).started; !started.IsZero() {
		now.Started = schemas.AtTime(started)
	}
	return append(last, now)
}

// obituary is what a dead letter says of why it is one.
type obituary struct {
	reason  schemas.ErrorCode
	text    string
	attempt int
	history []byte
}

// obituary of a job on its way to the dead letters.
func (j *Job) obituary() obituary {
	if j.verdict == nil {
		return obituary{reason: schemas.CodeInvalidTask, text: j.Invalid.Error(), attempt: j.Attempt}
	}
	o := obituary{reason: j.verdict.ErrorCode, text: j.verdict.Error, attempt: j.Attempt}
	if h, err := history(j, j.verdict); err == nil {
		o.history = h
	}
	return o
}

// Conclude appends a job's last event, which build makes under the shard's lock;
// where the event is one of those that a dead letter goes before, the letter is
// written first. False if the job has ended already or is not ours any more, or
// build has made none.
func (h *Held) Conclude(j *Job, build func(*Shard) *schemas.Event) (concluded bool) {
	h.do(func(s *Shard) {
		e := build(s)
		if e == nil {
			return
		}
		if h.consumer.config.Letters.buries(j, e) {
			concluded = s.Condemn(j, e)
			return
		}
		concluded = s.Conclude(j, e)
	})
	return concluded
}

// Refuse ends a job that nobody here can run as failed, and its record goes to
// the dead letters.
func (h *Held) Refuse(j *Job, code schemas.ErrorCode, why error) {
	h.do(func(s *Shard) { s.Condemn(j, s.FailedEvent(j, code, why.Error())) })
}
