// Package batches runs the batches of the OpenAI API: files of requests, each of which becomes a task.
//
// What is known of a batch are facts that are written once beside its files, in the store of artifacts: that it was
// created, that its file is in order, that it was cancelled, how it ended. The tasks' ids follow from the batch's, and
// what became of them is in the log. So whoever goes on with a batch, after a crash or on another instance, does what
// the one before did: a line that is sent again is the same task, and an output file that is written again has the
// same content and id. Nothing is in memory alone.
package batches

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Batch is what was asked for: the first fact.
type Batch struct {
	ID        string         `json:"id"`
	User      string         `json:"user"`
	Endpoint  string         `json:"endpoint"`
	InputFile string         `json:"input_file"`
	Metadata  jsontext.Value `json:"metadata,omitzero"`
	CreatedAt int64          `json:"created_at"`
	// OutputSeconds is how long its output is kept, 0 for as long as the store keeps files.
	OutputSeconds int64 `json:"output_seconds,omitzero"`
}

// Prefix begins the ids of batches.
const Prefix = "batch_"

// Window is how long a batch may take.
const Window = 24 * time.Hour

// kept is how long facts are kept.
const kept = 30 * 24 * time.Hour

// The facts of a batch, by the names of their records.
const (
	factCreated    = "created"
	factValidated  = "validated"
	factCancelled  = "cancelled"
	factFinalizing = "finalizing"
	factEnded      = "ended"
)

// expiresAt is when a batch that has not ended is given up.
func (b *Batch) expiresAt() time.Time { return time.Unix(b.CreatedAt, 0).Add(Window) }

func (b *Batch) until() time.Time { return time.Unix(b.CreatedAt, 0).Add(kept) }

// Suffix is the id without what kind of object it is of; the ids of the batch's tasks have it.
func (b *Batch) Suffix() string { return strings.TrimPrefix(b.ID, Prefix) }

// validated is the fact that the input file is in order.
type validated struct {
	At    int64 `json:"at"`
	Total int   `json:"total"`
}

// moment is a fact that has only a time.
type moment struct {
	At int64 `json:"at"`
}

// ended is the last fact.
type ended struct {
	Status    string  `json:"status"`
	At        int64   `json:"at"`
	Output    string  `json:"output,omitzero"`
	Errors    string  `json:"errors,omitzero"`
	Completed int     `json:"completed"`
	Failed    int     `json:"failed"`
	Faults    []Fault `json:"faults,omitzero"`
}

// Fault is what is wrong with a line of an input file.
type Fault struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
	Line    *int    `json:"line"`
}

// State is all that is known of a batch.
type State struct {
	Batch
	validated             *validated
	cancelled, finalizing *moment
	ended                 *ended
}

// Counts are how many of a batch's requests there are, and how many have ended how.
type Counts struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
}

// Ended reports whether nothing more will come of it.
func (s *State) Ended() bool { return s.ended != nil }

// status is where the batch stands.
func (s *State) status() string {
	switch {
	case s.ended != nil:
		return s.ended.Status
	case s.cancelled != nil:
		return "cancelling"
	case s.validated == nil:
		return "validating"
	case s.finalizing != nil:
		return "finalizing"
	}
	return "in_progress"
}

// Object is the batch as the API shows it.
type Object struct {
	ID               string         `json:"id"`
	Object           string         `json:"object"`
	Endpoint         string         `json:"endpoint"`
	Errors           *faults        `json:"errors"`
	InputFileID      string         `json:"input_file_id"`
	CompletionWindow string         `json:"completion_window"`
	Status           string         `json:"status"`
	OutputFileID     *string        `json:"output_file_id"`
	ErrorFileID      *string        `json:"error_file_id"`
	CreatedAt        int64          `json:"created_at"`
	InProgressAt     *int64         `json:"in_progress_at"`
	ExpiresAt        int64          `json:"expires_at"`
	FinalizingAt     *int64         `json:"finalizing_at"`
	CompletedAt      *int64         `json:"completed_at"`
	FailedAt         *int64         `json:"failed_at"`
	ExpiredAt        *int64         `json:"expired_at"`
	CancellingAt     *int64         `json:"cancelling_at"`
	CancelledAt      *int64         `json:"cancelled_at"`
	RequestCounts    Counts         `json:"request_counts"`
	Metadata         jsontext.Value `json:"metadata"`
}

// faults are a list of the API's.
type faults struct {
	Object string  `json:"object"`
	Data   []Fault `json:"data"`
}

// Object is the batch as the API shows it; now are the counts while it runs.
func (s *State) Object(now Counts) Object {
	o := Object{
		ID: s.ID, Object: "batch", Endpoint: s.Endpoint, InputFileID: s.InputFile, CompletionWindow: "24h",
		Status: s.status(), CreatedAt: s.CreatedAt, ExpiresAt: s.expiresAt().Unix(), Metadata: s.Metadata,
	}
	if o.Metadata == nil {
		o.Metadata = jsontext.Value("null")
	}
	if s.validated != nil {
		o.InProgressAt = &s.validated.At
		now.Total = s.validated.Total
		o.RequestCounts = now
	}
	if s.cancelled != nil {
		o.CancellingAt = &s.cancelled.At
	}
	if s.finalizing != nil {
		o.FinalizingAt = &s.finalizing.At
	}
	if e := s.ended; e != nil {
		*map[string]**int64{
			statusCompleted: &o.CompletedAt, statusFailed: &o.FailedAt, statusExpired: &o.ExpiredAt,
			statusCancelled: &o.CancelledAt,
		}[e.Status] = &e.At
		o.OutputFileID, o.ErrorFileID = optional(e.Output), optional(e.Errors)
		o.RequestCounts.Completed, o.RequestCounts.Failed = e.Completed, e.Failed
		if len(e.Faults) > 0 {
			o.Errors = &faults{Object: "list", Data: e.Faults}
		}
	}
	return o
}

// How batches end.
const (
	statusCompleted = "completed"
	statusFailed    = "failed"
	statusExpired   = "expired"
	statusCancelled = "cancelled"
)

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
