package kafka_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/logtest"
)

// TestForeignMembersAreToldOf: another program in the group is, with what it holds;
// our own are not. Once it has left there is none.
func TestForeignMembersAreToldOf(t *testing.T) {
	brokers := kafkatest.Start(t)
	name := kafkatest.Prefix(t)
	admin := kafkatest.Client(t, brokers)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	kafkatest.CreateTopic(t, admin, name, 4, nil)
	member := func(opts ...kgo.Opt) *kgo.Client {
		return kafkatest.Client(t, brokers, append(opts, kgo.ConsumerGroup(name), kgo.ConsumeTopics(name),
			kgo.HeartbeatInterval(50*time.Millisecond))...)
	}
	ours := member(kafka.GroupMember())
	go func() { ours.PollFetches(ctx) }()
	log := new(logtest.Buffer)
	watch := &kafka.GroupWatch{Client: admin, Group: name, Log: slog.New(slog.NewTextHandler(log, nil)),
		Every: 20 * time.Millisecond}
	watching, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); watch.Run(watching) }()
	defer func() { stop(); <-ended }()

	until := func(what string, so func() bool) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for !so() {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("%s did not come to be; the log says %s", what, log)
			}
		}
	}
	other := member(kgo.ClientID("console-consumer"))
	polled, stopPoll := context.WithCancel(ctx)
	go func() { other.PollFetches(polled) }()
	until("a foreigner with its part", func() bool {
		return watch.Found() == 1 && strings.Contains(log.String(), "client_id=console-consumer") &&
			strings.Contains(log.String(), "partitions=2")
	})
	stopPoll()
	other.Close()
	until("none", func() bool { return watch.Found() == 0 })
	if strings.Contains(log.String(), "client_id=tasklane") {
		t.Errorf("our own member is told of: %s", log)
	}
}
