package provider

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/logreader"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/processor"
)

const (
	sayTimeout  = 10 * time.Second
	lastWord    = 2 * time.Second
	sayBuffered = 8 * maxReports
	pollRecords = 5000
)

// Run shares the flow's limits and budgets with all other instances, over task-limits, until ctx ends; it returns nil
// then. Without it a process keeps them by itself. What is limited waits while the others cannot be heard. It is called
// once; [Service] has the processor do it.
func (f *Flow) Run(ctx context.Context, l processor.Cluster) error {
	s := newSharing(f)
	topic := l.Topics.Limits()
	writer, err := kafka.NewWriter(l.Kafka, []string{topic}, kgo.RecordDeliveryTimeout(sayTimeout),
		kgo.MaxBufferedRecords(sayBuffered), kgo.UnknownTopicRetries(3))
	if err != nil {
		return fmt.Errorf("share limits: %w", err)
	}
	defer writer.Close()
	defer func() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
		defer cancel()
		_ = writer.Client().Flush(flush) // what was spent is said, if the broker takes it
	}()
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() { writer.Run(ctx) })
	working.Go(func() {
		s.beat(ctx, func(entries []entry) {
			for _, e := range entries {
				writer.Produce(context.WithoutCancel(ctx), &kgo.Record{Topic: topic, Key: []byte(e.key), Value: e.value}, f.unsaid)
			}
		})
	})
	pauses := pace.Backoff{First: 100 * time.Millisecond, Longest: 5 * time.Second, Steady: time.Minute}
	for ctx.Err() == nil {
		err := s.follow(ctx, l, f.log)
		if ctx.Err() == nil {
			f.log.Warn("reading the limits of other processors was interrupted; what is limited waits until they have been "+
				"read anew", "error", err)
			pauses.Wait(ctx)
		}
	}
	return nil
}

// unsaid notes what could not be written. It is said again in a second, but for the tombstones.
func (f *Flow) unsaid(_ *kgo.Record, err error) {
	if err != nil {
		f.log.Debug("the use of a limit was not told", "error", err)
	}
}

// follow reads the topic from its start until ctx ends, or it is another. Its error is never nil.
func (s *sharing) follow(ctx context.Context, l processor.Cluster, log *slog.Logger) error {
	topic := l.Topics.Limits()
	next := map[int32]int64{}
	reader, err := logreader.Open(logreader.Config{
		Kafka: l.Kafka, Topics: []string{topic}, Name: "limits", FromStart: true, Records: pollRecords, Fetches: 1,
		Logger: log,
	})
	if err != nil {
		return fmt.Errorf("share limits: %w", err)
	}
	defer reader.Close()
	s.reset()
	if err := reader.Await(ctx); err != nil {
		return fmt.Errorf("share limits: %w", err)
	}
	ends, err := reader.AwaitEnds(ctx, topic)
	if err != nil {
		return fmt.Errorf("share limits: %w", err)
	}
	reader.BeginAtStart()
	complete := false
	return reader.Follow(ctx, func(ctx context.Context) error {
		for {
			if !complete && reached(next, ends[topic]) {
				complete = true
				s.current()
			}
			wait, cancel := ctx, context.CancelFunc(func() {})
			if !complete {
				wait, cancel = context.WithTimeout(ctx, time.Second)
			}
			err := reader.Poll(wait, func(p kgo.FetchTopicPartition) error {
				for _, r := range p.Records {
					next[r.Partition] = r.Offset + 1
					if !r.Attrs.IsControl() {
						s.take(entry{key: string(r.Key), value: r.Value, at: r.Timestamp})
					}
				}
				if complete {
					s.apply(time.Now())
				}
				return nil
			})
			cancel()
			if err != nil {
				return err
			}
		}
	})
}

func reached(next map[int32]int64, ends map[int32]kadm.ListedOffset) bool {
	for partition, end := range ends {
		if next[partition] < end.Offset {
			return false
		}
	}
	return true
}
