package kafka_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/logtest"
)

// memberOf is a member of a group that polls until the test ends or it is closed.
func memberOf(t *testing.T, brokers []string, group, topic string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl := kafkatest.NewClient(t, kafka.Config{Brokers: brokers},
		append(opts, kafka.GroupMember(), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
			kgo.HeartbeatInterval(50*time.Millisecond))...)
	polling := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer close(polling)
		for ctx.Err() == nil && !cl.PollFetches(ctx).IsClientClosed() {
		}
	}()
	t.Cleanup(func() { stop(); <-polling })
	return cl
}

// TestStandingOfAMember: outside its group is trouble when it lasts, whatever the reasons are
// in between.
func TestStandingOfAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s kafka.Standing
		if err := s.Err(); err != nil {
			t.Errorf("at first: %v", err)
		}
		s.OnGroupManageError(kerr.CoordinatorNotAvailable)
		if err := s.Err(); err != nil {
			t.Errorf("at once: %v", err)
		}
		<-time.After(1500 * time.Millisecond)
		s.OnGroupManageError(kerr.NotCoordinator)
		<-time.After(1500 * time.Millisecond)
		if err := s.Err(); !errors.Is(err, kerr.NotCoordinator) {
			t.Errorf("after three seconds: %v, want the last reason", err)
		}
		s.Inside()
		if err := s.Err(); err != nil {
			t.Errorf("inside again: %v", err)
		}
		s.OnGroupManageError(kerr.UnknownMemberID)
		<-time.After(time.Second)
		if err := s.Err(); err != nil {
			t.Errorf("a second after it was inside: %v", err)
		}
	})
}

// TestStandingIsAHookOfTheClient: a member that its broker refuses is outside.
func TestStandingIsAHookOfTheClient(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	topic := b.Spec.Topics.Events()
	b.Create(t, topic, 1, nil)
	standing := new(kafka.Standing)
	// A session shorter than any broker takes.
	memberOf(t, b.Brokers(), b.Spec.Topics.Prefix+"refused", topic, kgo.WithHooks(standing),
		kgo.SessionTimeout(100*time.Millisecond))
	kafkatest.Eventually(t, "a member outside its group", func() bool {
		return errors.Is(standing.Err(),
			kerr.InvalidSessionTimeout)
	})
}

// TestPolledTakesNote: of faults and successes, and waits a little after nothing but faults.
func TestPolledTakesNote(t *testing.T) {
	fault := kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "t", Partitions: []kgo.FetchPartition{{Err: errBroken}}}}}}
	some := kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "t", Partitions: []kgo.FetchPartition{{Err: errBroken},
		{Records: []*kgo.Record{{}}}}}}}}
	synctest.Test(t, func(t *testing.T) {
		took := func(ctx context.Context, fetches kgo.Fetches, h *kafka.Health) time.Duration {
			began := time.Now()
			kafka.Polled(ctx, fetches, h)
			return time.Since(began)
		}
		var h kafka.Health
		if d := took(t.Context(), kgo.Fetches{}, &h); d != 0 {
			t.Errorf("after nothing it waits %v", d)
		}
		if d := took(t.Context(), some, &h); d != 0 {
			t.Errorf("after some records it waits %v", d)
		}
		for range 12 {
			if d := took(t.Context(), fault, &h); d <= 0 || d > time.Second {
				t.Fatalf("after a fault it waits %v", d)
			}
		}
		if err := h.Err(); !errors.Is(err, errBroken) {
			t.Errorf("after three seconds of faults: %v", err)
		}
		took(t.Context(), kgo.Fetches{}, &h)
		if err := h.Err(); err != nil {
			t.Errorf("after a poll without faults: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if d := took(ended, fault, &h); d != 0 || h.Err() != nil {
			t.Errorf("when the poll was ended by whoever polls: waited %v, %v", d, h.Err())
		}
	})
}

// TestClientsSayWarningsAndErrorsOnly: their info level tells every rebalance.
func TestClientsSayWarningsAndErrorsOnly(t *testing.T) {
	log := new(logtest.Buffer)
	b := kafkatest.NewInstallation(t)
	cl := kafkatest.NewClient(t, kafka.Config{
		Brokers: b.Brokers(), Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err := cl.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); text != "" {
		t.Errorf("a client that is well says %s", text)
	}
}
