package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/scripts/chaos/checker"
	"github.com/aiecs/tasklane/scripts/program"
)

func journalFaults() []fault {
	return []fault{
		{
			name:     "foreign-fence",
			does:     "a fence above the owner's in half of the shards, as of another owner that died at once",
			evidence: "shards that their owners took over again above it", run: runForeignFence,
		},
		{
			name: "late-repeats", does: "events that count are written again as they were, as by a producer that retries late",
			evidence: "records that did not count", run: runLateRepeats,
		},
		{
			name: "forged-epochs",
			does: "ends and fences under the highest epoch that fits, and under tomorrow's, in " +
				"both logs of half of the shards",
			evidence: "records of task-events beyond the broker's clock", run: runForgedEpochs,
		},
	}
}

// write appends records to partitions of the journal.
func (a *arena) writeJournal(ctx context.Context, records []*kgo.Record) error {
	client, err := kgo.NewClient(clientOpts(a.broker.Addrs(), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("write to the journal: %w", err)
	}
	return nil
}

// fenceOf is the record by which another owner takes a shard over.
func fenceOf(shard string, epoch int64) (*kgo.Record, error) {
	_, number, _ := strings.Cut(shard, "/")
	partition, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read shard %s: %w", shard, err)
	}
	value, err := json.Marshal(map[string]any{
		"event_id": fmt.Sprintf("%s-%d-1", shard, epoch), "kind": "fence", "shard": shard, "epoch": epoch, "seq": 1,
		"worker": "chaos",
		"time":   time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
	})
	if err != nil {
		return nil, fmt.Errorf("encode fence: %w", err)
	}
	return &kgo.Record{Topic: eventsTopic, Partition: int32(partition), Value: value, Headers: []kgo.RecordHeader{
		{Key: "tl-shard", Value: []byte(shard)}, {Key: "tl-epoch", Value: strconv.AppendInt(nil, epoch, 10)},
		{Key: "tl-seq", Value: []byte("1")},
	}}, nil
}

func runForeignFence(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	hits := 0
	for range 3 {
		a.load.send(slow(random, 20)...)
		program.Pause(ctx, time.Duration(300+random.IntN(500))*time.Millisecond)
		states, _ := a.book.states()
		fenced := checker.Fold{}
		var records []*kgo.Record
		for shard, state := range states {
			if random.IntN(2) == 0 {
				continue
			}
			epoch := max(state.Epoch, time.Now().UnixMilli()) + 1 + random.Int64N(1000)
			r, err := fenceOf(shard, epoch)
			if err != nil {
				return hits, err
			}
			fenced[shard] = checker.State{Epoch: epoch}
			records = append(records, r)
		}
		if err := a.writeJournal(ctx, records); err != nil {
			return hits, err
		}
		again := 0
		program.Until(ctx, 15*time.Second, func() bool {
			now, _ := a.book.states()
			again = 0
			for shard, state := range fenced {
				if now[shard].Epoch > state.Epoch {
					again++
				}
			}
			return again == len(fenced)
		})
		if again < len(fenced) {
			a.note("%d of %d shards were not taken over again 15 s after a foreign fence", len(fenced)-again, len(fenced))
		}
		hits += again
	}
	return hits, nil
}

func runLateRepeats(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	before := a.book.dropped()
	for range 10 {
		_, last := a.book.states()
		var records []*kgo.Record
		for _, r := range last {
			if random.IntN(4) > 0 {
				continue
			}
			again := &kgo.Record{Topic: eventsTopic, Partition: r.Partition, Key: r.Key, Value: r.Value}
			for name, value := range r.Headers {
				again.Headers = append(again.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
			}
			records = append(records, again)
		}
		if err := a.writeJournal(ctx, records); err != nil {
			return 0, err
		}
		program.Pause(ctx, time.Duration(200+random.IntN(400))*time.Millisecond)
	}
	return a.book.dropped() - before, nil
}

// runForgedEpochs writes what would end shards for good if it counted.
func runForgedEpochs(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	hits := 0
	for range 3 {
		a.load.send(slow(random, 20)...)
		states, _ := a.book.states()
		var records []*kgo.Record
		for shard := range states {
			if random.IntN(2) == 0 {
				continue
			}
			for _, epoch := range []int64{999_999_999_999_999_999, time.Now().Add(24 * time.Hour).UnixMilli()} {
				fence, err := fenceOf(shard, epoch)
				if err != nil {
					return hits, err
				}
				waiting := *fence
				waiting.Topic, waiting.Key = "tasks.scheduled", fmt.Append(nil, "forged/", shard, "/", epoch)
				records = append(records, fence, &waiting)
				hits++
			}
		}
		if err := a.writeJournal(ctx, records); err != nil {
			return hits, err
		}
		program.Pause(ctx, time.Duration(300+random.IntN(500))*time.Millisecond)
	}
	return hits, nil
}
