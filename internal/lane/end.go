package lane

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// End is how a task ends. What it refers to is the shard's from then on.
type End struct {
	Status  schemas.Status
	Code    schemas.ErrorCode
	Error   string
	Message string
	// Upstream is what another system answered, if that is why.
	Upstream *schemas.Upstream
	Result   jsontext.Value // checked already: it goes into the event as it is
	// ResultArtifact is where the result is kept that is too large for an event.
	ResultArtifact *schemas.Artifact
	// What the attempt has recorded. Usage is with that of earlier ones; nil leaves it at theirs.
	Usage   *schemas.Usage
	Files   []schemas.File
	Metrics map[string]float64
}

// Ended is what the shard knows of a job's end.
type Ended struct {
	Attempt int
	Ran     time.Duration
}

// Conclude ends a job with what came of its attempt. False if the job has ended already, is
// worked on anew, or is not ours any more.
func (h *OwnedShard) Conclude(j *shard.Job, a Attempt, e End) (ended Ended, concluded bool) {
	h.do(func(s *shard.Shard) {
		d := DeliveryOf(j)
		if d.attempt != a {
			return
		}
		now := time.Now()
		start := j.Started()
		if start.IsZero() { // told to end before it started
			start = now
		}
		ended = Ended{Attempt: j.Attempt, Ran: now.Sub(start)}
		event := e.event(s, j)
		event.Metrics = &schemas.Metrics{
			QueuedMS: inMilliseconds(max(start.Sub(d.QueuedSince(j.Created)), 0)), RunMS: inMilliseconds(ended.Ran),
			Own: e.Metrics,
		}
		concluded = h.conclude(s, j, event)
	})
	return ended, concluded
}

func inMilliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// End ends a job, whether it is queued or waits; work that goes on is asked to end like this.
// False if it is, or if the job has ended already or is not ours any more.
func (h *OwnedShard) End(j *shard.Job, e End) (ended Ended, concluded bool) {
	h.do(func(s *shard.Shard) {
		if !j.Endable() || s.Forgotten() {
			return
		}
		switch d := DeliveryOf(j); {
		case d == nil:
		case d.attempt != nil && d.attempt.End(e):
			return
		case d.queued != nil:
			d.queued.End(e)
		}
		ended.Attempt = j.Attempt
		concluded = h.conclude(s, j, e.event(s, j))
	})
	return ended, concluded
}

// Found is a job that can be ended, with its task, which the job lets go of when it waits.
type Found struct {
	Job  *shard.Job
	Task *schemas.Task
}

// Found is every job that can be ended.
func (h *OwnedShard) Found() (found []Found) {
	h.do(func(s *shard.Shard) {
		s.Jobs(func(j *shard.Job) {
			if j.Endable() {
				found = append(found, Found{j, j.Task})
			}
		})
	})
	return found
}

// Cancel finds the job of a task that is to be ended, for [OwnedShard.End], which the caller calls
// then; see [shard.Shard.Cancel].
func (h *OwnedShard) Cancel(key schemas.TaskKey) (found Found, ok bool) {
	h.do(func(s *shard.Shard) {
		if j := s.Cancel(fold.IdentityOf(key.UserID, key.TaskID)); j != nil {
			found, ok = Found{j, j.Task}, true
		}
	})
	return found, ok
}

// Refuse ends a job that nobody here can run as failed, and its record goes to
// the dead letters.
func (h *OwnedShard) Refuse(j *shard.Job, code schemas.ErrorCode, why error) {
	h.do(func(s *shard.Shard) { s.ConcludeDeadLettered(j, s.Events().Failed(j, code, why.Error())) })
}

func (e End) event(s *shard.Shard, j *shard.Job) *schemas.Event {
	event := s.Events().New(j, schemas.KindState, e.Status)
	event.Message, event.ErrorCode, event.Error = e.Message, e.Code, e.Error
	event.Result, event.ResultChecked, event.ResultArtifact = e.Result, true, e.ResultArtifact
	event.Files, event.Upstream = e.Files, e.Upstream
	if e.Usage != nil {
		event.Usage = e.Usage
	}
	return event
}

// conclude appends a job's last event; where it is one of those that a dead letter goes
// before, the dead letter is written first.
func (h *OwnedShard) conclude(s *shard.Shard, j *shard.Job, event *schemas.Event) bool {
	if h.consumer.config.DeadLetters.wants(j, event) {
		return s.ConcludeDeadLettered(j, event)
	}
	return s.Conclude(j, event)
}
