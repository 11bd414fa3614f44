package taskview

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// runKey is one run: an identity in one shard.
type runKey struct {
	schemas.TaskKey
	lane      string
	partition int32
}

// Task is what is known of one run of a task. Its JSON is the API's.
type Task struct {
	TaskID    string `json:"task_id"`
	UserID    string `json:"user_id"`
	Lane      string `json:"lane"`
	Partition int32  `json:"partition"`
	// Offset is where the task's record stands on the lane; -1 while only
	// events of it have been seen.
	Offset int64 `json:"offset"`
	// Status is one of the wire's, or [schemas.Lost]; Error says why then.
	Status    schemas.Status    `json:"status"`
	Attempt   int               `json:"attempt"`
	Step      int               `json:"step"`
	TaskName  string            `json:"task_name"`
	Mode      string            `json:"mode"`
	Service   string            `json:"service"`
	Priority  int               `json:"priority"`
	BatchID   string            `json:"batch_id,omitzero"`
	RetryOf   string            `json:"retry_of,omitzero"`
	Labels    map[string]string `json:"labels,omitzero"`
	Message   string            `json:"message"`
	Error     string            `json:"error,omitzero"`
	ErrorCode schemas.ErrorCode `json:"error_code,omitzero"`
	// DuplicateOf is the task that runs, or ran, in a duplicate's place.
	DuplicateOf string `json:"duplicate_of,omitzero"`
	Worker      string `json:"worker,omitzero"`

	Waiting       *schemas.Waiting  `json:"waiting,omitzero"`
	NextAttemptAt *schemas.Time     `json:"next_attempt_at,omitzero"`
	Progress      *schemas.Progress `json:"progress,omitzero"`

	// CreatedAt is the time of the lane's record, or of the first event while
	// there is none.
	CreatedAt schemas.Time  `json:"created_at"`
	StartedAt *schemas.Time `json:"started_at,omitzero"`
	UpdatedAt schemas.Time  `json:"updated_at"`
	EndedAt   *schemas.Time `json:"ended_at,omitzero"`

	// Repeats counts records of the same task that were received and not run.
	Repeats int `json:"repeats,omitzero"`
	// Events counts the kept events; EventsOmitted those that were too many.
	Events        int `json:"events"`
	EventsOmitted int `json:"events_omitted,omitzero"`
	// Runs is how many shards have this identity: 1 unless it was produced with
	// different partitioners or on different lanes.
	Runs int `json:"runs,omitzero"`
	// FirstEvent is the offset of the run's first event in its journal, -1 if it
	// has none.
	FirstEvent int64 `json:"-"`

	// LastOffset is the highest place on the lane at which the task is known to
	// stand: its record's, a repeated one's, or what an event named; -1 if none is.
	LastOffset int64 `json:"-"`
	// Deferred says that the lane's record is finished: the task waits, or has
	// waited, in tasks.scheduled.
	Deferred bool `json:"-"`

	// Record is the task as it stands on the lane; empty in lists, and when
	// only events of it have been seen or its record is no valid task.
	Record jsontext.Value `json:"task,omitzero"`
	// Result is the service's answer; empty in lists, and if ResultArtifact has it.
	Result jsontext.Value `json:"result,omitzero"`
	// ResultArtifact is where a result is kept that was too large for an event.
	ResultArtifact *schemas.Artifact `json:"result_artifact,omitzero"`
	// Webhook says that the task's end could not be posted; nil in lists, and if it was
	// posted, or still is to be.
	Webhook *schemas.WebhookOutcome `json:"webhook,omitzero"`
}

// Outcome is the task's result as a caller gets it; useful once the status is
// terminal.
func (t *Task) Outcome() schemas.Result {
	return schemas.ResultOf(&schemas.Event{
		Status: t.Status, Task: t.TaskName, Result: t.Result,
		Error: t.Error, ErrorCode: t.ErrorCode, DuplicateOf: t.DuplicateOf, ResultArtifact: t.ResultArtifact,
	})
}

// Key is the task's identity.
func (t *Task) Key() schemas.TaskKey { return schemas.TaskKey{UserID: t.UserID, TaskID: t.TaskID} }

func (t *Task) run() runKey {
	return runKey{TaskKey: t.Key(), lane: t.Lane, partition: t.Partition}
}

// newer orders runs of one identity: the one created last is shown.
func (t *Task) newer(other *Task) bool {
	if !t.CreatedAt.Equal(other.CreatedAt.Time) {
		return t.CreatedAt.After(other.CreatedAt.Time)
	}
	if t.Lane != other.Lane {
		return t.Lane > other.Lane
	}
	return t.Partition > other.Partition
}

// Times a record's own clock may claim; outside of them there is no RFC 3339.
const maxTimeMS = 253402300799999

func atMilli(ms int64) schemas.Time {
	return schemas.AtTime(time.UnixMilli(min(max(ms, 0), maxTimeMS)))
}
