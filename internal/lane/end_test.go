package lane

import (
	"context"
	"errors"
	"testing"

	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// An attempt that is not the one that was begun last has no say: neither its reports nor its
// end are the task's.
func TestOnlyTheAttemptThatWasBegunEndsItsJob(t *testing.T) {
	l := newTestLane(t)
	var m *member
	checked := make(chan struct{})
	m = l.join("a", nil, func(ctx context.Context, j *shard.Job) {
		defer close(checked)
		h, stale := m.snapshot()[0], new(memberAttempt)
		if _, ok := h.Conclude(j, stale, End{Status: schemas.Failed}); ok {
			t.Error("an attempt that was not begun has ended the task")
		}
		line := &schemas.Event{Kind: schemas.KindLog, Log: &schemas.LogLine{Level: "info"}}
		if err := h.Report(ctx, j, stale, line); !errors.Is(err, ErrEnded) {
			t.Errorf("it reported, with %v", err)
		}
		if _, ok := h.Cancel(schemas.TaskKey{UserID: "u", TaskID: "nobody"}); ok {
			t.Error("a task was found that is not there")
		}
	})
	m.holds(lanePartitions)
	l.send("t", 0)
	<-checked
	m.await("the task's end", func() bool { return len(l.ends(0)["t-0"]) > 0 })
	for _, e := range l.ends(0)["t-0"] {
		if e.Status != schemas.Completed {
			t.Errorf("it ended as %s", e.Status)
		}
	}
}
