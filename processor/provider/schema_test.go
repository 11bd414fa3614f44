package provider

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/schemas"
)

// onlyCompletes is a provider that has neither embeddings nor images.
type onlyCompletes struct{}

func (onlyCompletes) Name() string { return "plain" }

func (onlyCompletes) Complete(_ context.Context, _ Request, _ func(Delta) error) (Result, error) {
	return Result{Text: "because", Model: "m", Finish: FinishStop}, nil
}

// TestWhatAProvidersServiceDescribes: the tasks that it has, and no others; input that does
// not suit is refused by its member.
func TestWhatAProvidersServiceDescribes(t *testing.T) {
	flow, err := NewFlow(FlowConfig{})
	if err != nil {
		t.Fatal(err)
	}
	service := Service("plain", onlyCompletes{}, flow)
	var described []string
	for name := range service.Schemas {
		described = append(described, name)
	}
	slices.Sort(described)
	if !slices.Equal(described, slices.Sorted(slices.Values([]string{TaskComplete, RawChat, RawResponses}))) {
		t.Errorf("described: %q", described)
	}
	if _, err := processor.NewRegistry(service); err != nil {
		t.Fatal(err)
	}
	for input, want := range map[string]string{
		`{"prompt": 5}`:                          "input_data.prompt must be a string, not a number",
		`{"messages": "hello"}`:                  "input_data.messages must be an array, not a string",
		`{"prompt": "?", "temperature": "high"}`: "input_data.temperature must be a number, not a string",
		`{"prompt": "?", "top_p": 2}`:            "input_data.top_p is 2; send a number from 0 to 1",
	} {
		got := processortest.Run(t, service, schemas.Task{
			Mode: Mode, Service: "plain", TaskName: TaskComplete, InputData: jsontext.Value(input),
			Context: jsontext.Value(`{"model": "m"}`),
		})
		if got.ErrorCode() != schemas.CodeInvalidTask || !strings.HasPrefix(got.End.Error, want) {
			t.Errorf("%s: %s %q, want %q", input, got.ErrorCode(), got.End.Error, want)
		}
	}
	got := processortest.Run(t, service, schemas.Task{
		Mode: Mode, Service: "plain", TaskName: TaskComplete, Context: jsontext.Value(`{"model": "m"}`),
		InputData: jsontext.Value(`{"prompt": "why?", "temperature": null, "max_output_tokens": 5, "more": true}`),
	})
	if got.Status() != schemas.Completed {
		t.Errorf("%s %q", got.Status(), got.End.Error)
	}
}
