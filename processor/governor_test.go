package processor

import (
	"log/slog"
	"testing"

	"github.com/aiecs/tasklane/internal/kafka"
	lanes "github.com/aiecs/tasklane/internal/lane"
	"github.com/aiecs/tasklane/schemas"
)

func newTestGovernor(t *testing.T) *governor {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	g, err := newGovernor(&Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}, Logger: log},
		Topics: schemas.Topics{}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A shard that is taken over again and again is told once of what it has missed, and whoever
// says so does not wait.
func TestTakenOverShardsAreToldOnce(t *testing.T) {
	g := newTestGovernor(t)
	fast, one, other := &lane{governor: g}, new(lanes.OwnedShard), new(lanes.OwnedShard)
	for range 20 {
		fast.TakenOver(one)
		fast.TakenOver(other)
	}
	if len(g.taken) != 2 || g.taken[one] != fast || len(g.untold) != 1 {
		t.Fatalf("%d shards are to be told, with %d calls for it", len(g.taken), len(g.untold))
	}
}
