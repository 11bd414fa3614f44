package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// ReadableEnds lists where the partitions of topics end for a read_committed reader. Those without a record are left
// out; the starts are asked for last, so that what is deleted meanwhile is not taken for something to read.
func ReadableEnds(ctx context.Context, admin *kadm.Client, topics ...string) (kadm.ListedOffsets, error) {
	ends, err := admin.ListCommittedOffsets(ctx, topics...)
	if err := complete(ends, err, topics); err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	starts, err := admin.ListStartOffsets(ctx, topics...)
	if err := complete(starts, err, topics); err != nil {
		return nil, fmt.Errorf("list start offsets: %w", err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		if start, _ := starts.Lookup(end.Topic, end.Partition); end.Offset <= start.Offset {
			delete(ends[end.Topic], end.Partition)
		}
	})
	return ends, nil
}

// SameUntil asks the brokers up to where partitions are still the log of a leader epoch (KIP-320): what was written
// since a tail was lost has a higher one, at whatever offset. Partitions of which they cannot say it are left out.
func SameUntil(ctx context.Context, admin *kadm.Client,
	epochs kadm.OffsetForLeaderEpochRequest) (map[string]map[int32]int64, error) {
	until := map[string]map[int32]int64{}
	if len(epochs) == 0 {
		return until, nil
	}
	answers, err := admin.OffsetForLeaderEpoch(ctx, epochs)
	if err != nil {
		return nil, fmt.Errorf("ask for the ends of leader epochs: %w", err)
	}
	for topic, partitions := range answers {
		until[topic] = map[int32]int64{}
		for partition, answer := range partitions {
			if answer.Err == nil && answer.EndOffset >= 0 && answer.LeaderEpoch >= 0 &&
				answer.LeaderEpoch <= epochs[topic][partition] {
				until[topic][partition] = answer.EndOffset
			}
		}
	}
	return until, nil
}

// Unserved are those of topics that are not served throughout: a cluster shows a new topic a moment before the leaders
// of its partitions know of it, and until then they refuse its records.
func Unserved(ctx context.Context, admin *kadm.Client, topics ...string) (lacking []string, err error) {
	if len(topics) == 0 {
		return nil, nil // no name would ask for all there are
	}
	ends, err := admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return topics, fmt.Errorf("list end offsets: %w", err)
	}
	for _, topic := range topics {
		if complete(kadm.ListedOffsets{topic: ends[topic]}, nil, []string{topic}) != nil {
			lacking = append(lacking, topic)
		}
	}
	return lacking, nil
}

// complete is why offsets are not those of all partitions, nil if they are.
func complete(listed kadm.ListedOffsets, err error, topics []string) error {
	if err == nil {
		err = listed.Error()
	}
	for _, topic := range topics {
		if err == nil && len(listed[topic]) == 0 {
			err = fmt.Errorf("%s: %w", topic, kerr.UnknownTopicOrPartition)
		}
	}
	return err
}
