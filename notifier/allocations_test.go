//go:build !race

// Under the race detector pools give out less than was put in.

package notifier

import (
	"testing"

	"github.com/aiecs/tasklane/internal/cursor"
)

// TestAnEventTakesTwoAllocations: the message and its frame. Every event that
// anybody watches passes here.
func TestAnEventTakesTwoAllocations(t *testing.T) {
	rec := &record{key: []byte("u"), value: []byte(`{"event_id":"fast/1-1-1","task_id":"t","user_id":"u","kind":"state","status":"completed","batch_id":"b"}`)}
	place := cursor.Cursor{Events: make([]int64, cursor.MaxExact)}
	allocations := testing.AllocsPerRun(100, func() {
		var e event
		if ok, err := e.read(rec); !ok || err != nil {
			t.Fatal(ok, err)
		}
		_ = e.message(place, 1)
	})
	if allocations > 2 {
		t.Errorf("%v allocations", allocations)
	}
}
