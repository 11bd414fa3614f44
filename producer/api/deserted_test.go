package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/schemas"
)

// A lane that no processor serves is told of: in the state of the tasks that wait for one, in
// /readyz, which stays 200, and in the metrics; until a processor gives a sign of life.
func TestALaneWithoutAProcessorIsToldOf(t *testing.T) {
	const silent = 500 * time.Millisecond
	w := newWorld(t, func(c *producer.Config) { c.SilentAfter = silent })
	id := w.Post(task("")).Expect(t, http.StatusAccepted).Text("task_id")
	state := func() string { return w.Get("/v1/tasks/"+id+"?user_id=ada").Expect(t, http.StatusOK).Text("warning") }
	const says = "no processor serves lane fast"
	eventually(t, "the state says so", func() bool { return strings.Contains(state(), says) })
	w.Get("/readyz").Expect(t, http.StatusOK, `"status":"ready"`, says, "no processor serves lane heavy")
	w.Get("/metrics").Expect(t, http.StatusOK, `tasklane_lane_processors{lane="fast"} 0`)

	sign := func() { // again and again: one that is seen too late is none
		w.Append("fast/0", 0, schemas.Event{Kind: schemas.KindMark, Worker: "worker-1", Time: schemas.AtTime(time.Now())})
	}
	eventually(t, "the processor is seen", func() bool { sign(); return state() == "" })
	eventually(t, "it counts", func() bool {
		sign()
		return strings.Contains(string(w.Get("/metrics").Raw), `tasklane_lane_processors{lane="fast"} 1`)
	})
	eventually(t, "it is silent", func() bool { return strings.Contains(state(), says) })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := bounded(t)
	for again := time.NewTicker(20 * time.Millisecond); !holds(); {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("waited for: %s", what)
		}
	}
}
