package processor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// handlers is the service debug/test with the given methods.
func handlers(methods map[string]processor.Handler) processor.Service {
	return processor.Service{Mode: "debug", Name: "test", Methods: methods}
}

func double(_ context.Context, c *processor.Context) (any, error) {
	var input struct{ N int }
	if err := c.Input(&input); err != nil {
		return nil, err
	}
	return map[string]int{"twice": 2 * input.N}, nil
}

func TestTaskRunsFromLaneToTerminalEvent(t *testing.T) {
	w := newWorld(t)
	w.start(nil, handlers(map[string]processor.Handler{"double": double}))
	w.send(schemas.LaneFast, task("t1", "double", `"input_data":{"N":21}`, `"step":3`))
	end := w.end("t1")
	if end.Status != schemas.Completed || string(end.Result) != `{"twice":42}` || end.Step != 3 {
		t.Errorf("ended %s with %s at step %d", end.Status, end.Result, end.Step)
	}
	if end.Message != "Completed task: double" || end.Worker != "worker-1" || end.Lane != "fast" || end.Attempt != 1 {
		t.Errorf("event %+v", end)
	}
	first := w.history("t1")[0]
	if first.Status != schemas.Running || first.Message != "Executing task: double" || first.Source == nil {
		t.Errorf("first event %+v", first)
	}
}

func TestEveryKindOfEndHasItsStatusAndCode(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	defer close(release)
	w.start(nil, handlers(map[string]processor.Handler{
		"fails":  func(context.Context, *processor.Context) (any, error) { return nil, errors.New("no such page") },
		"panics": func(context.Context, *processor.Context) (any, error) { panic("out of range") },
		"leaves": func(context.Context, *processor.Context) (any, error) { runtime.Goexit(); return nil, nil },
		"waits": func(ctx context.Context, _ *processor.Context) (any, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		},
		"ignores":    func(context.Context, *processor.Context) (any, error) { <-release; return nil, nil },
		"unwritable": func(context.Context, *processor.Context) (any, error) { return func() {}, nil },
		"huge":       func(context.Context, *processor.Context) (any, error) { return strings.Repeat("x", 2<<20), nil },
		"echo":       func(_ context.Context, c *processor.Context) (any, error) { return c.Task().InputData, nil },
	}))
	tests := []struct {
		name, extra string
		status      schemas.Status
		code        schemas.ErrorCode
		text        string
	}{
		{"fails", "", schemas.Failed, schemas.CodeServiceError, "no such page"},
		{"panics", "", schemas.Failed, schemas.CodePanic, "out of range"},
		{"leaves", "", schemas.Failed, schemas.CodePanic, "ended its goroutine"},
		{"waits", `"soft_time_limit_ms":270,"time_limit_ms":20000`, schemas.TimedOut, schemas.CodeSoftTimeLimit,
			"soft time limit of 270ms"},
		{"ignores", `"time_limit_ms":300`, schemas.TimedOut, schemas.CodeTimeLimit, "time limit of 300ms"},
		{"unwritable", "", schemas.Failed, schemas.CodeServiceError, "as JSON"},
		{"huge", "", schemas.Failed, schemas.CodeServiceError, "at most 1048576"},
		{"unknown", "", schemas.Failed, schemas.CodeUnknownService, "it has echo"},
		{"echo", `"expires_at":"2020-01-01T00:00:00Z"`, schemas.Cancelled, schemas.CodeExpired, "expires_at"},
		{"echo", `"depends_on":["t0"]`, schemas.Failed, schemas.CodeInvalidTask, "depends_on is not supported"},
		{"echo", `"priority":77`, schemas.Failed, schemas.CodeInvalidTask, "priority must be between 0 and 10"},
		{"echo", `"step":"x"`, schemas.Failed, schemas.CodeInvalidTask, "step must be a whole number"},
		{"echo", `"input_data":{"a":1}`, schemas.Completed, "", ""},
	}
	for i, test := range tests {
		members := []string{`"labels":{}`}
		if test.extra != "" {
			members = append(members, test.extra)
		}
		w.send(schemas.LaneFast, task(fmt.Sprint("t", i), test.name, members...))
	}
	for i, test := range tests {
		end := w.end(fmt.Sprint("t", i))
		if end.Status != test.status || end.ErrorCode != test.code || !strings.Contains(end.Error, test.text) {
			t.Errorf("%s %s: %s %s %q; want %s %s %q", test.name, test.extra, end.Status, end.ErrorCode, end.Error, test.status,
				test.code, test.text)
		}
	}
}

