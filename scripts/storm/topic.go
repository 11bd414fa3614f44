package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/scripts/chaos/checker"
)

// eventsTopic is the topic that clients are judged by.
const eventsTopic = "task-events"

// fact is an event that counts, as it stands in the log.
type fact struct {
	said
	partition int32
	offset    int64
	// time is the latest that a record of the partition had by then: who asks for
	// what came since T gets everything from the first record of T or later on,
	// and times may go back a little.
	time time.Time
}

// history is what counts, by user, each in the order of the log's partitions.
type history struct {
	users map[string][]fact
	// ends counts the terminal events of each task, by user and id.
	ends   map[string]int
	events int
	// latest is the latest time so far, by partition.
	latest map[int32]time.Time
	// stale are records that do not count.
	stale int
}

// take adds a record if it counts and is an event of a task.
func (h *history) take(fold checker.Fold, r *kgo.Record) error {
	if r.Timestamp.After(h.latest[r.Partition]) {
		h.latest[r.Partition] = r.Timestamp
	}
	headers := map[string]string{}
	for _, header := range r.Headers {
		headers[header.Key] = string(header.Value)
	}
	stamp, stamped := checker.ReadStamp(headers)
	if !stamped {
		return fmt.Errorf("record %d/%d of %s has no stamp", r.Partition, r.Offset, r.Topic)
	}
	if verdict, _ := fold.Take(stamp, r.Timestamp); verdict != checker.Counts {
		h.stale++
		return nil
	}
	if len(r.Key) == 0 {
		return nil // fences, marks and repeats
	}
	f := fact{partition: r.Partition, offset: r.Offset, time: h.latest[r.Partition]}
	if err := json.Unmarshal(r.Value, &f.said); err != nil {
		return fmt.Errorf("record %d/%d of %s: %w", r.Partition, r.Offset, r.Topic, err)
	}
	user := string(r.Key)
	h.users[user] = append(h.users[user], f)
	h.events++
	if f.Kind == "state" && f.terminal() {
		h.ends[user+"/"+f.TaskID]++
	}
	return nil
}

// readHistory reads the topic from its start to its present end with a plain
// Kafka client.
func readHistory(ctx context.Context, broker string) (*history, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(eventsTopic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(250*time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	defer client.Close()
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, eventsTopic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list the end of %s: %w", eventsTopic, err)
	}
	ends, left := map[int32]int64{}, map[int32]bool{}
	listed.Each(func(o kadm.ListedOffset) {
		if ends[o.Partition] = o.Offset; o.Offset > 0 {
			left[o.Partition] = true
		}
	})
	h := &history{users: map[string][]fact{}, ends: map[string]int{}, latest: map[int32]time.Time{}}
	folds := map[int32]checker.Fold{}
	for len(left) > 0 && err == nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read %s: %d partitions are left: %w", eventsTopic, len(left), ctx.Err())
		}
		client.PollRecords(ctx, 5000).EachRecord(func(r *kgo.Record) {
			if folds[r.Partition] == nil {
				folds[r.Partition] = checker.Fold{}
			}
			if r.Offset < ends[r.Partition] && err == nil {
				err = h.take(folds[r.Partition], r)
			}
			if r.Offset >= ends[r.Partition]-1 {
				delete(left, r.Partition)
			}
		})
	}
	return h, err
}
