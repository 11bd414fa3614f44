package processor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

type page struct {
	Title string `json:"title"`
	Size  int    `json:"size"`
	note  string
}

func TestStepRunsOnce(t *testing.T) {
	var events []*schemas.Event
	runs := 0
	fetch := func(context.Context) (page, error) {
		runs++
		return page{"Tea", 3, "not for JSON"}, nil
	}
	got, err := processor.Step(t.Context(), contextOf(`{}`, &events), "fetch", fetch)
	if err != nil || got != (page{"Tea", 3, ""}) || runs != 1 {
		t.Fatalf("got %+v, %v after %d runs", got, err, runs)
	}
	if len(events) != 1 || events[0].Kind != schemas.KindCheckpoint || events[0].Checkpoint.Name != "fetch" ||
		string(events[0].Checkpoint.Result) != `{"title":"Tea","size":3}` {
		t.Fatalf("reported %+v", events)
	}
	// The next attempt.
	known := map[string]jsontext.Value{"fetch": events[0].Checkpoint.Result}
	next := contextOf(`{}`, &events, processor.WithCheckpoints(known))
	if again, err := processor.Step(t.Context(), next, "fetch", fetch); err != nil || again != got || runs != 1 ||
		len(events) != 1 {
		t.Errorf("got %+v, %v after %d runs and %d events", again, err, runs, len(events))
	}
	if other, err := processor.Step(t.Context(), next, "other", fetch); err != nil || other != got || runs != 2 {
		t.Errorf("got %+v, %v after %d runs", other, err, runs)
	}
}

func TestStepThatFailsIsNotRemembered(t *testing.T) {
	var events []*schemas.Event
	c := contextOf(`{}`, &events)
	_, err := processor.Step(t.Context(), c, "fetch",
		func(context.Context) (page, error) { return page{}, processor.Retryable(errBroken) })
	var retryable *processor.RetryableError
	if !errors.As(err, &retryable) || !errors.Is(err, errBroken) || len(events) > 0 {
		t.Errorf("got %v and %d events", err, len(events))
	}
}

func TestStepIsNotDoneIfItCannotBeReported(t *testing.T) {
	c := processor.NewContext(&schemas.Task{}, "fast", 1, func(context.Context, *schemas.Event) error { return errBroken })
	if got, err := processor.Step(t.Context(), c, "fetch",
		func(context.Context) (int, error) { return 7, nil }); !errors.Is(err, errBroken) || got != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestStepDoesNotStartAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(processor.ErrTimeLimit)
	_, err := processor.Step(ctx, contextOf(`{}`, nil), "fetch", func(context.Context) (int, error) {
		t.Error("the step ran")
		return 0, nil
	})
	if !errors.Is(err, processor.ErrTimeLimit) {
		t.Errorf("got %v", err)
	}
}

// TestStepsThatAreRefused: the function runs only where its result could be
// remembered, as far as that is known before.
func TestStepsThatAreRefused(t *testing.T) {
	many := map[string]jsontext.Value{}
	for i := range 64 {
		many[fmt.Sprint(i)] = jsontext.Value("1")
	}
	half := map[string]jsontext.Value{"half": jsontext.Value(`"` + strings.Repeat("x", 200<<10) + `"`)}
	type result = any
	for want, c := range map[string]struct {
		known  map[string]jsontext.Value
		name   string
		result result
		runs   bool
	}{
		"has no usable name":             {nil, "", 1, false},
		`"a\nb" has no usable name`:      {nil, "a\nb", 1, false},
		"1 to 100 bytes":                 {nil, strings.Repeat("a", 101), 1, false},
		"one more than the 64":           {many, "more", 1, false},
		"cannot be written as JSON":      {nil, "f", func() {}, true},
		"at most 262144 are remembered":  {half, "more", strings.Repeat("x", 60<<10), true},
		"has a result of 262145 bytes":   {nil, "large", strings.Repeat("x", 256<<10-1), true},
		"does not fit its type any more": {map[string]jsontext.Value{"f": jsontext.Value(`{`)}, "f", 1, false},
		`"twice" stands for two steps`:   {nil, "twice", 1, false},
	} {
		task := contextOf(`{}`, nil, processor.WithCheckpoints(c.known))
		if c.name == "twice" {
			if _, err := processor.Step(t.Context(), task, "twice",
				func(context.Context) (int, error) { return 1, nil }); err != nil {
				t.Fatal(err)
			}
		}
		ran := false
		_, err := processor.Step(t.Context(), task, c.name, func(context.Context) (result, error) {
			ran = true
			return c.result, nil
		})
		var wrong *processor.StepError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) || ran != c.runs {
			t.Errorf("%v, want %q; it ran: %v", err, want, ran)
		}
	}
	// A remembered step needs no room.
	if got, err := processor.Step(t.Context(), contextOf(`{}`, nil, processor.WithCheckpoints(many)), "5",
		func(context.Context) (int, error) { return 0, errBroken }); err != nil || got != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}
