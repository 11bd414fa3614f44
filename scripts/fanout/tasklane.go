package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/schemas"
)

// tasklane is the notifier on an embedded broker in memory. All is in one
// process: the producing client, the broker and its connections cost what they
// cost, and are in the figures.
type tasklane struct {
	// cancel ends what runs, and stop waits for it too.
	cancel   context.CancelFunc
	stop     func()
	notifier *notifier.Notifier
	client   *kgo.Client
	topic    string
	seqs     [schemas.DefaultPartitions]int64
	failed   atomic.Pointer[error]
}

func startTasklane(ctx context.Context) (*tasklane, error) {
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	t := &tasklane{topic: schemas.Topics{}.Events()}
	ctx, t.cancel = context.WithCancel(ctx)
	kafkaRun := running(ctx, b)
	select {
	case <-b.Ready():
	case <-kafkaRun.done:
		return nil, fmt.Errorf("run broker: %w", kafkaRun.err)
	}
	cfg := kafka.Config{Brokers: []string{b.Addr()}}
	if t.client, err = kafka.NewClient(cfg, append(kafka.ProducerOpts(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...); err != nil {
		return nil, err
	}
	if _, err = kafka.EnsureTopics(ctx, t.client, kafka.Topology{Lanes: []string{schemas.LaneFast}}); err != nil {
		return nil, err
	}
	if t.notifier, err = notifier.New(notifier.Config{Kafka: cfg, Addr: "127.0.0.1:0"}); err != nil {
		return nil, err
	}
	notifierRun := running(ctx, t.notifier)
	t.stop = func() {
		t.cancel()
		<-notifierRun.done
		kafka.Close(t.client)
		<-kafkaRun.done
	}
	select {
	case <-t.notifier.Ready():
		return t, nil
	case <-notifierRun.done:
		t.stop()
		return nil, fmt.Errorf("run notifier: %w", notifierRun.err)
	}
}

// running runs a part until the context ends.
func running(ctx context.Context, part interface{ Run(context.Context) error }) *run {
	r := &run{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = part.Run(ctx)
	}()
	return r
}

// run is a part that runs; err counts when done is closed.
type run struct {
	done chan struct{}
	err  error
}

func (t *tasklane) addr() string { return t.notifier.Addr() }

// publish appends a user's event, in the user's partition, as its owner would.
func (t *tasklane) publish(ctx context.Context, user int, event []byte) error {
	partition := int32(user % schemas.DefaultPartitions)
	t.seqs[partition]++
	stamp := journal.Stamp{Shard: journal.ShardID{Lane: schemas.LaneFast, Partition: partition}.String(), Epoch: 1, Seq: t.seqs[partition]}
	t.client.Produce(ctx, &kgo.Record{
		Topic: t.topic, Partition: partition, Key: []byte(userName(user)), Value: event, Headers: stamp.Headers(),
	}, func(_ *kgo.Record, err error) {
		if err != nil {
			t.failed.Store(&err)
		}
	})
	if err := t.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (t *tasklane) close() { t.stop() }
