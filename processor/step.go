package processor

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Bounds of what the attempts of a task remember together: it is read again
// whenever a shard is taken over.
const (
	maxSteps         = 64
	maxStepBytes     = 256 << 10
	maxStepNameBytes = 100
)

// StepError says why a step cannot be run or remembered. It is a fault of the
// service, so another attempt would meet it too.
type StepError struct{ Name, Problem string }

func (e *StepError) Error() string { return fmt.Sprintf("step %q %s", e.Name, e.Problem) }

// steps is what an attempt knows of its steps, guarded by its context's mu.
type steps struct {
	begun map[string]bool           // in this attempt
	fresh map[string]jsontext.Value // run in this attempt
}

// Step runs a part of the work once over all attempts of the task: its result is
// written to the task's history as a checkpoint, and a later attempt gets it
// from there without running do again. An error of do is returned as it is, and
// nothing is remembered.
//
// A name stands for one step of the task: using it twice in an attempt is an
// error ([*StepError]), and a handler that changes what a step means should give
// it another name. All steps of a task are 64 at most, with results of 256 KiB
// together as JSON; put what is larger elsewhere and remember where. What Step
// returns has always gone through JSON, so the first attempt sees what the next
// one would.
//
// A step whose process dies before the checkpoint is in the log runs again. If
// it has effects outside, make them with the task's identity and the step's name
// as idempotency key.
func Step[T any](ctx context.Context, c *Context, name string, do func(ctx context.Context) (T, error)) (T, error) {
	var result T
	encoded, known, err := c.beginStep(ctx, name)
	if err != nil {
		return result, err
	}
	if !known {
		made, err := do(ctx)
		if err != nil {
			return result, err
		}
		if encoded, err = c.endStep(ctx, name, made); err != nil {
			return result, err
		}
	}
	if err := json.Unmarshal(encoded, &result); err != nil {
		return result, &StepError{name, "is remembered in a form that does not fit its type any more: " + err.Error()}
	}
	return result, nil
}

// beginStep is the step's result if an earlier attempt has left it.
func (c *Context) beginStep(ctx context.Context, name string) (result jsontext.Value, known bool, err error) {
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	isText := utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
	if name == "" || len(name) > maxStepNameBytes || !isText {
		return nil, false, &StepError{name, fmt.Sprintf("has no usable name: 1 to %d bytes of text", maxStepNameBytes)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.steps.begun[name] {
		return nil, false, &StepError{name, "stands for two steps of one attempt; give each its own name"}
	}
	result, known = c.remembered[name]
	if !known && len(c.remembered)+len(c.steps.fresh) >= maxSteps {
		return nil, false, &StepError{name, fmt.Sprintf("is one more than the %d that are remembered", maxSteps)}
	}
	if c.steps.begun == nil {
		c.steps.begun = map[string]bool{}
	}
	c.steps.begun[name] = true
	return result, known, nil
}

// endStep remembers a result and reports it.
func (c *Context) endStep(ctx context.Context, name string, made any) (jsontext.Value, error) {
	encoded, err := json.Marshal(made, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, &StepError{name, "has a result that cannot be written as JSON: " + err.Error()}
	}
	if err := c.remember(name, encoded); err != nil {
		return nil, err
	}
	checkpoint := &schemas.Checkpoint{Name: name, Result: encoded}
	if err := c.report(ctx, &schemas.Event{Kind: schemas.KindCheckpoint, Checkpoint: checkpoint}); err != nil {
		return nil, fmt.Errorf("remember step %s: %w", name, err)
	}
	return encoded, nil
}

func (c *Context) remember(name string, result jsontext.Value) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	total, count := len(result), len(c.remembered)+len(c.steps.fresh)
	for _, known := range []map[string]jsontext.Value{c.remembered, c.steps.fresh} {
		for _, r := range known {
			total += len(r)
		}
	}
	switch {
	case total > maxStepBytes:
		return &StepError{name, fmt.Sprintf("has a result of %d bytes, and with it all would have %d; "+
			"at most %d are remembered: return less, or a reference", len(result), total, maxStepBytes)}
	case count >= maxSteps:
		return &StepError{name, fmt.Sprintf("is one more than the %d that are remembered", maxSteps)}
	}
	if c.steps.fresh == nil {
		c.steps.fresh = map[string]jsontext.Value{}
	}
	c.steps.fresh[name] = result
	return nil
}
