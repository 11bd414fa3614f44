package logreader

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
)

// Range is a stretch of a partition, from an offset up to another one.
type Range struct {
	Topic     string
	Partition int32
	From, End int64
}

// rangeRecords bounds one poll of a range.
const rangeRecords = 1000

// ReadRange visits the records of a range, also those of transactions that are open, and
// returns when it has come to the end of it: at a record at or behind End-1. The markers
// of transactions are not visited. Where the log begins behind From it goes on there.
// Only a visit that is told to go on is followed by another. It is the caller's to bound
// ctx: where compaction has taken the last records, nothing more comes.
func ReadRange(ctx context.Context, c kafka.Config, r Range, visit func(*kgo.Record) (more bool),
	opts ...kgo.Opt) error {
	if r.From >= r.End {
		return nil
	}
	client, err := kafka.NewClient(c, append(opts,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.Topic: {r.Partition: kgo.NewOffset().At(r.From)}}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		kgo.KeepControlRecords(),
		kgo.MaxConcurrentFetches(1),
	)...)
	if err != nil {
		return fmt.Errorf("read %s/%d: %w", r.Topic, r.Partition, err)
	}
	defer kafka.Close(client)
	for {
		fetches := client.PollRecords(ctx, rangeRecords)
		for _, record := range fetches.Records() {
			if record.Offset < r.End && !record.Attrs.IsControl() && !visit(record) {
				return nil
			}
			if record.Offset+1 >= r.End {
				return nil
			}
		}
		err := fetches.Err()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", r.Topic, r.Partition, err)
		}
	}
}
