package main

// said is as much of a message as is looked at, whether a notifier sent it or it
// stands in the log.
type said struct {
	Kind    string `json:"kind"`
	EventID string `json:"event_id"`
	TaskID  string `json:"task_id"`
	UserID  string `json:"user_id"`
	Status  string `json:"status"`
	Attempt int    `json:"attempt"`
	Output  *piece `json:"output"`
	// Of messages only.
	Cursor    string `json:"cursor"`
	Recovered *bool  `json:"recovered"`
	Reason    string `json:"reason"`
}

// piece is streamed output: one piece, or Count of them that were merged while
// they waited.
type piece struct {
	Index int64  `json:"index"`
	Text  string `json:"text"`
	Count int64  `json:"count"`
}

// terminal reports whether the status ends its task.
func (s *said) terminal() bool {
	switch s.Status {
	case "completed", "failed", "timed_out", "cancelled":
		return true
	}
	return false
}
