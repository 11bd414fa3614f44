package processor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// A task with the content of another that is unfinished or has completed is not run,
// whichever processor has the shard.
func TestUniqueTasksRunOnce(t *testing.T) {
	w := newWorld(t)
	began, release := make(chan string, 10), make(chan struct{})
	service := handlers(map[string]processor.Handler{"work": func(ctx context.Context, c *processor.Context) (any, error) {
		began <- c.Task().TaskID
		select {
		case <-release:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		return "done", nil
	}})
	const unique = `"unique":{"ttl_ms":3600000}`
	p, stop := w.startProcessor(nil, service)
	w.send(schemas.LaneFast, task("a", "work", unique, `"input_data":{"x":1,"y":2}`))
	<-began
	isDuplicate := func(id string, of string) {
		t.Helper()
		end := w.end(id)
		if end.Status != schemas.Cancelled || end.ErrorCode != schemas.CodeDuplicate || end.DuplicateOf != of ||
			len(w.history(id)) != 1 {
			t.Errorf("%s ends as %s, %s of %q, after %d events", id, end.Status, end.ErrorCode, end.DuplicateOf,
				len(w.history(id)))
		}
	}
	w.send(schemas.LaneFast, task("b", "work", unique, `"input_data":{"y":2,"x":1}`))
	isDuplicate("b", "a")
	w.until("the metrics of the duplicate", func() bool {
		var b strings.Builder
		p.WritePrometheus(&b)
		return strings.Contains(b.String(), `tasklane_unique_claims{lane="fast"} 1`+"\n") &&
			strings.Contains(b.String(), `tasklane_task_duplicates_total{task_name="work"} 1`+"\n")
	})
	close(release)
	if end := w.end("a"); end.Status != schemas.Completed || end.Source.Claim == "" {
		t.Errorf("the first ends as %s with the claim %q", end.Status, end.Source.Claim)
	}
	stop()
	w.start(func(c *processor.Config) { c.WorkerID = "worker-2" }, service)
	w.send(schemas.LaneFast, task("c", "work", unique, `"input_data":{"x":1,"y":2}`))
	isDuplicate("c", "a")
}

// A task that has failed stands in nobody's way as soon as anybody reads that it has:
// its processor need not have read it back.
func TestUniqueTaskRunsAfterAFailureThatWasTold(t *testing.T) {
	w := newWorld(t)
	w.start(nil, handlers(map[string]processor.Handler{"work": func(context.Context, *processor.Context) (any, error) {
		return nil, errors.New("no")
	}}))
	for n := range 50 {
		id := fmt.Sprintf("t-%d", n)
		w.send(schemas.LaneFast, task(id, "work", `"unique":{"ttl_ms":3600000}`))
		if end := w.end(id); end.Status != schemas.Failed || end.Attempt != 1 {
			t.Fatalf("%s ends as %s, %s of %q at attempt %d: it is free to run", id, end.Status, end.ErrorCode, end.DuplicateOf,
				end.Attempt)
		}
	}
}
