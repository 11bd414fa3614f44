package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/internal/pace"
)

// writing is a writer that runs.
type writing struct {
	*kafka.Writer
	log *logtest.Buffer
}

// startWriter runs a writer to topics until the test ends.
func startWriter(t *testing.T, brokers []string, topics ...string) writing {
	t.Helper()
	log := new(logtest.Buffer)
	config := kafka.Config{Brokers: brokers, Logger: slog.New(slog.NewTextHandler(log, nil))}
	w, err := kafka.NewWriter(config, topics, kgo.RecordDeliveryTimeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		w.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ran
		w.Close()
	})
	return writing{w, log}
}

// write is what becomes of one record.
func (w writing) write(t *testing.T, topic, value string) error {
	t.Helper()
	done := make(chan error, 1)
	w.Produce(t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}, func(_ *kgo.Record, err error) { done <- err })
	return <-done
}

// mustWrite writes until a record is acknowledged, as whoever has to write does.
func (w writing) mustWrite(t *testing.T, topic, value string) {
	t.Helper()
	kafkatest.Eventually(t, "an acknowledged record", func() bool { return w.write(t, topic, value) == nil })
}

// values are those of the records of a topic, up to the last of them.
func values(t *testing.T, brokers []string, topic, last string) map[string]int {
	t.Helper()
	cl := kafkatest.NewClient(t, kafka.Config{Brokers: brokers}, kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	found := map[string]int{}
	ctx, cancel := context.WithTimeout(t.Context(), kafkatest.Noticed)
	defer cancel()
	for found[last] == 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { found[string(r.Value)]++ })
	}
	return found
}

// TestWriterGoesOnWithATopicThatWasMadeAnew: a client by itself would go on with the old one
// for ever, and an idempotent one is told that its numbers make no sense.
func TestWriterGoesOnWithATopicThatWasMadeAnew(t *testing.T) {
	t.Parallel()
	b := kafkatest.NewInstallation(t)
	topic := b.Spec.Topics.Events()
	b.Create(t, topic, 1, nil)
	w := startWriter(t, b.Brokers(), topic)
	w.mustWrite(t, topic, "before")
	pace.Sleep(t.Context(), 2*time.Second) // it has seen the topic
	kafkatest.DeleteTopics(t, b.Client, topic)
	b.Create(t, topic, 1, nil)
	w.mustWrite(t, topic, "after")
	kafkatest.Eventually(t, "health", func() bool { return w.Healthy() == nil })
	if found := values(t, b.Brokers(), topic, "after"); len(found) != 1 {
		t.Errorf("the topic has %v", found)
	}
}

// TestWriterIsUnhealthyWithoutItsTopic, and well again with it.
func TestWriterIsUnhealthyWithoutItsTopic(t *testing.T) {
	t.Parallel()
	b := kafkatest.NewInstallation(t)
	topic := b.Spec.Topics.Events()
	w := startWriter(t, b.Brokers(), topic)
	kafkatest.Eventually(t, "an unhealthy writer", func() bool {
		var missing *kafka.MissingTopicError
		return errors.As(w.Healthy(), &missing) && missing.Topic == topic
	})
	if text := w.Healthy().Error(); !strings.Contains(text, "tasklane topics ensure") {
		t.Errorf("it says %q, and not what to do", text)
	}
	b.Create(t, topic, 1, nil)
	kafkatest.Eventually(t, "a healthy writer", func() bool { return w.Healthy() == nil })
	w.mustWrite(t, topic, "v")
	if n := strings.Count(w.log.String(), "records cannot be written yet"); n != 1 {
		t.Errorf("the log says %d times that it waits: %s", n, w.log)
	}
}

// TestWriterOverRestartsOfTheBroker: what is acknowledged is there once at least, whatever
// happens in between; a record that fails is told to whoever wrote it.
func TestWriterOverRestartsOfTheBroker(t *testing.T) {
	t.Parallel()
	broker := kafkatest.StartKillable(t)
	brokers := []string{broker.Addr()}
	b := kafkatest.Installation{}.Through(kafkatest.NewClient(t, kafka.Config{Brokers: brokers}))
	b.Create(t, "events", 1, nil)
	w := startWriter(t, brokers, "events")
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	send := func(round int) *sync.WaitGroup {
		var settled sync.WaitGroup
		for n := range 200 {
			value := fmt.Sprint(round, "-", n)
			settled.Add(1)
			w.Produce(t.Context(), &kgo.Record{Topic: "events", Value: []byte(value)}, func(_ *kgo.Record, err error) {
				defer settled.Done()
				mu.Lock()
				defer mu.Unlock()
				acknowledged[value] = err == nil
			})
		}
		return &settled
	}
	for round := range 3 {
		settled := send(round)
		broker.Kill()
		later := send(round + 10) // while there is none
		broker.Restart()
		settled.Wait()
		later.Wait()
	}
	w.mustWrite(t, "events", "last")
	kafkatest.Eventually(t, "health", func() bool { return w.Healthy() == nil })
	found := values(t, brokers, "events", "last")
	lost, acked := 0, 0
	for value, ok := range acknowledged {
		if ok {
			acked++
			if found[value] == 0 {
				lost++
			}
		}
	}
	if lost > 0 || acked == 0 {
		t.Errorf("%d of %d acknowledged records are lost", lost, acked)
	}
}

// TestWriterNeverBlocks: what finds no place in the buffer fails at once, which is no fault of
// the topic.
func TestWriterNeverBlocks(t *testing.T) {
	t.Parallel()
	w, err := kafka.NewWriter(kafka.Config{Brokers: []string{"127.0.0.1:1"}}, []string{"events"},
		kgo.MaxBufferedRecords(3))
	if err != nil {
		t.Fatal(err)
	}
	full := make(chan error, 10)
	for range 4 {
		w.Produce(t.Context(), &kgo.Record{Topic: "events", Value: []byte("v")},
			func(_ *kgo.Record, err error) { full <- err })
	}
	if err := <-full; !errors.Is(err, kgo.ErrMaxBuffered) {
		t.Errorf("the fourth record: %v", err)
	}
	w.Close()
	for range 3 {
		if err := <-full; !errors.Is(err, kgo.ErrClientClosed) {
			t.Errorf("what was buffered when it was closed: %v", err)
		}
	}
	if err := w.Healthy(); err != nil {
		t.Errorf("a full buffer and a close are no trouble with the topic: %v", err)
	}
	if _, err := kafka.NewWriter(kafka.Config{}, nil); err == nil {
		t.Error("a writer without brokers is made")
	}
}
