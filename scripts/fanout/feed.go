package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/schemas"
)

// feed is an embedded broker in memory and a client that produces events as
// their shards' owners would.
type feed struct {
	brokers []string
	stop    func()
	client  *kgo.Client
	topic   string
	seqs    [schemas.DefaultPartitions]int64
	failed  atomic.Pointer[error]
}

func startFeed(ctx context.Context) (*feed, error) {
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	run := running(ctx, b)
	f := &feed{topic: schemas.Topics{}.Events(), stop: func() { cancel(); <-run.done }}
	select {
	case <-b.Ready():
	case <-run.done:
		cancel()
		return nil, fmt.Errorf("run broker: %w", run.err)
	}
	f.brokers = []string{b.Addr()}
	f.client, err = kafka.NewClient(kafka.Config{Brokers: f.brokers},
		append(kafka.ProducerOpts(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		f.stop()
		return nil, err
	}
	if _, err = topology.Ensure(ctx, f.client, topology.Spec{Lanes: []string{schemas.LaneFast}}); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// publish appends a user's event, in the user's partition.
func (f *feed) publish(ctx context.Context, user int, event []byte) error {
	partition := int32(user % schemas.DefaultPartitions)
	f.seqs[partition]++
	stamp := fold.Stamp{Shard: fold.ShardID{Lane: schemas.LaneFast, Partition: partition}.String(), Epoch: 1,
		Seq: f.seqs[partition]}
	f.client.Produce(ctx, &kgo.Record{
		Topic: f.topic, Partition: partition, Key: []byte(userName(user)), Value: event,
		Headers: fold.Headers[kgo.RecordHeader](stamp),
	}, func(_ *kgo.Record, err error) {
		if err != nil {
			f.failed.Store(&err)
		}
	})
	if err := f.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *feed) close() {
	kafka.Close(f.client)
	f.stop()
}

// feedApart is the process of a feed: it says where its broker is, publishes
// everything when it is sent a line, and stays until standard input ends.
func (o options) feedApart(ctx context.Context) error {
	f, err := startFeed(ctx)
	if err != nil {
		return err
	}
	defer f.close()
	fmt.Println(f.brokers[0])
	events, users := o.prepared()
	told := bufio.NewReader(os.Stdin)
	if _, err := told.ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	if err := publishAll(ctx, f, events, users); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, told)
	return err
}
