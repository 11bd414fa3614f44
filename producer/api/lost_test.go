package api_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// TestLostTask: what an operator skipped is not pending for ever. Everything that
// asks for it is told so, and its id is free.
func TestLostTask(t *testing.T) {
	w := newWorld(t)
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	answer := make(chan reply, 1)
	go func() { answer <- w.Get("/v1/tasks/t1/result?wait=20s") }()
	at := w.Get("/v1/tasks/t1").Expect(t, 200, `"pending"`).Body
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{
		Topic: w.Config.Topics.Lane("fast"), Partition: int32(at["partition"].(float64)),
		At: int64(at["offset"].(float64)) + 1, LeaderEpoch: -1,
	})
	must(t, kadm.NewClient(w.Kafka).CommitAllOffsets(bounded(t), w.Config.Topics.ProcessorGroup("fast"), offsets))

	(<-answer).Expect(t, 410, `"task_status":"lost"`, "skipped its record in "+w.Config.Topics.Lane("fast"),
		"submit it again")
	w.Get("/v1/tasks/t1").Expect(t, 200, `"status":"lost"`, `"error":"the commit of group`)
	w.Get("/v1/tasks/t1/result").Expect(t, 410, `"task_id":"t1"`)
	w.Get("/v1/tasks/t1/events").Expect(t, 200, `"events":[]`)
	w.Get("/v1/tasks?status=lost").Expect(t, 200, `"task_id":"t1"`)
	w.Get("/v1/tasks?status=pending").Expect(t, 200, `"tasks":[]`)
	w.Do("POST", "/v1/tasks/t1/cancel", `{"user_id":"ada"}`).Expect(t, 410, "nothing to cancel", `"task_status":"lost"`)
	for !strings.Contains(string(w.Get("/metrics").Raw), `tasklane_view_lost_tasks_total 1`) {
		must(t, bounded(t).Err())
	}

	w.Post(task(`"task_id":"t1","step":2`)).Expect(t, 202, `"pending"`)
	for !strings.Contains(string(w.Get("/v1/tasks/t1").Raw), `"status":"pending"`) {
		if !pace.Sleep(bounded(t), 1e7) {
			t.Fatal("it stays lost")
		}
	}
	w.Event("t1", schemas.Completed, `{"ok":1}`)
	w.Get("/v1/tasks/t1/result?wait=10s").Expect(t, 200, `"ok":1`)
	if got := w.Get("/v1/tasks/t1").Expect(t, 200, `"status":"completed"`); got.Text("error") != "" {
		t.Errorf("after it ran: %s", got.Raw)
	}
	if got := len(w.Records("fast")); got != 2 {
		t.Errorf("%d records on the lane", got)
	}
}
