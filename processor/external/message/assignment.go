package message

import (
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// Assignment is an attempt at a task that a program is given.
type Assignment struct {
	ID          string
	Attempt     int
	MaxAttempts int
	Task        *schemas.Task
	Lane        string
	Traceparent string
	// Soft and Hard are its deadlines, zero where there are none.
	Soft, Hard time.Time
}

// Assign is the attempt that a handler has, under an id, at a task of the program that is described. Without a
// description the task itself says how often it may be tried.
func (d *Description) Assign(id string, c *processor.Context) *Assignment {
	soft, hard := c.Deadlines()
	return &Assignment{
		ID: id, Attempt: c.Attempt(), MaxAttempts: d.maxAttempts(c.Task()), Task: c.Task(), Lane: c.Lane(),
		Traceparent: c.Traceparent(), Soft: soft, Hard: hard,
	}
}

// Encode is the line that gives the task to a program. Deadlines are left out where there are none.
func (t *Assignment) Encode() ([]byte, error) {
	const frame = 320 // what stands around the task, as a rule
	task, err := t.Task.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode task: %w", err)
	}
	b := make([]byte, 0, len(task)+frame)
	b = appendQuoted(append(b, `{"type":"task","id":`...), t.ID)
	b = append(b, `,"attempt":`...)
	b = strconv.AppendInt(b, int64(t.Attempt), 10)
	b = append(b, `,"max_attempts":`...)
	b = strconv.AppendInt(b, int64(t.MaxAttempts), 10)
	b = append(b, `,"lane":`...)
	b = appendQuoted(b, t.Lane)
	if t.Traceparent != "" {
		b = appendQuoted(append(b, `,"traceparent":`...), t.Traceparent)
	}
	b = appendDeadline(b, "soft_deadline", "soft_time_limit_ms", t.Soft)
	b = appendDeadline(b, "deadline", "time_limit_ms", t.Hard)
	b = append(b, `,"task":`...)
	b = append(b, task...)
	return append(b, "}\n"...), nil
}

func appendDeadline(b []byte, name, limit string, at time.Time) []byte {
	if at.IsZero() {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":"`...)
	b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(append(append(b, `","`...), limit...), `":`...)
	return strconv.AppendInt(b, max(time.Until(at).Milliseconds(), 0), 10)
}

// AppendCancel adds the line that tells a program to stop.
func AppendCancel(b []byte, id, reason, text string) []byte {
	b = appendQuoted(append(b, `{"type":"cancel","id":`...), id)
	b = append(b, `,"reason":"`...)
	b = append(b, reason...)
	b = appendQuoted(append(b, `","message":`...), text)
	return append(b, "}\n"...)
}

// AppendSubmitted adds the line that tells a program what has become of a task that it has submitted.
func AppendSubmitted(b []byte, id string, to Submitted) []byte {
	b = appendQuoted(append(b, `{"type":"submitted","id":`...), id)
	b = appendQuoted(append(b, `,"ref":`...), to.Ref)
	if to.Err != nil {
		b = appendQuoted(append(b, `,"error":`...), Cut(to.Err.Error(), maxErrorText))
	} else {
		b = appendQuoted(append(b, `,"task_id":`...), to.TaskID)
	}
	return append(b, "}\n"...)
}

// maxErrorText bounds what a program is told of an error.
const maxErrorText = 500

func appendQuoted(b []byte, text string) []byte {
	quoted, err := jsontext.AppendQuote(b, text)
	if err != nil { // it is cut between two bytes of a character, or no text at all
		return append(b, `"?"`...)
	}
	return quoted
}
