package processor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// execute runs a task as a processor would, for these examples; tests of
// services use package processortest.
func execute(service processor.Service, task schemas.Task, options ...processor.ContextOption) (result jsontext.Value,
	err error) {
	registry, err := processor.NewRegistry(service)
	if err != nil {
		return nil, err
	}
	report := func(_ context.Context, e *schemas.Event) error {
		fmt.Println("reported", e.Kind)
		return nil
	}
	task.Mode, task.Service = service.Mode, service.Name
	c := processor.NewContext(&task, schemas.LaneFast, 1, report, options...)
	registry.Execute(context.Background(), c, func(value jsontext.Value, failed error) { result, err = value, failed })
	return result, err
}

func ExampleMethod() {
	type input struct {
		Name string `json:"name"`
	}
	greet := func(_ context.Context, _ *processor.Context, in input) (string, error) {
		return "Hello, " + in.Name, nil
	}
	service := processor.Service{Mode: "demo", Name: "greeter",
		Methods: map[string]processor.Handler{"greet": processor.Method(greet)}}

	for _, sent := range []string{`{"name": "Ada"}`, `{"name": 5}`, `{"nam": "Ada"}`} {
		result, err := execute(service, schemas.Task{TaskName: "greet", InputData: jsontext.Value(sent)})
		fmt.Println(string(result), err)
	}
	// Output:
	// "Hello, Ada" <nil>
	//  input_data.name must be a string, not a number
	//  input_data.nam is not known; leave it out, or look for a misspelled name
}

func ExampleMiddleware() {
	timed := func(next processor.Handler) processor.Handler {
		return func(ctx context.Context, c *processor.Context) (any, error) {
			started := time.Now()
			result, err := next(ctx, c)
			return result, errors.Join(err, c.Metric("handler_ms", float64(time.Since(started).Milliseconds())))
		}
	}
	service := processor.Service{
		Mode: "demo", Name: "greeter",
		Execute:    func(context.Context, *processor.Context) (any, error) { return "Hello", nil },
		Middleware: []processor.Middleware{timed},
	}
	result, err := execute(service, schemas.Task{TaskName: "greet"})
	fmt.Println(string(result), err)
	// Output:
	// "Hello" <nil>
}

func ExampleStep() {
	book := func(ctx context.Context, c *processor.Context) (any, error) {
		seat, err := processor.Step(ctx, c, "reserve", func(context.Context) (string, error) {
			fmt.Println("reserving")
			return "12A", nil
		})
		if err != nil {
			return nil, err
		}
		return "booked " + seat, nil
	}
	service := processor.Service{Mode: "demo", Name: "flights", Execute: book}

	fmt.Println(execute(service, schemas.Task{TaskName: "book"}))
	// A later attempt finds what this one has left.
	known := map[string]jsontext.Value{"reserve": jsontext.Value(`"12A"`)}
	fmt.Println(execute(service, schemas.Task{TaskName: "book"}, processor.WithCheckpoints(known)))
	// Output:
	// reserving
	// reported checkpoint
	// "booked 12A" <nil>
	// "booked 12A" <nil>
}

func ExampleRetryAfter() {
	tooMany := errors.New("429 Too Many Requests")
	failure := processor.Failure{
		Task: &schemas.Task{}, Failed: 1, Runs: 1, Now: time.Unix(0, 0),
		Err: fmt.Errorf("ask model: %w", processor.RetryAfter(tooMany, 20*time.Second)),
	}
	decision := failure.Decide()
	fmt.Println(decision.Retry, decision.At.Unix(), decision.Why)
	// Output: true 20 attempt 1 of 3 failed
}
