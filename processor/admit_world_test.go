package processor_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// door is a service's Admit that keeps tasks out for as long as it is told.
type door struct {
	mu               sync.Mutex
	shut             map[string]time.Duration // by task, for the first time that it asks
	asked            map[string]int
	granted, givenUp int
}

func (d *door) admit(t *schemas.Task) (processor.Grant, *processor.Wait) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[t.TaskID]++
	if wait := d.shut[t.TaskID]; wait > 0 && d.asked[t.TaskID] == 1 {
		return nil, &processor.Wait{For: schemas.WaitLimit, Until: time.Now().Add(wait), Name: "limit/test",
			Reason: "it is full"}
	}
	d.granted++
	return d, nil
}

func (d *door) Release() {
	d.mu.Lock()
	d.givenUp++
	d.mu.Unlock()
}

// TestAdmit: what a service does not let in waits without a slot, keeps its attempts and says what it waits for; others
// of the lane pass; and every grant is given back once, whatever becomes of the attempt.
func TestAdmit(t *testing.T) {
	w := newWorld(t)
	d := &door{asked: map[string]int{}, shut: map[string]time.Duration{
		"short": 300 * time.Millisecond, "long": 2 * time.Second, "longer": 6 * time.Second,
	}}
	service := handlers(map[string]processor.Handler{
		"work": func(_ context.Context, c *processor.Context) (any, error) { return c.Grant() != nil, nil },
		"fail": func(context.Context, *processor.Context) (any, error) {
			return nil, processor.Retryable(fmt.Errorf("not yet"))
		},
		"full": func(_ context.Context, c *processor.Context) (any, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.asked[c.Task().TaskID] == 1 {
				return nil, &processor.SnoozeError{Until: time.Now().Add(50 * time.Millisecond), Waits: &processor.Wait{
					For: schemas.WaitLimit, Name: "limit/asked", Reason: "429"}}
			}
			return "done", nil
		},
	})
	service.Admit = d.admit
	w.start(func(c *processor.Config) { c.Lanes[0].Slots = 1 }, service)
	started := time.Now() // "longer" is asked for the first time after this
	for _, id := range []string{"short", "long", "longer", "free"} {
		w.send(schemas.LaneFast, task(id, "work"))
	}
	w.send(schemas.LaneFast, task("fails", "fail", `"retry":{"backoff_ms":1,"max_attempts":2}`))
	w.send(schemas.LaneFast, task("full", "full"))
	for _, id := range []string{"short", "long", "longer", "free", "full"} {
		if end := w.end(id); end.Status != schemas.Completed || end.Attempt != 1 || string(end.Result) == "false" {
			t.Errorf("%s ended %s in attempt %d with %s: %s", id, end.Status, end.Attempt, end.Result, end.Error)
		}
	}
	if took := time.Since(started); took < 5*time.Second {
		t.Errorf("let in after %v", took)
	}
	w.end("fails")
	for id, name := range map[string]string{
		"long": "limit/test", "longer": "limit/test", "full": "limit/asked", "short": "", "free": "",
	} {
		told := slices.IndexFunc(w.history(id), func(e *schemas.Event) bool { return e.Waiting != nil })
		switch {
		case name == "" && told >= 0:
			t.Errorf("%s was told to wait", id)
		case name != "" && told < 0:
			t.Errorf("%s was not told what it waits for", id)
		case name != "":
			if e := w.history(id)[told]; e.Waiting.For != schemas.WaitLimit || e.Waiting.Name != name ||
				e.Waiting.Until == nil || e.Status != schemas.Pending {
				t.Errorf("%s was told %+v", id, e.Waiting)
			}
		}
	}
	w.until("every grant is given back", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.granted == 8 && d.givenUp == 8 // 4 that work, 2 attempts of each of the others
	})
}