func TestRecordWithoutIDsGoesToTheDeadLettersOnly(t *testing.T) {
	w := newWorld(t)
	w.start(nil, handlers(map[string]processor.Handler{"double": double}))
	w.send(schemas.LaneFast, []byte("not json"), []byte(`{"task_id":"only"}`), nil, task("after", "double"))
	w.end("after")
	w.until("three dead letters", func() bool { return len(w.letters) == 3 })
	for _, letter := range w.letters {
		headers := map[string]string{}
		for _, h := range letter.Headers {
			headers[h.Key] = string(h.Value)
		}
		if headers[schemas.HeaderReason] != "invalid_task" || headers[schemas.HeaderError] == "" ||
			headers[schemas.HeaderTopic] != w.topics.Lane("fast") {
			t.Errorf("letter %q has headers %v", letter.Value, headers)
		}
	}
}

func TestRepeatedTaskIsRecordedNotRun(t *testing.T) {
	w := newWorld(t)
	ran := make(chan struct{}, 10)
	service := handlers(map[string]processor.Handler{"count": func(context.Context, *processor.Context) (any, error) {
		ran <- struct{}{}
		return nil, nil
	}})
	stop := w.start(nil, service)
	once := task("twice", "count")
	w.send(schemas.LaneFast, once)
	w.end("twice")
	w.sendKeyed("key-0", once)
	w.sendKeyed("key-0", task("next", "count"))
	w.end("next")
	stop()
	// The window survives the owner.
	w.start(func(c *processor.Config) { c.WorkerID = "worker-2" }, service)
	w.sendKeyed("key-0", once)
	w.sendKeyed("key-0", task("last", "count"))
	w.end("last")
	if len(ran) != 3 {
		t.Errorf("ran %d times, want twice, next and last once each", len(ran))
	}
}

func TestReportsReachTheUserInOrder(t *testing.T) {
	w := newWorld(t)
	w.start(nil, handlers(map[string]processor.Handler{"stream": func(ctx context.Context, c *processor.Context) (any,
		error) {
		for i := range 500 {
			if err := c.Output(ctx, fmt.Sprint(i)); err != nil {
				return nil, err
			}
		}
		return nil, c.Progress(ctx, schemas.Progress{Percent: 100})
	}}))
	w.send(schemas.LaneFast, task("s", "stream"))
	w.end("s")
	all := w.history("s")
	if len(all) != 503 {
		t.Fatalf("%d events, want running, 500 pieces, progress and the end", len(all))
	}
	for i, e := range all[1:501] {
		if e.Output == nil || e.Output.Text != fmt.Sprint(i) || e.Output.Index != int64(i) {
			t.Fatalf("piece %d is %+v", i, e.Output)
		}
	}
}

func TestStoppedProcessorHandsItsWorkOver(t *testing.T) {
	w := newWorld(t)
	began := make(chan int, 10)
	var starts atomic.Int32
	service := handlers(map[string]processor.Handler{"long": func(ctx context.Context, c *processor.Context) (any, error) {
		began <- c.Attempt()
		if starts.Add(1) == 1 {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		return "done", nil
	}})
	quick := func(c *processor.Config) { c.DrainTimeout = 50 * time.Millisecond }
	stop := w.start(quick, service)
	w.send(schemas.LaneFast, task("l", "long"))
	<-began
	stop()
	w.start(func(c *processor.Config) { c.WorkerID = "worker-2" }, service)
	end := w.end("l")
	if end.Status != schemas.Completed || end.Attempt != 1 { // a hand-over does not count
		t.Errorf("ended %s at attempt %d, error %s", end.Status, end.Attempt, end.Error)
	}
	if handed := w.history("l")[1]; handed.Status != schemas.Pending {
		t.Errorf("second event is %s, want the hand-over", handed.Status)
	}
}

func TestThousandsOfTasksEndOnce(t *testing.T) {
	w := newWorld(t)
	w.start(func(c *processor.Config) { c.Lanes[0].Slots = 500 }, handlers(map[string]processor.Handler{"double": double}))
	const count = 5000
	values := make([][]byte, count)
	for i := range values {
		values[i] = task(fmt.Sprint("n", i), "double")
	}
	w.send(schemas.LaneFast, values...)
	w.until("all ends", func() bool {
		ends := 0
		for _, e := range w.events {
			if e.Terminal() {
				ends++
			}
		}
		return ends >= count
	})
	seen := map[string]int{}
	for _, e := range w.events {
		if e.Terminal() {
			seen[e.TaskID]++
		}
	}
	if len(seen) != count || w.dropped > 0 {
		t.Errorf("%d tasks ended, %d events did not count", len(seen), w.dropped)
	}
}
