package main

import (
	"context"
	"strings"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// words is the service text/words.
func words() processor.Service {
	methods := map[string]processor.Handler{"count": processor.Method(count)}
	return processor.Service{Mode: "text", Name: "words", Methods: methods}
}

// Text is the input of count.
type Text struct {
	Text string `json:"text"`
}

// Validate requires a text; its error is for the task's sender.
func (t Text) Validate() error {
	if t.Text == "" {
		return processor.Invalid("text", `is missing; send for example {"text": "to be or not to be"}`)
	}
	return nil
}

// Counts is the result of count.
type Counts struct {
	Words  int            `json:"words"`
	Counts map[string]int `json:"counts"`
}

// count counts how often each word stands in a text.
func count(ctx context.Context, task *processor.Context, in Text) (Counts, error) {
	result := Counts{Counts: map[string]int{}}
	lines := strings.Split(in.Text, "\n")
	for i, line := range lines {
		for _, word := range strings.Fields(line) {
			result.Words++
			result.Counts[strings.ToLower(word)]++
		}
		// Reports fail once the task has ended or its time is up: the way to stop.
		done := schemas.Progress{Current: int64(i + 1), Total: int64(len(lines)), Unit: "lines"}
		done.Percent = 100 * float64(done.Current) / float64(done.Total)
		if err := task.Progress(ctx, done); err != nil {
			return Counts{}, err
		}
	}
	return result, task.Metric("lines", float64(len(lines)))
}
