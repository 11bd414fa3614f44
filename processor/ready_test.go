package processor_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/services/echo"
	"github.com/aiecs/tasklane/schemas"
)

// TestAProcessorIsReadyWhenItsGroupsHaveIt: one that the group does not take in is
// not, and ends with an error that says what to change.
func TestAProcessorIsReadyWhenItsGroupsHaveIt(t *testing.T) {
	w := newWorld(t)
	registry, err := processor.NewRegistry(echo.New(echo.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	run := func(session time.Duration) (ready <-chan struct{}, ended <-chan error, stop context.CancelFunc) {
		p, err := processor.New(processor.Config{
			Kafka: kafka.Config{Brokers: strings.Split(w.brokers, ","), Logger: w.log}, Topics: w.topics,
			Lanes:    []processor.Lane{{Name: schemas.LaneFast, Slots: 1}, {Name: schemas.LaneHeavy, Slots: 1}},
			Registry: registry, WorkerID: "worker-1", SessionTimeout: session, Logger: w.log,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), deadline)
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		return p.Ready(), done, stop
	}
	ready, ended, stop := run(10 * time.Hour) // longer than any broker allows by default
	defer stop()
	select {
	case <-ready:
		t.Error("it is ready without a group")
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "group.max.session.timeout.ms") {
			t.Errorf("it ended with %v", err)
		}
	}
	ready, ended, stop = run(10 * time.Second)
	defer stop()
	select {
	case <-ready:
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	case err := <-ended:
		t.Errorf("it ended before it was ready: %v", err)
	}
}
