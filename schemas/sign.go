package schemas

import (
	"fmt"

	"github.com/go-json-experiment/json"
)

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
	// Running and Lag are a mark's: tasks being worked on, and records
	// received but not finished.
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
