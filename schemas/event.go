package schemas

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Kind says what an event is about.
type Kind string

// Kinds of events of a task.
const (
	KindState    Kind = "state"    // the status changed
	KindProgress Kind = "progress" // how far the work is
	KindOutput   Kind = "output"   // a piece of streamed output
	KindUsage    Kind = "usage"    // what a provider was asked for
	KindLog      Kind = "log"      // a line for the user
	// KindReset says that what an earlier attempt has streamed is void: whoever shows it throws it away. The output
	// that follows is that of a new attempt, from index 0.
	KindReset Kind = "reset"
	// KindCheckpoint is a step's result that later attempts of the task use. It
	// is part of the history, and not meant for the task's user.
	KindCheckpoint Kind = "checkpoint"
)

// Kinds of journal records that are no event of a task: a reader counts them
// in its fold and shows them to nobody. Their record key is empty.
const (
	KindFence  Kind = "fence"  // an owner took the shard over
	KindMark   Kind = "mark"   // an owner's heartbeat
	KindRepeat Kind = "repeat" // a task that had been received before, not run
)

// OfTask reports whether events of this kind belong to a task's life.
func (k Kind) OfTask() bool {
	switch k {
	case KindState, KindProgress, KindOutput, KindUsage, KindLog, KindReset, KindCheckpoint:
		return true
	}
	return false
}

// ForUser reports whether events of this kind are meant for the task's user.
func (k Kind) ForUser() bool { return k.OfTask() && k != KindCheckpoint }

// ErrorCode classifies an error for programs; the text is for people.
type ErrorCode string

// The error codes on the wire.
const (
	CodeInvalidTask      ErrorCode = "invalid_task"
	CodeUnknownService   ErrorCode = "unknown_service"
	CodeUnknownVersion   ErrorCode = "unknown_version"
	CodeServiceError     ErrorCode = "service_error"
	CodePanic            ErrorCode = "panic"
	CodeSoftTimeLimit    ErrorCode = "soft_time_limit"
	CodeTimeLimit        ErrorCode = "time_limit"
	CodeWorkerLost       ErrorCode = "worker_lost"
	CodeDependencyFailed ErrorCode = "dependency_failed"
	CodeExpired          ErrorCode = "expired"
	CodeCancelled        ErrorCode = "cancelled"
	CodeOverLimit        ErrorCode = "over_limit"
	CodeBlocked          ErrorCode = "blocked"
	CodeDuplicate        ErrorCode = "duplicate"
	CodeRefused          ErrorCode = "refused" // a model, or its provider's filter, would not answer
	CodeLength           ErrorCode = "length"  // a model's answer was cut off at the most tokens
)

