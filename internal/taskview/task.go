package taskview

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Key is a task's identity. An empty UserID asks for the only user who has the
// id.
type Key struct {
	UserID string
	TaskID string
}

// runKey is one run: an identity in one shard.
type runKey struct {
	Key
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
	Offset    int64             `json:"offset"`
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

	// Record is the task as it stands on the lane; empty in lists, and when
	// only events of it have been seen or its record is no valid task.
	Record jsontext.Value `json:"task,omitzero"`
	// Result is the service's answer; empty in lists.
	Result jsontext.Value `json:"result,omitzero"`
}

// Outcome is the task's result as a caller gets it; useful once the status is
// terminal.
func (t *Task) Outcome() schemas.Result {
	return schemas.ResultOf(&schemas.Event{
		Status: t.Status, Task: t.TaskName, Result: t.Result, Error: t.Error, ErrorCode: t.ErrorCode, DuplicateOf: t.DuplicateOf,
	})
}

// Key is the task's identity.
func (t *Task) Key() Key { return Key{UserID: t.UserID, TaskID: t.TaskID} }

func (t *Task) run() runKey {
	return runKey{Key: t.Key(), lane: t.Lane, partition: t.Partition}
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
