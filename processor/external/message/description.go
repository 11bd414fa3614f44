package message

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// maxInflight is the most tasks that a program may take at once.
const maxInflight = 10_000

// anyName stands for all task names that are not described.
const anyName = "*"

// Description is what a program says of itself in its ready message.
type Description struct {
	processor.Description
	// MaxInflight is how many tasks it takes at once, 0 if it does not say.
	MaxInflight int
	names       []string // sorted
}

// Description is the ready message as a description.
func (m *Message) Description() (*Description, error) {
	switch {
	case m.Wrong != "":
		return nil, fmt.Errorf("its ready message cannot be read: %s", m.Wrong)
	case m.Protocol != Protocol:
		return nil, fmt.Errorf("its ready message has protocol %d; %d is spoken here", m.Protocol, Protocol)
	case m.MaxInflight < 0 || m.MaxInflight > maxInflight:
		return nil, fmt.Errorf("its ready message has max_inflight %d; it is 1 to %d", m.MaxInflight, maxInflight)
	}
	_, others := m.Tasks[anyName]
	d := &Description{MaxInflight: m.MaxInflight, Description: processor.Description{
		Version: m.Version, Generic: others || len(m.Tasks) == 0, Schemas: map[string]processor.TaskSchema{},
	}}
	for name, t := range m.Tasks {
		if name != anyName {
			d.Schemas[name] = processor.TaskSchema{
				Description: t.Description, Input: t.Input, Result: t.Result,
				SoftTimeLimit: time.Duration(t.SoftTimeLimitMS) * time.Millisecond,
				TimeLimit:     time.Duration(t.TimeLimitMS) * time.Millisecond, MaxAttempts: t.MaxAttempts,
			}
		}
	}
	d.names = slices.Sorted(maps.Keys(d.Schemas))
	return d, nil
}

// maxAttempts is how many attempts at a task may fail.
func (d *Description) maxAttempts(t *schemas.Task) int {
	own := t.Retry != nil && t.Retry.MaxAttempts != nil
	if d != nil && !own && d.Schemas[t.TaskName].MaxAttempts > 0 {
		return d.Schemas[t.TaskName].MaxAttempts
	}
	return t.MaxAttempts()
}

// Check is a *[processor.UnknownServiceError] for a task whose name the program does not take. Without a description
// every name is taken.
func (d *Description) Check(c *processor.Context) error {
	t := c.Task()
	if d == nil || d.Generic {
		return nil
	}
	if _, found := slices.BinarySearch(d.names, t.TaskName); found {
		return nil
	}
	return &processor.UnknownServiceError{Mode: t.Mode, Service: t.Service, TaskName: t.TaskName, Known: d.names}
}
