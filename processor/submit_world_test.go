package processor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// submitting is a service whose task "parent" submits three tasks and fails at its first attempt, once those have ended
// or while they wait.
type submitting struct {
	executions
	ended chan struct{} // closed when its children may have ended

	mu  sync.Mutex
	ids [][]string // by attempt
}

func (x *submitting) service(parent processor.Handler) processor.Service {
	s := x.executions.service()
	s.Methods["parent"] = parent
	return s
}

func (x *submitting) submit(ctx context.Context, c *processor.Context) (any, error) {
	var ids []string
	for n := range 2 {
		id, err := c.Submit(ctx, "", &schemas.Task{TaskName: "count", InputData: jsontext.Value(fmt.Sprint(`{"n":`, n, `}`))})
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	id, err := c.SubmitJSON(ctx, jsontext.Value(`{"task_name":"count","lane":"heavy","input_data":{"b":1,"a":2}}`))
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	x.ids = append(x.ids, append(ids, id))
	x.mu.Unlock()
	if c.Attempt() > 1 {
		return nil, nil
	}
	select {
	case <-x.ended:
	case <-ctx.Done():
	}
	return nil, processor.Retryable(errors.New("once more"))
}

// TestAnotherAttemptSubmitsTheSameTasks: whether the tasks of the first attempt have ended when the second submits them
// again or not, there is one of each, which runs once.
func TestAnotherAttemptSubmitsTheSameTasks(t *testing.T) {
	for name, after := range map[string]bool{"that wait": false, "that have ended": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			x := &submitting{executions: executions{count: map[string]int{}}, ended: make(chan struct{})}
			slots := 4
			if !after {
				slots = 1 // of fast: the parent has it
				close(x.ended)
			}
			w.start(func(c *processor.Config) {
				c.Lanes = []processor.Lane{{Name: schemas.LaneFast, Slots: slots}, {Name: schemas.LaneHeavy, Slots: 1}}
			}, x.service(x.submit))
			w.send(schemas.LaneFast, task("parent", "parent", `"retry":{"backoff_ms":0}`))
			children := []string{"parent~1", "parent~2", "parent~3"}
			if after {
				for _, id := range children {
					w.end(id)
				}
				close(x.ended)
			}
			if end := w.end("parent"); end.Status != schemas.Completed || end.Attempt != 2 {
				t.Errorf("the parent ended %s at attempt %d: %s", end.Status, end.Attempt, end.Error)
			}
			for n, id := range children {
				end := w.end(id)
				if lane := []string{"fast", "fast", "heavy"}[n]; end.Status != schemas.Completed || end.Lane != lane {
					t.Errorf("%s ended %s on %s: %s", id, end.Status, end.Lane, end.Error)
				}
			}
			w.sameRecords(children)
			for attempt, ids := range x.ids {
				if !slices.Equal(ids, children) {
					t.Errorf("attempt %d submitted %v", attempt+1, ids)
				}
			}
			if len(x.ids) != 2 || len(x.count) != 3 || x.twice() > 0 {
				t.Errorf("%d attempts submitted; of the tasks ran %v", len(x.ids), x.count)
			}
		})
	}
}

// sameRecords checks that each task stands twice on the lanes, with the same content, key and partition, and that no
// shard has anything to do any more: what is repeated has been passed over.
func (w *world) sameRecords(ids []string) {
	w.t.Helper()
	reader := kafkatest.Client(w.t, w.brokers, kgo.ConsumeTopics(w.topics.Lane("fast"), w.topics.Lane("heavy")),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	found := map[string][]string{}
	ctx, cancel := context.WithTimeout(w.t.Context(), deadline)
	defer cancel()
	for seen := 0; seen < 2*len(ids)+1 && ctx.Err() == nil; {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			seen++
			task, err := schemas.DecodeTask(r.Value)
			if err != nil {
				w.t.Error(err)
				return
			}
			found[task.TaskID] = append(found[task.TaskID], fmt.Sprint(r.Partition, string(r.Key), string(r.Value)))
		})
	}
	for _, id := range ids {
		if all := found[id]; len(all) != 2 || all[0] != all[1] {
			w.t.Errorf("the records of %s are %v", id, all)
		}
	}
}