// Event is one record of a task's life on task-events. EventID is the shard,
// the owner's epoch and its sequence number ("fast/3-1767222000000-17").
type Event struct {
	EventID string `json:"event_id"`
	TaskID  string `json:"task_id"`
	UserID  string `json:"user_id"`
	// Attempt counts starts of the task from 1; 0 before the first.
	Attempt int    `json:"attempt"`
	Kind    Kind   `json:"kind"`
	Status  Status `json:"status"`
	Step    int    `json:"step"`
	// Task is the task's name.
	Task    string `json:"task"`
	Message string `json:"message"`
	Time    Time   `json:"time"`
	Lane    string `json:"lane"`
	Mode    string `json:"mode"`
	Service string `json:"service"`
	Worker  string `json:"worker"`
	// BatchID is the task's.
	BatchID string `json:"batch_id,omitzero"`

	// Result is the service's answer on a completed task.
	Result jsontext.Value `json:"result,omitzero"`
	// ResultChecked says that Result is valid JSON on one line, as
	// jsontext.AppendFormat leaves it: Encode copies it as it is.
	ResultChecked bool `json:"-"`
	// ResultArtifact is where the result is kept if it is too large for an event; Result is absent then.
	ResultArtifact *Artifact `json:"result_artifact,omitzero"`
	Error          string    `json:"error,omitzero"`
	ErrorCode      ErrorCode `json:"error_code,omitzero"`
	// Upstream is what another system answered, where that is the error.
	Upstream *Upstream `json:"upstream,omitzero"`
	// DuplicateOf is, of a task cancelled as a duplicate, the one that holds the claim to its content.
	DuplicateOf string `json:"duplicate_of,omitzero"`

	Waiting *Waiting `json:"waiting,omitzero"`
	// Deferred is set on a pending event that finishes the record it came from:
	// the task now stands in tasks.scheduled.
	Deferred      bool      `json:"deferred,omitzero"`
	NextAttemptAt *Time     `json:"next_attempt_at,omitzero"`
	Progress      *Progress `json:"progress,omitzero"`
	Output        *Output   `json:"output,omitzero"`
	// Usage is one request's on a usage event, and the total of all attempts on a terminal one.
	Usage      *Usage      `json:"usage,omitzero"`
	Log        *LogLine    `json:"log,omitzero"`
	Checkpoint *Checkpoint `json:"checkpoint,omitzero"`
	Metrics    *Metrics    `json:"metrics,omitzero"`
	Files      []File      `json:"files,omitzero"`
	// Source is where the task came from; on every state event, and on what a later owner has to know of: usage,
	// resets, checkpoints and the first output of an attempt.
	Source *Source `json:"source,omitzero"`

	Unknown jsontext.Value `json:",embed"`
}

// What a pending task waits for.
const (
	WaitTime       = "time"       // its not_before, or a service that put it off
	WaitRetry      = "retry"      // the back-off after a failed attempt
	WaitDependency = "dependency" // the end of other tasks
	WaitApproval   = "approval"   // a person's word
	WaitLimit      = "limit"      // room under a limit
	WaitBudget     = "budget"     // the day on which a budget that is used up begins anew
	WaitPause      = "pause"      // the end of a pause
	WaitVersion    = "version"    // a processor that has its version
	WaitService    = "service"    // a processor that has its service
)

// Waiting says what a pending task waits for and, if that is known, until when.
type Waiting struct {
	For   string `json:"for"`
	Until *Time  `json:"until,omitzero"`
	// Reason and By are those of whoever paused or limited it, as they gave them, and Name is
	// what that is about: the type and name of its target, such as "service/chat/openai".
	Reason string `json:"reason,omitzero"`
	By     string `json:"by,omitzero"`
	Name   string `json:"name,omitzero"`
}

// Progress is how far the work is. Percent is 0 to 100; Current and Total are in Unit.
type Progress struct {
	Percent float64 `json:"percent"`
	Current int64   `json:"current,omitzero"`
	Total   int64   `json:"total,omitzero"`
	Unit    string  `json:"unit,omitzero"`
}

// Output is a piece of streamed output; Index counts from 0 within an attempt.
type Output struct {
	Index int64  `json:"index"`
	Text  string `json:"text"`
	// Data is a JSON array: the events of the provider's own stream that the piece was made of, as they came, for
	// who serves that stream again. Pieces with data are not put together.
	Data jsontext.Value `json:"data,omitzero"`
	// Count is how many pieces a notifier has put together into this one, from
	// Index on, while a client did not read; zero is one. It is not in the log.
	Count int64 `json:"count,omitzero"`
}

// Upstream is what a system that a service asked, such as a provider of models, answered instead of a result.
type Upstream struct {
	Name string `json:"name"` // the system's: "openai"
	// Status is its HTTP status, 0 if there was no answer; Code is its own, Kind is one of package provider's kinds.
	Status int    `json:"status,omitzero"`
	Code   string `json:"code,omitzero"`
	Kind   string `json:"kind,omitzero"`
	// Message is its text for people.
	Message string `json:"message,omitzero"`
}

