package processor

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

func newTestGovernor(t *testing.T) *governor {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	g, err := newGovernor(&Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}, Logger: log}, Topics: schemas.Topics{}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Shards of two lanes are being taken over for a while: what they miss is tried
// again once, however often it is missed, and beyond the bound nothing is lost.
func TestMissedCancelsAreKeptOnce(t *testing.T) {
	g := newTestGovernor(t)
	one := control.Identity{UserID: "u", TaskID: "t"}
	for range 20 {
		g.miss(one)
		g.miss(one)
		if again := g.takeMissed(); !slices.Equal(again, []control.Identity{one}) {
			t.Fatalf("tried again: %d cancels, want one", len(again))
		}
	}
	for n := range maxMissed + 2 {
		g.miss(control.Identity{UserID: "u", TaskID: fmt.Sprint(n)})
	}
	if !g.missedAll || len(g.missed) > maxMissed {
		t.Fatalf("all %v, %d kept; beyond the bound all cancels are to be tried again", g.missedAll, len(g.missed))
	}
	if g.takeMissed(); g.missedAll || len(g.missed) != 0 {
		t.Fatal("what is tried again is missed again only when it is")
	}
}

func TestExpiredCancelsAreForgotten(t *testing.T) {
	g := newTestGovernor(t)
	for n := range 100 {
		g.doom[journal.IdentityOf("u", fmt.Sprint(n))] = time.Now().Add(time.Duration(n-50) * time.Hour)
	}
	g.note(control.Change{})
	if len(g.doom) != 49 || g.sweepAt != maxMissed {
		t.Fatalf("%d of 100 kept, want the 49 that are in force", len(g.doom))
	}
}
