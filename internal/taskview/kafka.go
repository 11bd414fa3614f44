package taskview

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/logreader"
)

// logClient reads the lanes and task-events, all partitions, without a group.
type logClient struct {
	*logreader.Reader
	config Config
	admin  *kadm.Client
	events string
	lanes  map[string]string // lane by topic
	counts map[string]int    // partitions by topic, once found
}

// logFound is what the cluster said of the topics.
type logFound struct {
	identity   map[string]string // cluster id and topic ids
	partitions map[string]int
}

func newLogClient(c Config, next func() map[string]map[int32]int64, health *kafka.Health) (*logClient, error) {
	l := &logClient{config: c, events: c.Topics.Events(), lanes: map[string]string{}}
	for _, lane := range c.Lanes {
		l.lanes[c.Topics.Lane(lane)] = lane
	}
	var err error
	// A place that is no longer in the log ends the session: the next one finds out
	// whether it was deleted or the log was cut back. A session reads all partitions
	// that are there when it begins.
	l.Reader, err = logreader.Open(logreader.Config{
		Kafka: c.Kafka, Topics: l.topics(), Also: []string{c.Topics.Scheduled()}, Equal: l.topics(),
		Name:    "the task view's topics",
		Records: maxBatchRecords, Fetches: 2, Next: next, Health: health, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	l.admin = l.Admin()
	return l, nil
}

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

// found is what the topics are, once all are there.
func (l *logClient) found() logFound {
	found := logFound{identity: map[string]string{"log:cluster": l.Cluster()}, partitions: map[string]int{}}
	for _, topic := range l.topics() {
		found.identity["log:topic:"+topic] = kadm.TopicID(l.TopicID(topic)).String()
		found.partitions[topic] = l.Partitions(topic)
	}
	l.counts = found.partitions
	return found
}

// sameLog compares what the file was made from with what is there. A name on one
// side only is as good a difference as another id: the file is then of another
// topic prefix or of other lanes, and would show and answer for their tasks.
func sameLog(file, now map[string]string) error {
	if len(file) == 0 { // nothing has been read into it yet
		return nil
	}
	for name, id := range file {
		switch found, known := now[name]; {
		case !known:
			return fmt.Errorf("%w: it was made from %s too, which is not followed here",
				errRebuild, strings.TrimPrefix(name, "log:"))
		case found != id:
			return fmt.Errorf("%w: %s is %s, it was made from %s", errRebuild, strings.TrimPrefix(name, "log:"), found, id)
		}
	}
	for name := range now {
		if _, known := file[name]; !known {
			return fmt.Errorf("%w: it was made without %s", errRebuild, strings.TrimPrefix(name, "log:"))
		}
	}
	return nil
}

// resume decides where every partition goes on: where the checkpoint says, or
// at the log's start. A checkpoint of another log gives errRebuild. Known are the
// positions whose last record is still there.
func (l *logClient) resume(ctx context.Context, found logFound, point checkpoint) (
	next map[topicPartition]int64, known map[topicPartition]position, err error,
) {
	if err := sameLog(point.log, found.identity); err != nil {
		return nil, nil, err
	}
	starts, err := l.list(ctx, l.admin.ListStartOffsets)
	if err != nil {
		return nil, nil, err
	}
	ends, err := l.sameUntil(ctx, point.next)
	if err != nil {
		return nil, nil, err
	}
	next, err = goOn(found.partitions, point.next, starts, ends)
	known = maps.Clone(point.next)
	maps.DeleteFunc(known, func(at topicPartition, to position) bool {
		return to.next <= starts[at] ||
			to.next != next[at]
	})
	return next, known, err
}

// goOn is where each partition is read on from what was read of it: a [cutError] if one
// ends before that.
func goOn(counts map[string]int, read map[topicPartition]position, starts,
	ends map[topicPartition]int64) (map[topicPartition]int64, error) {
	next := map[topicPartition]int64{}
	for topic, count := range counts {
		for p := range int32(count) {
			at := topicPartition{topic, p}
			if read[at].next > ends[at] {
				return nil, &cutError{at: at, end: ends[at], read: read[at].next, ends: ends}
			}
			next[at] = max(read[at].next, starts[at])
		}
	}
	return next, nil
}

// sameUntil is how far every partition is the log that was read: to its end, unless
// it was cut back and has grown again since.
func (l *logClient) sameUntil(ctx context.Context, read map[topicPartition]position) (map[topicPartition]int64, error) {
	ends, err := l.list(ctx, l.admin.ListEndOffsets)
	if err != nil {
		return nil, err
	}
	var epochs kadm.OffsetForLeaderEpochRequest
	for at, to := range read {
		if _, listed := ends[at]; listed && to.epoch >= 0 {
			epochs.Add(at.topic, at.partition, to.epoch)
		}
	}
	until, err := kafka.SameUntil(ctx, l.admin, epochs)
	if err != nil {
		return nil, err
	}
	for at, end := range ends {
		if same, known := until[at.topic][at.partition]; known {
			ends[at] = min(end, same)
		}
	}
	return ends, nil
}

// poll waits for records and gives them to take one by one.
func (l *logClient) poll(ctx context.Context, ends *positions, take func(*kgo.Record) error) error {
	return l.Poll(ctx, func(p kgo.FetchTopicPartition) error {
		if p.HighWatermark > 0 {
			ends.end(topicPartition{p.Topic, p.Partition}, p.HighWatermark)
		}
		for _, r := range p.Records {
			if err := take(r); err != nil {
				return err
			}
		}
		return nil
	})
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

// ends lists where the lanes and task-events end now for a read_committed reader.
// Partitions without records are left out.
func (l *logClient) ends(ctx context.Context) (map[topicPartition]int64, error) {
	listed, err := kafka.ReadableEnds(ctx, l.admin, l.topics()...)
	return byPartition(listed), err
}

// laneEnds does so for the lanes alone.
func (l *logClient) laneEnds(ctx context.Context) (map[topicPartition]int64, error) {
	listed, err := kafka.ReadableEnds(ctx, l.admin, l.topics()[1:]...)
	return byPartition(listed), err
}

func byPartition(listed kadm.ListedOffsets) map[topicPartition]int64 {
	offsets := map[topicPartition]int64{}
	listed.Each(func(o kadm.ListedOffset) { offsets[topicPartition{o.Topic, o.Partition}] = o.Offset })
	return offsets
}
