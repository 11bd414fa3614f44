package taskview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
)

// logClient reads the lanes and task-events, all partitions, without a group.
type logClient struct {
	client *kgo.Client
	admin  *kadm.Client
	events string
	lanes  map[string]string // lane by topic
	warned time.Time
}

// logFound is what the cluster said of the topics.
type logFound struct {
	identity   map[string]string // cluster id and topic ids
	partitions map[string]int
}

func newLogClient(c Config) (*logClient, error) {
	client, err := kafka.NewClient(c.Kafka,
		// Control records move the position over the end of a transaction;
		// without them a lane that ends in one is never seen to its end.
		kgo.KeepControlRecords(),
		kgo.MaxConcurrentFetches(2),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		return nil, err
	}
	l := &logClient{client: client, admin: kadm.NewClient(client), events: c.Topics.Events(), lanes: map[string]string{}}
	for _, lane := range c.Lanes {
		l.lanes[c.Topics.Lane(lane)] = lane
	}
	return l, nil
}

func (l *logClient) close() { kafka.Close(l.client) }

func (l *logClient) lane(topic string) (string, bool) {
	lane, ok := l.lanes[topic]
	return lane, ok
}

func (l *logClient) topics() []string {
	topics := []string{l.events}
	for topic := range l.lanes {
		topics = append(topics, topic)
	}
	return topics
}

// await looks for the topics until all are there.
func (l *logClient) await(ctx context.Context, logger *slog.Logger) (logFound, error) {
	var found logFound
	err := kafka.Await(ctx, func(ctx context.Context) (err error) {
		found, err = l.find(ctx)
		return err
	}, func(reason error) {
		logger.Warn("task view waits for its topics; create them with: tasklane topics ensure", "reason", reason)
	})
	return found, err
}

func (l *logClient) find(ctx context.Context) (logFound, error) {
	meta, err := l.admin.Metadata(ctx, l.topics()...)
	if err != nil {
		return logFound{}, fmt.Errorf("look for topics: %w", err)
	}
	found := logFound{identity: map[string]string{"log:cluster": meta.Cluster}, partitions: map[string]int{}}
	for _, topic := range l.topics() {
		detail, ok := meta.Topics[topic]
		if !ok || detail.Err != nil || len(detail.Partitions) == 0 {
			return logFound{}, fmt.Errorf("topic %s: %w", topic, errors.Join(kerr.UnknownTopicOrPartition, detail.Err))
		}
		found.identity["log:topic:"+topic] = detail.ID.String()
		found.partitions[topic] = len(detail.Partitions)
	}
	return found, nil
}

// resume decides where every partition goes on: where the checkpoint says, or
// at the log's start. A checkpoint of another log gives errRebuild.
func (l *logClient) resume(ctx context.Context, found logFound, point checkpoint) (map[topicPartition]int64, error) {
	for name, value := range point.log {
		if now, known := found.identity[name]; known && now != value {
			return nil, fmt.Errorf("%w: %s is %s, the file was made from %s", errRebuild, strings.TrimPrefix(name, "log:"), now, value)
		}
	}
	starts, err := l.list(ctx, l.admin.ListStartOffsets)
	if err != nil {
		return nil, err
	}
	ends, err := l.list(ctx, l.admin.ListEndOffsets)
	if err != nil {
		return nil, err
	}
	next := map[topicPartition]int64{}
	for topic, count := range found.partitions {
		for p := range int32(count) {
			at := topicPartition{topic, p}
			stored := point.next[at]
			if stored > ends[at] {
				return nil, fmt.Errorf("%w: %s/%d ends at offset %d, the file has seen up to %d", errRebuild, topic, p, ends[at], stored)
			}
			next[at] = max(stored, starts[at])
		}
	}
	return next, nil
}

// consume starts reading at the given offsets.
func (l *logClient) consume(next map[topicPartition]int64) {
	partitions := map[string]map[int32]kgo.Offset{}
	for at, offset := range next {
		if partitions[at.topic] == nil {
			partitions[at.topic] = map[int32]kgo.Offset{}
		}
		partitions[at.topic][at.partition] = kgo.NewOffset().At(offset)
	}
	l.client.AddConsumePartitions(partitions)
}

// poll waits for records and gives them to take one by one.
func (l *logClient) poll(ctx context.Context, v *View, take func(*kgo.Record) error) error {
	fetches := l.client.PollRecords(ctx, maxBatchRecords)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var failed error
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if failed != nil {
			return
		}
		if p.Err != nil {
			failed = l.judge(p, v)
		}
		if p.HighWatermark > 0 {
			v.positions.end(topicPartition{p.Topic, p.Partition}, p.HighWatermark)
		}
		for _, r := range p.Records {
			if failed = take(r); failed != nil {
				return
			}
		}
	})
	return failed
}

// judge tells what ends the session from what the client gets over by itself.
func (l *logClient) judge(p kgo.FetchTopicPartition, v *View) error {
	if ended := kafka.Ended(p.Topic, p.Err); ended != nil {
		return ended
	}
	if now := time.Now(); now.Sub(l.warned) >= pollWarnEvery {
		l.warned = now
		v.logger.Warn("task view cannot read a partition, it tries again", "topic", p.Topic, "partition", p.Partition, "error", p.Err)
	}
	return nil
}

type listOffsets func(context.Context, ...string) (kadm.ListedOffsets, error)

func (l *logClient) list(ctx context.Context, list listOffsets) (map[topicPartition]int64, error) {
	listed, err := list(ctx, l.topics()...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	return byPartition(listed), nil
}

// ends lists where the lanes, and if asked task-events, end now for a
// read_committed reader. Partitions without records are left out.
func (l *logClient) ends(ctx context.Context, events bool) (map[topicPartition]int64, error) {
	topics := l.topics()
	if !events {
		topics = topics[1:]
	}
	listed, err := kafka.ReadableEnds(ctx, l.admin, topics...)
	return byPartition(listed), err
}

func byPartition(listed kadm.ListedOffsets) map[topicPartition]int64 {
	offsets := map[topicPartition]int64{}
	listed.Each(func(o kadm.ListedOffset) { offsets[topicPartition{o.Topic, o.Partition}] = o.Offset })
	return offsets
}
