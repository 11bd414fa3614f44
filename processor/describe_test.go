package processor_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/schemas"
)

type askIn struct {
	Question string `json:"question" doc:"What to answer." schema:"required,minLength=2"`
	Words    *int   `json:"words" schema:"minimum=1,maximum=100"`
}

type askOut struct {
	Answer string `json:"answer"`
}

func described(called *int) processor.Service {
	ask := processor.Method(func(_ context.Context, _ *processor.Context, in askIn) (askOut, error) {
		*called++
		return askOut{in.Question + "!"}, nil
	})
	return processor.Service{
		Mode: "chat", Name: "helper", Methods: map[string]processor.Handler{"ask": ask},
		Schemas: map[string]processor.TaskSchema{
			"ask": processor.Describe[askIn, askOut]("Answers.", `{"question": "why?"}`),
		},
	}
}

// TestInputIsCheckedBeforeTheHandler: what does not suit the schema ends the task as
// invalid and names the member; the handler is not called.
func TestInputIsCheckedBeforeTheHandler(t *testing.T) {
	called := 0
	for input, want := range map[string]string{
		`{}`:                               "input_data.question is missing; send for example {\"question\":\"why?\"}",
		`{"question": 5}`:                  "input_data.question must be a string, not a number",
		`{"question": "?"}`:                "input_data.question has 1 characters; send at least 2",
		`{"question": "why", "words": 0}`:  "input_data.words is 0; send a whole number from 1 to 100",
		`{"question": "why", "wrds": 5}`:   "input_data.wrds is not known; did you mean words?",
		`{"question": "why", "words": ""}`: "input_data.words must be a whole number, not a string",
	} {
		got := processortest.Run(t, described(&called), schemas.Task{
			Mode: "chat", Service: "helper", TaskName: "ask", InputData: jsontext.Value(input),
		})
		if got.Status() != schemas.Failed || got.ErrorCode() != schemas.CodeInvalidTask ||
			!strings.HasPrefix(got.End.Error, want) {
			t.Errorf("%s: %s %s %q, want %q", input, got.Status(), got.ErrorCode(), got.End.Error, want)
		}
	}
	if called != 0 {
		t.Errorf("the handler was called %d times", called)
	}
	got := processortest.Run(t, described(&called), schemas.Task{
		Mode: "chat", Service: "helper", TaskName: "ask", InputData: jsontext.Value(`{"question": "why", "words": null}`),
	})
	if got.Status() != schemas.Completed || called != 1 {
		t.Errorf("%s %q", got.Status(), got.End.Error)
	}
}

func TestSchemasThatARegistryRefuses(t *testing.T) {
	handler := func(context.Context, *processor.Context) (any, error) { return nil, nil }
	for want, schema := range map[string]map[string]processor.TaskSchema{
		`a schema of a task "other"`:   {"other": {}},
		`the input of its task "ask"`:  {"ask": {Input: jsontext.Value(`{"type": "strin"}`)}},
		`the result of its task "ask"`: {"ask": {Result: jsontext.Value(`{"$ref": "file:///etc/passwd"}`)}},
		"has 70012 bytes, at most 65536": {"ask": {
			Input: jsontext.Value(`{"title": "` + strings.Repeat("x", 69_999) + `"}`),
		}},
		"describe it: its schemas and de": {"ask": {Description: strings.Repeat("x", 600_000)}},
		"no schema: ":                     {"ask": processor.Describe[askIn, askOut]("", "{")},
	} {
		_, err := processor.NewRegistry(processor.Service{
			Mode: "chat", Name: "helper", Methods: map[string]processor.Handler{"ask": handler}, Schemas: schema,
		})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "chat/helper") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
