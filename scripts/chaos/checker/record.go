package checker

import "time"

// Record is a record of a topic as any Kafka client sees it.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Time      time.Time
	Key       []byte
	Value     []byte
	Headers   map[string]string
}

// Ack is a task that the broker has acknowledged to the one who sent it.
type Ack struct {
	Lane      string
	Partition int32
	Offset    int64
	UserID    string
	TaskID    string
	At        time.Time
}

// Start is one line of the trace of executions.
type Start struct {
	PID     int    `json:"pid"`
	UserID  string `json:"user_id"`
	TaskID  string `json:"task_id"`
	Lane    string `json:"lane"`
	Attempt int    `json:"attempt"`
	AtMS    int64  `json:"at_ms"`
}

// Commit is a group's committed offset with its metadata, as it was at a time.
type Commit struct {
	Lane      string
	Partition int32
	Offset    int64
	Metadata  string
	At        time.Time
}

// Cancel is a cancellation that the broker has acknowledged.
type Cancel struct {
	UserID, TaskID string
	At             time.Time
}

// Memory is one look at a process's resident memory.
type Memory struct {
	Process string
	At      time.Time
	Bytes   int64
	Limit   int64
}
