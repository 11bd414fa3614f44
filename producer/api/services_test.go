package api_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/pace"
)

// offer publishes chat/assistant as a processor does, and waits until the API lists it.
func offer(t *testing.T, w *world, worker, version, input string) (stop func()) {
	t.Helper()
	p, err := definitions.NewPublisher(definitions.PublisherConfig{
		Kafka: w.Config.Kafka, Topics: w.Config.Topics, Worker: worker, Lanes: []string{"fast"},
		Services: []definitions.Service{{
			Mode: "chat", Name: "assistant", Version: version, Description: "Answers.", Generic: true,
			Tasks: []definitions.Task{
				{Name: "answer", Input: jsontext.Value(input), Result: jsontext.Value(`{"type":"object"}`)}, {Name: "free"},
			},
		}},
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			must(t, <-done)
		}
	}
	t.Cleanup(stop)
	return stop
}

// until asks for the services until they are as wanted.
func until(t *testing.T, w *world, is func(services []any) bool) {
	t.Helper()
	for within := bounded(t); !is(w.Get("/v1/services").Expect(t, 200).Body["services"].([]any)); {
		if !pace.Sleep(within, 5*time.Millisecond) {
			t.Fatalf("services are %s", w.Get("/v1/services").Raw)
		}
	}
}

const wantsQuestion = `{"type":"object","required":["question"],"properties":{"question":{"type":"string"},
	"sources":{"type":"array","items":{"type":"object","properties":{"a/b":{"type":"integer"}}}}}}`

// TestServicesAreListedAndInputIsChecked: the API says what processors offer, and refuses
// input that none of them takes, with the place at fault; what it does not know it takes.
func TestServicesAreListedAndInputIsChecked(t *testing.T) {
	w := newWorld(t)
	w.Get("/v1/services").Expect(t, 200, `{"services":[]}`)
	w.Post(task(`"input_data":{"question":5}`)).Expect(t, 202) // nobody says what it takes
	stop := offer(t, w, "w1", "1", wantsQuestion)
	until(t, w, func(s []any) bool { return len(s) == 1 })
	w.Get("/v1/services").Expect(t, 200, `"service":"chat/assistant"`, `"versions":["1"]`, `"lanes":["fast"]`,
		`"workers":1`, `"generic":true`, `"name":"answer"`, `"required":["question"]`, `"description":"Answers."`)

	for input, at := range map[string]struct{ field, pointer, problem string }{
		`{"question":5}`: {"input_data.question", "#/input_data/question", "must be a string, not a number"},
		`{}`:             {"input_data.question", "#/input_data/question", "is missing"},
		`{"question":"?","sources":[{},{"a/b":"x"}]}`: {"input_data.sources.1.a/b", "#/input_data/sources/1/a~1b",
			"must be a whole number, not a string"},
	} {
		got := w.Post(task(`"input_data":`+input)).Expect(t, 422)
		if got.Text("field") != at.field || got.Text("pointer") != at.pointer ||
			got.Text("detail") != at.field+" "+at.problem {
			t.Errorf("%s is refused as %s", input, got.Raw)
		}
	}
	w.Post(task("")).Expect(t, 422, "input_data.question is missing")
	w.Post(task(`"input_data":{"question":"?"}`)).Expect(t, 202)
	w.Post(`{"lane":"fast","user_id":"ada","task_name":"free","mode":"chat","service":"assistant"}`).Expect(t, 202)
	w.Post(`{"lane":"fast","user_id":"ada","task_name":"other","mode":"chat","service":"assistant"}`).Expect(t, 202)
	w.Post(`{"lane":"fast","user_id":"ada","task_name":"answer","mode":"chat","service":"other"}`).Expect(t, 202)

	offer(t, w, "w2", "2", `{"type":"object","required":["prompt"]}`)
	until(t, w, func(s []any) bool { return len(s) == 1 && len(s[0].(map[string]any)["versions"].([]any)) == 2 })
	w.Post(task(`"input_data":{"prompt":"?"}`)).Expect(t, 202)
	w.Post(task(`"input_data":{"question":"?"}`)).Expect(t, 202)
	stop()
	until(t, w, func(s []any) bool { return len(s) == 1 && len(s[0].(map[string]any)["versions"].([]any)) == 1 })
	w.Post(task(`"input_data":{"question":"?"}`)).Expect(t, 422, "input_data.prompt is missing")
}

// TestServicesAreKnownFromTheStart: what stands in the topic when the API starts is known
// when it is ready.
func TestServicesAreKnownFromTheStart(t *testing.T) {
	w := newWorld(t)
	offer(t, w, "w1", "1", wantsQuestion)
	until(t, w, func(s []any) bool { return len(s) == 1 })
	w.Stop()
	w.Start()
	w.Post(task(`"input_data":{"question":5}`)).Expect(t, 422)
}
