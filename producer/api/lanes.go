package api

import (
	"errors"
	"time"
)

// Why a task was not acknowledged.
var (
	// ErrUnknownOutcome says that it may or may not be on its lane.
	ErrUnknownOutcome = errors.New("the broker has not acknowledged the task in time")
	// ErrTooLarge says that the broker refused it for its size.
	ErrTooLarge = errors.New("the broker refuses records of this size")
	// ErrRefused says that it is not on its lane and will not be.
	ErrRefused = errors.New("the broker refused the task")
)

// LaneWriter puts tasks on their lanes.
type LaneWriter interface {
	// Produce writes a task and waits for its acknowledgement, for a bounded time. Its
	// errors wrap those above. settled is called once it is known what became of the
	// record, which may be long after Produce has returned: until then it is in memory.
	Produce(r Record, settled func()) (Placed, error)
	// Reachable reports whether a broker answers, as far as is known.
	Reachable() bool
}

// Record is a task as it goes to its lane.
type Record struct {
	Lane   string
	UserID string
	Value  []byte
	// Traceparent is the trace context of who submitted it, "" for none.
	Traceparent string
}

// Placed is where and when a task stands on its lane.
type Placed struct {
	Partition int32
	Offset    int64
	At        time.Time
}
