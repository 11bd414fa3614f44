//go:build !race

// Under the race detector pools give out less than was put in.

package notifier

import (
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/notifier/history"
)

// TestAnEventTakesTwoAllocations: the message and its frame. Every event that
// anybody watches passes here.
func TestAnEventTakesTwoAllocations(t *testing.T) {
	value := []byte(`{"event_id":"fast/1-1-1","task_id":"t","user_id":"u","kind":"state","status":"completed",` +
		`"batch_id":"b"}`)
	place := cursor.Cursor{Events: make([]int64, cursor.MaxExact)}
	allocations := testing.AllocsPerRun(100, func() {
		var e history.Event
		if ok, err := e.Read([]byte("u"), value, time.Time{}); !ok || err != nil {
			t.Fatal(ok, err)
		}
		_ = eventMessage(&e, place, 1)
	})
	if allocations > 2 {
		t.Errorf("%v allocations", allocations)
	}
}
