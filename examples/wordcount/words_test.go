package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// counted runs count as a processor would, and returns what it reported.
func counted(t *testing.T, input string, report processor.Reporter) (any, []schemas.Progress, error) {
	t.Helper()
	var reported []schemas.Progress
	if report == nil {
		report = func(_ context.Context, e *schemas.Event) error {
			reported = append(reported, *e.Progress)
			return nil
		}
	}
	registry, err := processor.NewRegistry(words())
	if err != nil {
		t.Fatal(err)
	}
	handler, err := registry.Lookup("text", "words", "count")
	if err != nil {
		t.Fatal(err)
	}
	task := &schemas.Task{UserID: "alice", TaskID: "1", TaskName: "count", Mode: "text", Service: "words", InputData: jsontext.Value(input)}
	result, err := handler(t.Context(), processor.NewContext(task, schemas.LaneFast, 1, report))
	return result, reported, err
}

func TestCount(t *testing.T) {
	result, reported, err := counted(t, `{"text": "To be or\nnot to be"}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Counts{Words: 6, Counts: map[string]int{"to": 2, "be": 2, "or": 1, "not": 1}}
	if diff := cmp.Diff(want, result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	steps := []schemas.Progress{
		{Percent: 50, Current: 1, Total: 2, Unit: "lines"}, {Percent: 100, Current: 2, Total: 2, Unit: "lines"},
	}
	if diff := cmp.Diff(steps, reported); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

func TestCountRefuses(t *testing.T) {
	for input, want := range map[string]string{
		`{}`:          "input_data has no text",
		`{"text": 1}`: "text",
	} {
		if _, _, err := counted(t, input, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one about %q", input, err, want)
		}
	}
}

// TestCountStops: the end of a task reaches the handler with its next report.
func TestCountStops(t *testing.T) {
	reports := 0
	_, _, err := counted(t, `{"text": "one\ntwo\nthree"}`, func(context.Context, *schemas.Event) error {
		reports++
		return processor.ErrTimeLimit
	})
	if !errors.Is(err, processor.ErrTimeLimit) || reports != 1 {
		t.Errorf("%d reports, error %v", reports, err)
	}
}
