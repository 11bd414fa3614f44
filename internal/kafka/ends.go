package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// ReadableEnds lists where the partitions of topics end for a read_committed
// reader. Those without a record are left out; the starts are asked for last, so
// that what is deleted meanwhile is not taken for something to read.
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
