package control

import (
	"testing"

	"github.com/aiecs/tasklane/internal/kafka"
)

// TestPlacesOfASessionBeforeAreForgotten: they are of a log that may have been another.
func TestPlacesOfASessionBeforeAreForgotten(t *testing.T) {
	c, err := New(Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9"}}})
	if err != nil {
		t.Fatal(err)
	}
	c.replace(newState(), map[int32]int64{0: 10})
	if places := c.places(); places[c.config.Topics.Control()][0] != 10 {
		t.Errorf("places are %v", places)
	}
	c.forgetPlaces()
	if places := c.places(); len(places) != 1 || len(places[c.config.Topics.Control()]) != 0 {
		t.Errorf("places %v are of the session before", places)
	}
}
