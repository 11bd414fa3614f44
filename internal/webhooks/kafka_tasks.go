package webhooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// skip is how many records are read rather than sought over.
	skip = 500
	// holePatience is how long the broker may say nothing of a place that is within
	// its log. It is gone then: compaction has taken it, and all that came after.
	holePatience = 5 * time.Second
	taskFetch    = 512 << 10
)

// tasks reads records of tasks at known places. It is not safe for concurrent use.
type tasks struct {
	client *kgo.Client
	admin  *kadm.Client
}

func newTasks(cfg kafka.Config) (*tasks, error) {
	client, err := kafka.NewClient(cfg,
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// What an event counts about was committed when its processor read it.
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		kgo.KeepControlRecords(),
		kgo.FetchMaxPartitionBytes(taskFetch),
		kgo.MetadataMinAge(50*time.Millisecond),
	)
	if err != nil {
		return nil, fmt.Errorf("open lanes: %w", err)
	}
	return &tasks{client: client, admin: kadm.NewClient(client)}, nil
}

func (t *tasks) close() { kafka.Close(t.client) }

// values reads what the records at these places hold; those that are gone are
// missing in the answer.
func (t *tasks) values(ctx context.Context, places []schemas.Place) (map[schemas.Place][]byte, error) {
	found, err := t.find(ctx, places)
	if err != nil {
		return nil, err
	}
	values := make(map[schemas.Place][]byte, len(found))
	for at, r := range found {
		values[at] = r.Value
	}
	return values, nil
}

// find reads the records at these places; those that are gone are
// missing in the answer.
func (t *tasks) find(ctx context.Context, places []schemas.Place) (map[schemas.Place]*kgo.Record, error) {
	places = slices.Clone(places)
	slices.SortFunc(places, func(a, b schemas.Place) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset,
			b.Offset))
	})
	places = slices.Compact(places)
	found := make(map[schemas.Place]*kgo.Record, len(places))
	for len(places) > 0 {
		n := slices.IndexFunc(places, func(p schemas.Place) bool {
			return p.Topic != places[0].Topic || p.Partition != places[0].Partition
		})
		if n < 0 {
			n = len(places)
		}
		if err := t.walk(ctx, places[:n], found); err != nil {
			return nil, fmt.Errorf("read tasks of %s/%d: %w", places[0].Topic, places[0].Partition, err)
		}
		places = places[n:]
	}
	return found, nil
}

// walk reads places of one partition, in their order.
func (t *tasks) walk(ctx context.Context, places []schemas.Place, found map[schemas.Place]*kgo.Record) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	topic, partition := places[0].Topic, places[0].Partition
	there, err := t.exists(ctx, topic, partition)
	if err != nil || !there {
		return err
	}
	start, end, err := boundsOf(ctx, t.admin, topic, partition)
	if err != nil {
		return err
	}
	places = slices.DeleteFunc(slices.Clone(places),
		func(p schemas.Place) bool { return p.Offset < start || p.Offset >= end })
	defer t.client.RemoveConsumePartitions(map[string][]int32{topic: {partition}})
	for len(places) > 0 {
		// Those that are not far apart are read in one go.
		n := 1
		for n < len(places) && places[n].Offset-places[n-1].Offset <= skip {
			n++
		}
		if err := t.stretch(ctx, places[:n], found); err != nil {
			return err
		}
		places = places[n:]
	}
	return nil
}

// exists reports whether there is such a partition. An event may name a lane that
// never was, or that is no more.
func (t *tasks) exists(ctx context.Context, topic string, partition int32) (bool, error) {
	topics, err := t.admin.ListTopics(ctx, topic)
	if err != nil {
		return false, fmt.Errorf("describe topic: %w", err)
	}
	detail, ok := topics[topic]
	switch {
	case !ok, errors.Is(detail.Err, kerr.UnknownTopicOrPartition), errors.Is(detail.Err, kerr.InvalidTopicException):
		return false, nil
	case detail.Err != nil:
		return false, fmt.Errorf("describe topic: %w", detail.Err)
	}
	_, ok = detail.Partitions[partition]
	return ok, nil
}

// stretch reads from the first of some places to the last.
func (t *tasks) stretch(ctx context.Context, places []schemas.Place, found map[schemas.Place]*kgo.Record) error {
	topic, partition := places[0].Topic, places[0].Partition
	t.client.RemoveConsumePartitions(map[string][]int32{topic: {partition}})
	from := kgo.NewOffset().At(places[0].Offset)
	t.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: from}})
	wanted := make(map[int64]schemas.Place, len(places))
	for _, p := range places {
		wanted[p.Offset] = p
	}
	last := places[len(places)-1].Offset
	for {
		within, cancel := context.WithTimeout(ctx, holePatience)
		fetches := t.client.PollRecords(within, skip)
		silent := within.Err() != nil
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
		if silent {
			return nil //nolint:nilerr // the rest is gone, though the log reaches that far
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			if r.Topic != topic || r.Partition != partition {
				continue // of a walk before
			}
			if p, ok := wanted[r.Offset]; ok && !r.Attrs.IsControl() {
				found[p] = r
			}
			if r.Offset >= last {
				return nil
			}
		}
	}
}
