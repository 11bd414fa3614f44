package processor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

func TestTotalsAreSummed(t *testing.T) {
	var events []*schemas.Event
	c := contextOf(`{}`, &events)
	for _, u := range []schemas.Usage{
		{Model: "small", InputTokens: 10, CachedTokens: 4, OutputTokens: 2, CostPicodollars: new(int64(500))},
		{Model: "large", InputTokens: 5, OutputTokens: 3, ReasoningTokens: 1, CostPicodollars: new(int64(250))},
		{Model: "small", InputTokens: 1, OutputTokens: math.MaxInt64, CostPicodollars: new(int64(0)), Estimated: true},
	} {
		if err := c.Usage(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []schemas.File{
		{Path: "a.txt", Operation: "read", Bytes: 5}, {Path: "b.txt", Operation: "delete"},
		{Path: "a.txt", Operation: "write", Bytes: 3}, {Path: "a.txt", Operation: "read", Bytes: 7},
	} {
		if err := c.File(f); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]float64{"pages": 3, "cache_hits": 0.5} {
		if err := c.Metric(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Metric("pages", 4); err != nil {
		t.Fatal(err)
	}
	end := &schemas.Event{Metrics: &schemas.Metrics{QueuedMS: 1, RunMS: 2}}
	c.Totals().Fill(end)
	want := &schemas.Event{
		Usage: &schemas.Usage{Model: "small, large", InputTokens: 16, CachedTokens: 4, OutputTokens: math.MaxInt64,
			ReasoningTokens: 1, CostPicodollars: new(int64(750)), Estimated: true},
		Files: []schemas.File{{Path: "a.txt", Operation: "read", Bytes: 12}, {Path: "b.txt", Operation: "delete"},
			{Path: "a.txt", Operation: "write", Bytes: 3}},
		Metrics: &schemas.Metrics{QueuedMS: 1, RunMS: 2, Own: map[string]float64{"pages": 4, "cache_hits": 0.5}},
	}
	if diff := cmp.Diff(want, end); diff != "" {
		t.Errorf("terminal event (-want +got):\n%s", diff)
	}
	if len(events) != 3 || events[1].Kind != schemas.KindUsage || events[1].Usage.Model != "large" {
		t.Errorf("reported %d events", len(events))
	}
	// What is recorded later does not reach into what was taken.
	if err := c.File(schemas.File{Path: "a.txt", Operation: "read", Bytes: 1}); err != nil || end.Files[0].Bytes != 12 {
		t.Errorf("%v, %+v", err, end.Files)
	}
}

// TestUsageCountsEvenIfItIsNotReported: the model was asked all the same.
func TestUsageCountsEvenIfItIsNotReported(t *testing.T) {
	broken := errors.New("journal closed")
	c := processor.NewContext(&schemas.Task{}, "fast", 1, func(context.Context, *schemas.Event) error { return broken })
	if err := c.Usage(t.Context(), schemas.Usage{Model: "small", InputTokens: 7}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if u := c.Totals().Usage; u == nil || u.InputTokens != 7 {
		t.Errorf("total %+v", u)
	}
}

func TestNothingRecordedIsNothingInTheEvent(t *testing.T) {
	end := new(schemas.Event)
	contextOf(`{}`, nil).Totals().Fill(end)
	if diff := cmp.Diff(new(schemas.Event), end); diff != "" {
		t.Error(diff)
	}
}

// TestLargestTerminalEventFits: with everything at its bound, the event still
// goes over the topic.
func TestLargestTerminalEventFits(t *testing.T) {
	c := contextOf(`{}`, nil)
	for i := range 256 {
		path := fmt.Sprintf("%03d", i) + strings.Repeat(`\`, 1021)
		if err := c.File(schemas.File{Path: path, Operation: "delete", Bytes: math.MaxInt64}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 64 {
		if err := c.Metric(fmt.Sprintf("m%02d", i)+strings.Repeat("x", 61), -math.MaxFloat64); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 32 {
		if err := c.Usage(t.Context(), schemas.Usage{Model: fmt.Sprintf("%02d", i) + strings.Repeat(`"`, 98)}); err != nil {
			t.Fatal(err)
		}
	}
	end := &schemas.Event{Result: jsontext.Value(`"` + strings.Repeat("x", 1<<20-2) + `"`),
		Error: strings.Repeat("\x01", 8<<10)}
	c.Totals().Fill(end)
	encoded, err := end.Encode()
	if err != nil || len(encoded) > schemas.MaxEventBytes-64<<10 {
		t.Errorf("%d bytes, %v", len(encoded), err)
	}
	for what, err := range map[string]error{
		"a file more": c.File(schemas.File{Path: "x", Operation: "read"}), "a metric more": c.Metric("more", 1),
		"a model more": c.Usage(t.Context(), schemas.Usage{Model: "more"}),
	} {
		if err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := c.Metric("m00"+strings.Repeat("x", 61), 1); err != nil {
		t.Errorf("a known metric again: %v", err)
	}
}

func TestReportsThatAreRefused(t *testing.T) {
	var events []*schemas.Event
	c := contextOf(`{}`, &events)
	ctx := t.Context()
	long := strings.Repeat("x", 256<<10+1)
	for want, err := range map[string]error{
		"report output: more than":        c.Output(ctx, long),
		"not a JSON array":                c.OutputData(ctx, "x", jsontext.Value(`{}`)),
		"is not a JSON array":             c.OutputData(ctx, "x", jsontext.Value(`[1`)),
		"more than 262144 bytes":          c.OutputData(ctx, "x", jsontext.Value("["+long+"]")),
		"report log: more than":           c.Log(ctx, "info", long),
		`level "loud" is none of`:         c.Log(ctx, "loud", "hello"),
		"NaN is no percentage":            c.Progress(ctx, schemas.Progress{Percent: math.NaN()}),
		"model must be named":             c.Usage(ctx, schemas.Usage{}),
		"tokens and cost must not":        c.Usage(ctx, schemas.Usage{Model: "m", InputTokens: -1}),
		"report usage: tokens and cost":   c.Usage(ctx, schemas.Usage{Model: "m", CostPicodollars: new(int64(-1))}),
		`operation "move" is none of`:     c.File(schemas.File{Path: "a", Operation: "move"}),
		"the path must have":              c.File(schemas.File{Path: "a\x00", Operation: "read"}),
		"record file: the path":           c.File(schemas.File{Path: strings.Repeat("a", 1025), Operation: "read"}),
		"record file a: -1 bytes":         c.File(schemas.File{Path: "a", Operation: "read", Bytes: -1}),
		`record metric "Pages": the name`: c.Metric("Pages", 1),
		`record metric "": the name`:      c.Metric("", 1),
		"measures that itself":            c.Metric("run_ms", 1),
		"record metric pages: +Inf":       c.Metric("pages", math.Inf(1)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if totals := c.Totals(); len(events) > 0 || totals.Usage != nil || totals.Files != nil || totals.Metrics != nil {
		t.Errorf("%d events and %+v of what was refused", len(events), totals)
	}
	if err := c.Output(ctx, "a\xffb"); err != nil || events[0].Output.Text != "a\uFFFDb" || events[0].Output.Index != 0 {
		t.Errorf("%v, %+v: a refused piece must not take a number", err, events[0].Output)
	}
}

func TestLoggerSaysWhoseLineItIs(t *testing.T) {
	var out bytes.Buffer
	base := slog.New(slog.NewTextHandler(&out, nil))
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	c := contextOf(`{}`, nil, processor.WithLogger(base), processor.WithTraceparent(trace))
	c.Logger().Info("halfway")
	for _, want := range []string{"task_id=t ", "user_id=ada", "service=shop/orders", "attempt=1",
		"trace_id=4bf92f3577b34da6a3ce929d0e0e4736", "msg=halfway"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s has no %s", out.String(), want)
		}
	}
	if once, again := c.Logger(), c.Logger(); c.Traceparent() != trace || once != again {
		t.Error("the trace or the logger is lost")
	}
	contextOf(`{}`, nil).Logger().Info("to nobody")
}

func TestHeartbeat(t *testing.T) {
	beats := 0
	var events []*schemas.Event
	c := contextOf(`{}`, &events, processor.WithHeartbeat(func() { beats++ }))
	c.Heartbeat()
	c.Heartbeat()
	contextOf(`{}`, nil).Heartbeat()
	if beats != 2 || len(events) > 0 {
		t.Errorf("%d beats, %d events", beats, len(events))
	}
}

func TestContextIsSafeForConcurrentUse(t *testing.T) {
	var mu sync.Mutex
	seen := map[int64]bool{}
	c := processor.NewContext(&schemas.Task{}, "fast", 1, func(_ context.Context, e *schemas.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if e.Output != nil {
			seen[e.Output.Index] = true
		}
		return nil
	})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			ctx := t.Context()
			_, stepErr := processor.Step(ctx, c, fmt.Sprint("step ", i), func(context.Context) (int, error) { return i, nil })
			err := errors.Join(stepErr, c.Output(ctx, "x"), c.Usage(ctx, schemas.Usage{Model: "m", InputTokens: 1}),
				c.File(schemas.File{Path: "a", Operation: "write", Bytes: 1}), c.Metric("n", float64(i)))
			c.Logger().Info("x")
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if totals := c.Totals(); len(seen) != 8 || totals.Usage.InputTokens != 8 || totals.Files[0].Bytes != 8 {
		t.Errorf("%v, %+v", seen, totals)
	}
}

// TestInputAsItWasSent: a handler may ask for the JSON itself, and what it changes there is its own.
func TestInputAsItWasSent(t *testing.T) {
	const sent = `{ "b": 1, "a": [null] }`
	task := &schemas.Task{TaskID: "t", UserID: "u", InputData: jsontext.Value(sent)}
	c := processor.NewContext(task, "fast", 1, nil)
	var input jsontext.Value
	if err := c.Input(&input); err != nil || string(input) != sent {
		t.Fatalf("%s, %v", input, err)
	}
	input[0] = '['
	if string(task.InputData) != sent {
		t.Error("the handler has changed the task")
	}
	options := jsontext.Value(`{}`)
	if err := c.Options(&options); err != nil || string(options) != `{}` {
		t.Errorf("nothing was sent: %s, %v", options, err)
	}
}
