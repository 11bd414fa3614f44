package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/schemas"
)

func TestCount(t *testing.T) {
	o := processortest.Run(t, words(), processortest.Task("count", Text{"To be or\nnot to be"}))
	want := Counts{Words: 6, Counts: map[string]int{"to": 2, "be": 2, "or": 1, "not": 1}}
	if diff := cmp.Diff(want, processortest.Result[Counts](t, o)); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	steps := []schemas.Progress{
		{Percent: 50, Current: 1, Total: 2, Unit: "lines"}, {Percent: 100, Current: 2, Total: 2, Unit: "lines"},
	}
	if diff := cmp.Diff(steps, o.Progress()); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if lines := o.End.Metrics.Own["lines"]; lines != 2 {
		t.Errorf("%v lines", lines)
	}
}

func TestCountRefuses(t *testing.T) {
	for want, input := range map[string]any{
		"input_data.text is missing":                             map[string]any{},
		"input_data.text must be a string, not a number":         map[string]any{"text": 1},
		"input_data.txt is not known; leave it out, or look for": map[string]any{"txt": "to be"},
	} {
		o := processortest.Run(t, words(), processortest.Task("count", input))
		if o.ErrorCode() != schemas.CodeInvalidTask || !strings.Contains(o.End.Error, want) {
			t.Errorf("%v: %s %q, want %q", input, o.ErrorCode(), o.End.Error, want)
		}
	}
}

// TestCountStops: the end of a task reaches the handler with its next report.
func TestCountStops(t *testing.T) {
	cancel := processortest.OnEvent(func(r *processortest.Running, _ *schemas.Event) { r.Cancel() })
	o := processortest.Run(t, words(), processortest.Task("count", Text{"one\ntwo\nthree"}), cancel)
	if o.Status() != schemas.Cancelled || len(o.Progress()) != 1 || o.Runaway {
		t.Errorf("%s after %d reports, runaway %v", o.Status(), len(o.Progress()), o.Runaway)
	}
}
