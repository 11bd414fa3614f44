package processor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// A dead letter tells of every attempt, also of those before a wait in the waiting
// log and by a processor that is gone.
func TestLetterTellsOfEveryAttempt(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	service := handlers(map[string]processor.Handler{"never": func(_ context.Context, c *processor.Context) (any, error) {
		n := ran.start(c.Task().TaskID)
		if n == 1 {
			return nil, processor.RetryAfter(fmt.Errorf("busy (%d)", n), 3*time.Second) // while nobody runs
		}
		return nil, processor.Retryable(fmt.Errorf("busy (%d)", n))
	}})
	stop := w.start(short(time.Nanosecond, t), service)
	w.send(schemas.LaneFast, task("h", "never", `"retry":{"max_attempts":3,"backoff_ms":1}`))
	w.until("the first retry", func() bool {
		return slices.ContainsFunc(w.history("h"), func(e *schemas.Event) bool { return e.Deferred })
	})
	stop()
	w.start(func(c *processor.Config) { c.WorkerID, c.ShortWait = "worker-2", time.Minute }, service)
	if end := w.end("h"); end.Status != schemas.Failed {
		t.Fatalf("ended %s", end.Status)
	}
	w.until("the letter", func() bool { return len(w.letters) == 1 })
	var said struct {
		Attempts int `json:"attempts"`
		Failed   int `json:"failed"`
		History  []struct {
			Attempt int       `json:"attempt"`
			Worker  string    `json:"worker"`
			End     string    `json:"end"`
			Error   string    `json:"error"`
			Started time.Time `json:"started"`
			Ended   time.Time `json:"ended"`
		} `json:"history"`
	}
	if err := json.Unmarshal(headerOf(w.letters[0], schemas.HeaderHistory), &said); err != nil {
		t.Fatal(err)
	}
	if said.Attempts != 3 || said.Failed != 3 || len(said.History) != 3 {
		t.Fatalf("%+v", said)
	}
	first, workers := said.History[0].Worker, []string{"worker-1", "worker-2"}
	for n, e := range said.History {
		want := fmt.Sprintf("busy (%d)", n+1)
		if e.Attempt != n+1 || e.End != "failed" || !strings.HasPrefix(e.Error, want) || e.Started.IsZero() ||
			e.Ended.Before(e.Started) || !slices.Contains(workers, e.Worker) {
			t.Errorf("attempt %d is told as %+v", n+1, e)
		}
	}
	if first != "worker-1" {
		t.Errorf("the first ran at %q", first)
	}
}

func headerOf(r *kgo.Record, key string) []byte {
	for _, h := range r.Headers {
		if h.Key == key {
			return h.Value
		}
	}
	return nil
}
