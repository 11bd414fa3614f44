package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// TestRun puts a task on a lane and waits for its end in the events, with the
// program running as it does by itself.
func TestRun(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	topics := schemas.Topics{Prefix: kafkatest.Prefix(t)}
	address := kafkatest.Start(t)
	client := kafkatest.Client(t, address, kgo.ConsumeTopics(topics.Events()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	names := []string{
		topics.Lane(schemas.LaneFast), topics.Lane(schemas.LaneHeavy), topics.Events(), topics.DeadLetters(),
		topics.Scheduled(), topics.Control(),
	}
	if _, err := kadm.NewClient(client).CreateTopics(ctx, 2, 1, nil, names...); err != nil {
		t.Fatal(err)
	}
	task := `{"task_id":"1","user_id":"alice","task_name":"count","mode":"text","service":"words",` +
		`"input_data":{"text":"to be or not"}}`
	record := &kgo.Record{Topic: topics.Lane(schemas.LaneFast), Key: []byte("alice"), Value: []byte(task)}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		t.Fatal(err)
	}
	runCtx, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	o := options{strings.Split(address, ","), topics.Prefix, "test", slog.New(slog.DiscardHandler)}
	go func() { ended <- run(runCtx, o) }()
	if result := resultOf(ctx, t, client); !strings.Contains(string(result.Result), `"words":4`) {
		t.Errorf("result %+v", result)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// resultOf reads events until one ends a task.
func resultOf(ctx context.Context, t *testing.T, client *kgo.Client) *schemas.Event {
	t.Helper()
	for ctx.Err() == nil {
		for _, record := range client.PollFetches(ctx).Records() {
			event := new(schemas.Event)
			if len(record.Key) > 0 && json.Unmarshal(record.Value, event) == nil && event.Terminal() {
				return event
			}
		}
	}
	t.Fatal("no task has ended")
	return nil
}
