package journal

import (
	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// Entry is one record of a journal partition as it was read.
type Entry struct {
	Offset int64
	Stamp  Stamp
	Value  []byte
}

// facts is what a take-over needs to know of a record.
type facts struct {
	UserID  string          `json:"user_id"`
	TaskID  string          `json:"task_id"`
	Kind    schemas.Kind    `json:"kind"`
	Status  schemas.Status  `json:"status"`
	Attempt int             `json:"attempt"`
	Worker  string          `json:"worker"`
	Time    schemas.Time    `json:"time"`
	Source  *schemas.Source `json:"source"`

	Waiting  *schemas.Waiting `json:"waiting"`
	Deferred bool             `json:"deferred"`

	Error     string            `json:"error"`
	ErrorCode schemas.ErrorCode `json:"error_code"`

	Checkpoint *schemas.Checkpoint `json:"checkpoint"`

	wait  State // Source.Wait and
	claim State // Source.Claim, read
}

// id is the record it is about.
func (r *facts) id() sourceID { return sourceID{r.Source.Offset, r.wait} }

// readFacts decodes a record. One that cannot be decoded, or that is not about
// a source offset (progress, output, marks, fences), yields false: it still
// counts in the fold, but says nothing of whether a task has ended.
func readFacts(value []byte) (*facts, bool) {
	r := new(facts)
	if err := json.Unmarshal(value, r); err != nil || r.Source == nil {
		return nil, false
	}
	var ok bool
	if r.wait, ok = parseWaitID(r.Source.Wait); !ok {
		return nil, false
	}
	if r.claim, ok = parseWaitID(r.Source.Claim); !ok {
		return nil, false
	}
	return r, aboutRecord(r.Kind)
}

func factsOf(e *schemas.Event) *facts {
	r := new(facts)
	r.take(e)
	return r
}

// take makes r those of an event.
func (r *facts) take(e *schemas.Event) {
	*r = facts{
		UserID: e.UserID, TaskID: e.TaskID, Kind: e.Kind, Status: e.Status, Attempt: e.Attempt, Source: e.Source,
		Worker: e.Worker, Time: e.Time, Error: e.Error, ErrorCode: e.ErrorCode,
		Waiting: e.Waiting, Deferred: e.Deferred, Checkpoint: e.Checkpoint,
	}
	if e.Source != nil {
		r.wait, _ = parseWaitID(e.Source.Wait)
		r.claim, _ = parseWaitID(e.Source.Claim)
	}
}

// aboutRecord reports whether events of this kind name their source: those that
// a take-over has to know of.
func aboutRecord(k schemas.Kind) bool {
	return k == schemas.KindState || k == schemas.KindRepeat || k == schemas.KindCheckpoint
}

// ends reports whether the record finishes its source offset.
func (r *facts) ends() bool {
	return r.Kind == schemas.KindRepeat || r.Kind == schemas.KindState && r.Status.Terminal()
}

// frees reports whether the record ends a task that holds a claim without having
// completed it.
func (r *facts) frees() bool {
	return r.claim != (State{}) && r.Kind == schemas.KindState && r.Status.Terminal() && r.Status != schemas.Completed
}
