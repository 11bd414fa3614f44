package taskview

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

const damageTasks = 60

// TestDamageIsMendedWhileItRuns: what a look-up meets is rebuilt, once, and then
// answered right.
func TestDamageIsMendedWhileItRuns(t *testing.T) {
	for name, statement := range map[string]string{
		"a row":     "UPDATE tasks SET message = message || 'x'",
		"a payload": "UPDATE records SET data = data || 'x'",
		"an event":  "UPDATE events SET data = data || 'x'",
		"a status":  "UPDATE tasks SET status = 'cancelled'",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			dir := t.TempDir()
			v, stop := b.start(b.config(dir))
			b.task("fast", 0, taskJSON("ada", "t1"))
			b.event("fast", 0, completed("ada", "t1", `{"n":1}`))
			b.wait(v, "ada", "t1")
			must(t, v.CatchUp(bounded(t)))
			before := b.get(v, "ada", "t1")
			stop()
			execute(t, dir, statement)
			v, _ = b.start(b.config(dir))
			ctx := bounded(t)
			for {
				task, err := v.Get(ctx, schemas.TaskKey{UserID: "ada", TaskID: "t1"})
				h, eventsErr := v.Events(ctx, schemas.TaskKey{UserID: "ada", TaskID: "t1"}, "", 0)
				if err == nil && eventsErr == nil && len(h.Events) == 1 && cmp.Equal(before, task, cmpopts.EquateEmpty()) {
					break
				}
				if err == nil && task.Status != schemas.Completed && task.Status != schemas.Pending {
					t.Fatalf("wrong answer: %+v", task)
				}
				if !pace.Sleep(ctx, 5e6) {
					t.Fatalf("not mended: %v, %v, %+v", err, eventsErr, task)
				}
			}
		})
	}
}

// TestPrintsTellRecordsApart by their value, their key and when they were appended, and
// by nothing that another reader would see otherwise.
func TestPrintsTellRecordsApart(t *testing.T) {
	whole := &kgo.Record{Key: []byte("ada"), Value: []byte(`{"task_id":"t1"}`), Timestamp: epoch0}
	for name, change := range map[string]func(r *kgo.Record){
		"value":    func(r *kgo.Record) { r.Value = []byte(`{"task_id":"t2"}`) },
		"no value": func(r *kgo.Record) { r.Value = nil },
		"key":      func(r *kgo.Record) { r.Key = []byte("bob") },
		"time":     func(r *kgo.Record) { r.Timestamp = r.Timestamp.Add(time.Millisecond) },
	} {
		other := *whole
		if change(&other); printOf(&other) == printOf(whole) {
			t.Errorf("another %s is not told", name)
		}
	}
	same := *whole
	same.Timestamp, same.LeaderEpoch = whole.Timestamp.Local(), 7
	if printOf(&same) != printOf(whole) {
		t.Error("the same record is told from itself")
	}
}
