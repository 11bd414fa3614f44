package message

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Protocol is the version that is spoken.
const Protocol = 1

// Types of messages.
const (
	Ready     = "ready"
	Progress  = "progress"
	Output    = "output"
	Log       = "log"
	Usage     = "usage"
	Submit    = "submit"
	Result    = "result"
	Error     = "error"
	Retry     = "retry"
	Cancelled = "cancelled"
	Pong      = "pong"
)

// Message is what a program that runs tasks says. Members are those of its type; others are ignored.
type Message struct {
	Type string `json:"type"`
	ID   string `json:"id"`

	Protocol    int                      `json:"protocol"`
	MaxInflight int                      `json:"max_inflight"`
	Tasks       map[string]DescribedTask `json:"tasks"`
	Version     string                   `json:"version"`
	Ping        bool                     `json:"ping"`

	Percent float64 `json:"percent"`
	Current int64   `json:"current"`
	Total   int64   `json:"total"`
	Unit    string  `json:"unit"`
	Message string  `json:"message"`

	Text  string         `json:"text"`
	Level string         `json:"level"`
	Usage *schemas.Usage `json:"usage"`

	Ref  string         `json:"ref"`
	Task jsontext.Value `json:"task"`

	Result      jsontext.Value `json:"result"`
	Retryable   bool           `json:"retryable"`
	AfterMS     int64          `json:"after_ms"`
	Details     string         `json:"details"`
	MaxAttempts int            `json:"max_attempts"`

	// Wrong is why the rest of the message cannot be used, "" if nothing is wrong.
	Wrong string `json:"-"`
}

// DescribedTask is what is said of a task name.
type DescribedTask struct {
	Description     string         `json:"description"`
	Input           jsontext.Value `json:"input"`
	Result          jsontext.Value `json:"result"`
	SoftTimeLimitMS int64          `json:"soft_time_limit_ms"`
	TimeLimitMS     int64          `json:"time_limit_ms"`
	MaxAttempts     int            `json:"max_attempts"`
}

// Last reports whether the message is the last word about its id.
func (m *Message) Last() bool {
	switch m.Type {
	case Result, Error, Retry, Cancelled:
		return true
	}
	return false
}

// OfTask reports whether the message is about a task.
func (m *Message) OfTask() bool {
	switch m.Type {
	case Progress, Output, Usage, Submit:
		return true
	case Log:
		return m.ID != ""
	}
	return m.Last()
}

// Parse reads a line. A message whose type and id can be read is one, if the rest is wrong too: that is the fault of
// one execution.
func Parse(line []byte) (*Message, error) {
	m := new(Message)
	err := json.Unmarshal(line, m, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err == nil {
		return m, nil
	}
	var head struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	}
	again := json.Unmarshal(line, &head, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if again != nil {
		return nil, fmt.Errorf("no message: %w", again)
	}
	return &Message{Type: head.Type, ID: head.ID, Wrong: err.Error()}, nil
}

// IDOf is the id in the beginning of a line that is too long to be read, "" if it is not there.
func IDOf(start []byte) string {
	d := jsontext.NewDecoder(bytes.NewReader(start))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return ""
	}
	for {
		name, err := d.ReadToken()
		if err != nil || name.Kind() != '"' {
			return ""
		}
		member := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return ""
		}
		if member == "id" {
			var id string
			_ = json.Unmarshal(value, &id) // what is no text is no id
			return id
		}
	}
}
