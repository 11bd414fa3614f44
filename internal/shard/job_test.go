package shard

import (
	"testing"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// stateFacts is a state record about some task.
func stateFacts(status schemas.Status, attempt int) *facts {
	return &facts{Kind: schemas.KindState, Status: status, Attempt: attempt}
}

// A task that never survives a drain must end some time.
func TestPastLimitsHandOvers(t *testing.T) {
	var p attemptHistory
	for n := 1; n <= maxHandOvers+2; n++ {
		attempt := p.attempts + 1
		p.see(fold.Place{Offset: int64(n)}, stateFacts(schemas.Running, attempt))
		p.see(fold.Place{Offset: int64(n)}, stateFacts(schemas.Pending, attempt))
	}
	if p.lost() != 2 || p.attempts != 2 {
		t.Errorf("%d lost, %d attempts, want 2 and 2: those handed over do not count", p.lost(), p.attempts)
	}
}

func TestPastCountsAHandOverOnce(t *testing.T) {
	var p attemptHistory
	p.see(fold.Place{Offset: 1}, stateFacts(schemas.Pending, 0)) // nobody had it
	p.see(fold.Place{Offset: 2}, stateFacts(schemas.Running, 1))
	p.see(fold.Place{Offset: 3}, stateFacts(schemas.Pending, 2)) // of an attempt whose `running` was lost
	if p.lost() != 1 {
		t.Fatalf("%d lost, want 1", p.lost())
	}
	p.see(fold.Place{Offset: 4}, stateFacts(schemas.Pending, 1))
	p.see(fold.Place{Offset: 5}, stateFacts(schemas.Pending, 1))
	if p.lost() != 0 || p.handed != 1 {
		t.Fatalf("%d lost, %d handed over, want 0 and 1", p.lost(), p.handed)
	}
	if p.first.Offset != 1 {
		t.Errorf("starts at %d, want 1", p.first.Offset)
	}
}

func TestPastEnds(t *testing.T) {
	for _, status := range schemas.Statuses() {
		var p attemptHistory
		p.see(fold.Place{Offset: 4}, stateFacts(status, 1))
		if p.ended != status.Terminal() || p.ended && p.endedAt != 4 {
			t.Errorf("%s: ended %v at %d", status, p.ended, p.endedAt)
		}
	}
	var p attemptHistory
	p.see(fold.Place{Offset: 4}, &facts{Kind: schemas.KindRepeat, Status: schemas.Pending})
	if !p.ended || !p.repeat {
		t.Error("a repeat ends its record")
	}
}
