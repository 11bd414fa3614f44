package main

import (
	"context"
	"errors"
	"strings"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// words is the service text/words.
func words() processor.Service {
	return processor.Service{Mode: "text", Name: "words", Methods: map[string]processor.Handler{"count": count}}
}

// Counts is the result of count.
type Counts struct {
	Words  int            `json:"words"`
	Counts map[string]int `json:"counts"`
}

// count counts how often each word stands in a text.
func count(ctx context.Context, task *processor.Context) (any, error) {
	var input struct {
		Text string `json:"text"`
	}
	if err := task.Input(&input); err != nil {
		return nil, err
	}
	if input.Text == "" {
		return nil, errors.New(`input_data has no text; send for example {"text": "to be or not to be"}`)
	}
	result := Counts{Counts: map[string]int{}}
	lines := strings.Split(input.Text, "\n")
	for i, line := range lines {
		for _, word := range strings.Fields(line) {
			result.Words++
			result.Counts[strings.ToLower(word)]++
		}
		// Reports fail once the task has ended or its time is up: the way to stop.
		done := schemas.Progress{Current: int64(i + 1), Total: int64(len(lines)), Unit: "lines"}
		done.Percent = 100 * float64(done.Current) / float64(done.Total)
		if err := task.Progress(ctx, done); err != nil {
			return nil, err
		}
	}
	return result, nil
}
