package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Log is which topics something reads or writes: the cluster they are in, who they are and how many partitions they
// have. What is known of a log, offsets, fold states, a client's own state, holds only while it is the same.
type Log struct {
	cluster string
	topics  map[string]logTopic
}

type logTopic struct {
	id         [16]byte
	partitions int
}

// ChangedError says that a log is not what it was. What was known of it is of no
// use any more; whoever has it begins anew.
type ChangedError struct{ Reason string }

func (e *ChangedError) Error() string { return e.Reason }

// MissingTopicError says that a topic is not there.
type MissingTopicError struct{ Topic string }

func (e *MissingTopicError) Error() string {
	return "topic " + e.Topic + " does not exist; create it with: tasklane topics ensure"
}

func (e *MissingTopicError) Unwrap() error { return kerr.UnknownTopicOrPartition }

// FindLog asks for topics. The error says what to do; without one every topic is
// there and each of its partitions has a leader.
func FindLog(ctx context.Context, cl *kgo.Client, topics ...string) (Log, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return Log{}, fmt.Errorf("ask a broker for the topics: %w", err)
	}
	log := Log{topics: make(map[string]logTopic, len(topics))}
	if resp.ClusterID != nil {
		log.cluster = *resp.ClusterID
	}
	for i := range resp.Topics {
		if t := &resp.Topics[i]; t.Topic != nil {
			if err := usable(t); err != nil {
				return Log{}, err
			}
			log.topics[*t.Topic] = logTopic{id: t.TopicID, partitions: len(t.Partitions)}
		}
	}
	for _, topic := range topics {
		if _, ok := log.topics[topic]; !ok {
			return Log{}, &MissingTopicError{topic}
		}
	}
	return log, nil
}

// usable is why a topic cannot be used, nil if it can.
func usable(t *kmsg.MetadataResponseTopic) error {
	switch err := kerr.ErrorForCode(t.ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition), err == nil && len(t.Partitions) == 0:
		return &MissingTopicError{*t.Topic}
	case err != nil:
		return fmt.Errorf("topic %s: %w", *t.Topic, err)
	}
	for _, p := range t.Partitions {
		if p.Leader < 0 {
			return fmt.Errorf("topic %s has no leader for partition %d: %w; see the brokers' logs", *t.Topic, p.Partition,
				kerr.LeaderNotAvailable)
		}
	}
	return nil
}

// Partitions is how many a topic has.
func (l Log) Partitions(topic string) int { return l.topics[topic].partitions }

// TopicID is what the cluster knows a topic by, zero if it gives no ids.
func (l Log) TopicID(topic string) [16]byte { return l.topics[topic].id }

// LookInterval is the pause between two looks at the log.
func (l Log) lookInterval() time.Duration {
	partitions := 0
	for _, topic := range l.topics {
		partitions += topic.partitions
	}
	return LookInterval * time.Duration(1+partitions/1000)
}

// Unequal is an error if topics that need equal partition counts have not: a
// task's events stand in the partition of its lane with the same number.
func (l Log) Unequal(topics ...string) error {
	var counts []string
	unequal, highest := false, 0
	for _, topic := range topics {
		n := l.Partitions(topic)
		counts = append(counts, fmt.Sprintf("%s has %d", topic, n))
		unequal = unequal || n != l.Partitions(topics[0])
		highest = max(highest, n)
	}
	if !unequal {
		return nil
	}
	return &UnequalError{fmt.Sprintf("the partition counts of these topics must be equal: %s; raise all to %d with "+
		"kafka-topics --alter --partitions %d --topic NAME", strings.Join(counts, ", "), highest, highest)}
}

// UnequalError says that topics have different partition counts, and what to do.
type UnequalError struct{ Reason string }

func (e *UnequalError) Error() string { return e.Reason }

// changed is how a log is another now, nil if it is not. That it has more partitions counts only if sizes does.
func (l Log) changed(now Log, sizes bool) error {
	if l.cluster != now.cluster {
		return &ChangedError{fmt.Sprintf("the cluster is another one: its id is %s and was %s", now.cluster, l.cluster)}
	}
	names := make([]string, 0, len(l.topics))
	for topic := range l.topics {
		names = append(names, topic)
	}
	slices.Sort(names)
	for _, topic := range names {
		was, is := l.topics[topic], now.topics[topic]
		switch {
		case was.id != is.id, is.partitions < was.partitions:
			return &ChangedError{fmt.Sprintf("topic %s was deleted and made anew: what it had is gone", topic)}
		case sizes && is.partitions != was.partitions:
			return &ChangedError{fmt.Sprintf("topic %s has %d partitions now and had %d", topic, is.partitions, was.partitions)}
		}
	}
	return nil
}
