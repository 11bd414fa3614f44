package processor

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/aiecs/tasklane/schemas"
)

// Progress tells the user how far the work is. Superseded progress may be
// skipped on the way to slow clients.
func (c *Context) Progress(ctx context.Context, p schemas.Progress) error {
	if !finite(p.Percent) {
		return fmt.Errorf("report progress: %v is no percentage", p.Percent)
	}
	return c.report(ctx, &schemas.Event{Kind: schemas.KindProgress, Progress: &p})
}

// Output sends the user a piece of streamed output, of 256 KiB at most. Pieces
// are numbered from 0 in the order of the calls and are never skipped.
func (c *Context) Output(ctx context.Context, text string) error {
	text, err := reportable(schemas.KindOutput, text)
	if err != nil {
		return err
	}
	output := &schemas.Output{Index: c.outputs.Add(1) - 1, Text: text}
	return c.report(ctx, &schemas.Event{Kind: schemas.KindOutput, Output: output})
}

// Log sends the user a line, of 256 KiB at most. Level is debug, info, warn or
// error. What is for the operator goes to [Context.Logger].
func (c *Context) Log(ctx context.Context, level, text string) error {
	switch level {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("report log: level %q is none of debug, info, warn, error", level)
	}
	text, err := reportable(schemas.KindLog, text)
	if err != nil {
		return err
	}
	return c.report(ctx, &schemas.Event{Kind: schemas.KindLog, Log: &schemas.LogLine{Level: level, Text: text}})
}

// Usage records what a model was asked for, once a request. The terminal event
// carries the attempt's total. At most 32 models in an attempt.
func (c *Context) Usage(ctx context.Context, u schemas.Usage) error {
	if err := c.addUsage(u); err != nil {
		return fmt.Errorf("report usage: %w", err)
	}
	return c.report(ctx, &schemas.Event{Kind: schemas.KindUsage, Usage: &u})
}

// Heartbeat says that the work goes on, where there is nothing to report: it
// keeps the heartbeat limit away and writes no event. It is cheap.
func (c *Context) Heartbeat() {
	if c.heartbeat != nil {
		c.heartbeat()
	}
}

// reportable is a text as it can stand in an event.
func reportable(kind schemas.Kind, text string) (string, error) {
	if len(text) > maxReportBytes {
		return "", fmt.Errorf("report %s: more than %d bytes in one piece; send it in smaller ones", kind, maxReportBytes)
	}
	return strings.ToValidUTF8(text, "\uFFFD"), nil
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