// TestWhatATaskMayNotSubmit is refused before it is on a lane, and does not end the task.
func TestWhatATaskMayNotSubmit(t *testing.T) {
	w := newWorld(t)
	refused := map[string]string{
		`[]`:                                    "no JSON object",
		`{"task_name":"count","n":1}`:           `no member "n"`,
		`{"task_name":""}`:                      "task_name",
		`{"task_name":"count","user_id":"bob"}`: "user_id must be that of the running task",
		`{"task_name":"count","lane":7}`:        "lane must be a text",
		`{"task_name":"count","lane":"../x"}`:   "lane",
		`{"task_name":"count","lane":"none"}`:   "there is no topic",
	}
	said := map[string]string{}
	tries := func(ctx context.Context, c *processor.Context) (any, error) {
		for task := range refused {
			if id, err := c.SubmitJSON(ctx, jsontext.Value(task)); err != nil {
				said[task] = err.Error()
			} else {
				said[task] = "submitted as " + id
			}
		}
		return nil, nil
	}
	w.start(nil, handlers(map[string]processor.Handler{"tries": tries}))
	w.send(schemas.LaneFast, task("t", "tries"))
	if end := w.end("t"); end.Status != schemas.Completed {
		t.Errorf("it ended %s: %s", end.Status, end.Error)
	}
	for task, want := range refused {
		if !strings.Contains(said[task], want) {
			t.Errorf("%s: %q, want %q", task, said[task], want)
		}
	}
}

// TestAServiceSaysHowManyRun: with one at once, as the service says, tasks run one after the other though there are
// more slots, and without a bound all at once.
func TestAServiceSaysHowManyRun(t *testing.T) {
	w := newWorld(t)
	cluster := make(chan processor.Cluster, 1)
	work := newLongWork()
	s := work.service()
	s.Background = func(ctx context.Context, at processor.Cluster) error {
		at.SetMaxRunning(1)
		cluster <- at
		<-ctx.Done()
		return nil
	}
	w.start(nil, s, processor.Service{Mode: "debug", Name: "other", Execute: double})
	at := <-cluster
	for n := range 3 {
		w.send(schemas.LaneFast, task(fmt.Sprint("t", n), "hold"))
	}
	w.until("one to run", func() bool { return work.runs() == 1 })
	// This comes after them in their partition.
	w.send(schemas.LaneFast,
		[]byte(`{"task_id":"other","user_id":"user-1","task_name":"n","mode":"debug","service":"other"}`))
	w.end("other")
	if n := work.runs(); n != 1 {
		t.Errorf("%d run at once", n)
	}
	at.SetMaxRunning(0)
	w.until("all to run", func() bool { return work.runs() == 3 })
	close(work.release)
	for n := range 3 {
		w.end(fmt.Sprint("t", n))
	}
}

// TestAServiceLearnsWhatItHas: what a service describes while it runs is published, its input is checked, and its
// tasks' limits and attempts hold, for tasks that say nothing else.
func TestAServiceLearnsWhatItHas(t *testing.T) {
	w := newWorld(t)
	ready := make(chan error, 1)
	s := processor.Service{Mode: "debug", Name: "test"}
	s.Execute = func(ctx context.Context, c *processor.Context) (any, error) {
		switch c.Task().TaskName {
		case "asks":
			return nil, nil
		case "busy":
			return nil, processor.Retryable(errors.New("busy"))
		}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	s.Background = func(ctx context.Context, at processor.Cluster) error {
		wrong := at.Describe(processor.Description{Schemas: map[string]processor.TaskSchema{
			"asks": {Input: jsontext.Value(`{"type":"nonsense"}`)}}})
		if wrong == nil || !strings.Contains(wrong.Error(), `the input of its task "asks"`) {
			wrong = fmt.Errorf("a schema that is none: %w", wrong)
		} else {
			wrong = at.Describe(processor.Description{Version: "v7", Schemas: map[string]processor.TaskSchema{
				"asks": {Input: jsontext.Value(`{"type":"object","required":["x"]}`), Description: "Asks."},
				"slow": {SoftTimeLimit: 20 * time.Millisecond, TimeLimit: deadline}, "busy": {MaxAttempts: 2},
			}})
		}
		ready <- wrong
		<-ctx.Done()
		return nil
	}
	w.start(nil, s)
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	w.send(schemas.LaneFast, task("wrong", "asks"), task("right", "asks", `"input_data":{"x":1}`), task("slow", "slow"),
		task("busy", "busy", `"retry":{"backoff_ms":0}`))
	for id, want := range map[string]struct {
		status schemas.Status
		code   schemas.ErrorCode
	}{"wrong": {schemas.Failed, schemas.CodeInvalidTask}, "right": {schemas.Completed, ""},
		"slow": {schemas.TimedOut, schemas.CodeSoftTimeLimit}, "busy": {schemas.Failed, schemas.CodeServiceError}} {
		if end := w.end(id); end.Status != want.status || end.ErrorCode != want.code {
			t.Errorf("%s ended %s %s: %s", id, end.Status, end.ErrorCode, end.Error)
		}
	}
	if end := w.end("busy"); end.Attempt != 2 {
		t.Errorf("the busy one ended at attempt %d", end.Attempt)
	}
	reader := kafkatest.Client(t, w.brokers, kgo.ConsumeTopics(w.topics.Definitions()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for published := ""; !strings.Contains(published, `"v7"`) || !strings.Contains(published, `"Asks."`); {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) { published = string(r.Value) })
		if ctx.Err() != nil {
			t.Fatalf("published was last %s", published)
		}
	}
}