// LogLine is a line the service wrote for the task's user. Level is debug, info, warn or error.
type LogLine struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Checkpoint is the result of a step that later attempts need not run again.
type Checkpoint struct {
	Name   string         `json:"name"`
	Result jsontext.Value `json:"result"`
}

// Metrics are durations of an attempt in milliseconds, waiting before it was
// started and running, and beside them the service's own numbers.
type Metrics struct {
	QueuedMS float64 `json:"queued_ms"`
	RunMS    float64 `json:"run_ms"`
	// Own are the service's, by name. No name may be one of those above.
	Own map[string]float64 `json:",embed"`
}

// File is a file the service touched. Operation is read, write or delete.
type File struct {
	Path      string `json:"path"`
	Operation string `json:"operation"`
	Bytes     int64  `json:"bytes,omitzero"`
}

// Artifact is a file that tasks take and make, as it stands in input_data, results and
// events: not the file itself, but what it is found by (see docs/ARTIFACTS.md).
type Artifact struct {
	// Hash is the SHA-256 of the content, in lower-case hexadecimal.
	Hash string `json:"artifact"`
	// Name and Type (a media type) are those it was stored with, and Size is in bytes.
	Name string `json:"name,omitzero"`
	Type string `json:"type,omitzero"`
	Size int64  `json:"size,omitzero"`
}

// Source is the lane record a task came from. Wait is set once the task has waited in tasks.scheduled: the epoch and
// seq of the record there that the event is about ("1767222000000-17"). Claim is set on a task that holds a claim to
// its content: the record there in the same form.
type Source struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Wait      string `json:"wait,omitzero"`
	// WaitOffset is where that record stands; the first of a partition is a fence.
	WaitOffset int64  `json:"wait_offset,omitzero"`
	Claim      string `json:"claim,omitzero"`
}

// Terminal reports whether the event ends its task.
func (e *Event) Terminal() bool { return e.Kind == KindState && e.Status.Terminal() }

// DecodeEvent reads an event. Members it does not know are kept.
func DecodeEvent(b []byte) (*Event, error) {
	event := new(Event)
	if err := json.Unmarshal(b, event); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	return event, nil
}

// Result is what a caller gets for an ended task.
type Result struct {
	Status Status         `json:"status"`
	Task   string         `json:"task"`
	Result jsontext.Value `json:"result"`
	Error  *string        `json:"error"`
	// ErrorCode classifies Error; absent on a completed task.
	ErrorCode ErrorCode `json:"error_code,omitzero"`
	// DuplicateOf is the task that runs, or ran, in a duplicate's place.
	DuplicateOf string `json:"duplicate_of,omitzero"`
	// ResultArtifact is where a large result is kept. The API reads it from there into Result: it is in no answer.
	ResultArtifact *Artifact `json:"-"`
}

// ResultOf is the result a terminal event carries.
func ResultOf(e *Event) Result {
	r := Result{
		Status: e.Status, Task: e.Task, Result: e.Result, ErrorCode: e.ErrorCode, DuplicateOf: e.DuplicateOf,
		ResultArtifact: e.ResultArtifact,
	}
	if len(r.Result) == 0 {
		r.Result = jsontext.Value("null")
	}
	if e.Error != "" {
		r.Error = &e.Error
	}
	return r
}

// Sign is a journal record that is no event of a task: a fence, by which an
// owner takes a shard over, or a mark, its heartbeat. Its record key is empty.
type Sign struct {
	EventID string `json:"event_id"`
	Kind    Kind   `json:"kind"`
	Shard   string `json:"shard"`
	Epoch   int64  `json:"epoch"`
	Seq     int64  `json:"seq"`
	Worker  string `json:"worker"`
	Time    Time   `json:"time"`
	// Running and Lag are a mark's: tasks being worked on, and records received but not finished.
	Running int `json:"running,omitzero"`
	Lag     int `json:"lag,omitzero"`
}

// Encode is the sign's wire form.
func (s *Sign) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode %s of %s: %w", s.Kind, s.Shard, err)
	}
	return b, nil
}
