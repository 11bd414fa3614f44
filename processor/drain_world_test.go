package processor_test

import (
	"context"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// A stop says what became of the tasks that were worked on.
func TestAStopSaysWhatWasFinishedAndHandedOver(t *testing.T) {
	w, log := newWorld(t), new(lines)
	began := make(chan struct{}, 3)
	_, stop := w.startProcessor(func(c *processor.Config) {
		log.into(c)
		c.Kafka.Logger = c.Logger
		c.Lanes[0].Slots, c.DrainTimeout = 3, 50*time.Millisecond
	}, handlers(map[string]processor.Handler{
		"long": func(ctx context.Context, _ *processor.Context) (any, error) {
			began <- struct{}{}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		},
		"ends": func(context.Context, *processor.Context) (any, error) { return "done", nil },
	}))
	w.send(schemas.LaneFast, task("e", "ends"))
	w.end("e")
	w.send(schemas.LaneFast, task("l1", "long"), task("l2", "long"))
	<-began
	<-began
	stop()
	if got := log.with("shards are given up", "finished=0", "handed_over=2"); len(got) != 1 {
		t.Errorf("said %q", log.with("given up"))
	}
}
