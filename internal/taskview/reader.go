package taskview

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/schemas"
)

// read applies the log's records to the overlay, in the order of each
// partition, until ctx ends or a record cannot be looked up.
func (s *session) read(ctx context.Context) error {
	for {
		err := s.log.poll(ctx, s.view, func(r *kgo.Record) error { return s.take(ctx, r) })
		if err != nil {
			return err
		}
	}
}

// take applies one record. Its changes, its position and its fold's state go
// into the same batch.
func (s *session) take(ctx context.Context, r *kgo.Record) error {
	if err := s.awaitRoom(ctx); err != nil {
		return err
	}
	at := topicPartition{r.Topic, r.Partition}
	var err error
	lane, isLane := s.log.lane(r.Topic)
	switch {
	case r.Attrs.IsControl():
		s.view.overlay.skip(at, r.Offset+1, nil)
	case isLane:
		err = s.takeTask(ctx, lane, r)
	default:
		err = s.takeEvent(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("apply record %s/%d at offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	s.view.positions.advance(at, r.Offset+1)
	signal(s.view.overlay.kick)
	return nil
}

// awaitRoom stops the reader while both batches are full.
func (s *session) awaitRoom(ctx context.Context) error {
	for s.view.overlay.full() {
		signal(s.view.overlay.kick)
		select {
		case <-s.view.overlay.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// decodeTask counts what is no task and returns nil for it.
func (s *session) decodeTask(r *kgo.Record) *schemas.Task {
	task, err := schemas.DecodeTask(r.Value)
	if err != nil {
		s.view.counters.invalid.Add(1)
		return nil
	}
	return task
}

// takeTask applies a lane's record. What the processor would refuse is skipped:
// the event that says so brings its row.
func (s *session) takeTask(ctx context.Context, lane string, r *kgo.Record) error {
	at := topicPartition{r.Topic, r.Partition}
	task := s.decodeTask(r)
	if task == nil {
		s.view.overlay.skip(at, r.Offset+1, nil)
		return nil
	}
	run := runKey{Key: Key{UserID: task.UserID, TaskID: task.TaskID}, lane: lane, partition: r.Partition}
	err := s.update(ctx, run, func(b *batch, row *row) {
		if row.task.takeRecord(task, r.Offset, r.Timestamp) {
			b.records[row.id] = r.Value
			b.texts = append(b.texts, inputText(row.id, task.InputData))
			b.bytes += len(r.Value)
		}
		b.note(at, r.Offset+1, nil)
	})
	// After the row: a lookup in between sees it twice rather than not at all.
	s.view.submitted.passed(run, r.Offset)
	return err
}

// takeEvent applies a record of task-events if it counts.
func (s *session) takeEvent(ctx context.Context, r *kgo.Record) error {
	at := topicPartition{r.Topic, r.Partition}
	stamp, ok := journal.ReadStamp(r.Headers)
	if !ok || s.home(stamp.Shard) != r.Partition {
		s.view.counters.foreign.Add(1)
		s.view.overlay.skip(at, r.Offset+1, nil)
		return nil
	}
	if !s.fold.Step(stamp).Counted() {
		s.view.counters.stale.Add(1)
		s.view.overlay.skip(at, r.Offset+1, nil)
		return nil
	}
	event, err := schemas.DecodeEvent(r.Value)
	if err != nil || schemas.CheckTaskID(event.TaskID) != "" || schemas.CheckUserID(event.UserID) != "" {
		if len(r.Key) > 0 { // fences and marks name no task
			s.view.counters.invalid.Add(1)
		}
		s.view.overlay.skip(at, r.Offset+1, &stamp)
		return nil
	}
	shard, _ := journal.ParseShardID(stamp.Shard)
	run := runKey{Key: Key{UserID: event.UserID, TaskID: event.TaskID}, lane: shard.Lane, partition: r.Partition}
	switch {
	case event.Kind == schemas.KindRepeat:
		return s.update(ctx, run, func(b *batch, row *row) {
			row.task.takeRepeat(atMilli(event.Time.UnixMilli()))
			b.note(at, r.Offset+1, &stamp)
		})
	case event.Kind.OfTask():
		return s.applyEvent(ctx, run, event, r, stamp)
	}
	s.view.overlay.skip(at, r.Offset+1, &stamp)
	return nil
}

func (s *session) applyEvent(ctx context.Context, run runKey, e *schemas.Event, r *kgo.Record, stamp journal.Stamp) error {
	ended := false
	err := s.update(ctx, run, func(b *batch, row *row) {
		b.note(topicPartition{r.Topic, r.Partition}, r.Offset+1, &stamp)
		if !row.task.takeEvent(e, r.Offset) {
			return
		}
		if row.task.keepEvent(e.Kind) {
			b.events = append(b.events, eventRow{row: row.id, partition: r.Partition, offset: r.Offset, data: r.Value})
			b.bytes += len(r.Value)
		}
		if ended = e.Terminal(); !ended {
			return
		}
		b.texts = append(b.texts, outcomeText(row.id, &row.task, e.Result))
		if len(e.Result) > 0 {
			b.results[row.id] = e.Result
			b.bytes += len(e.Result)
		}
	})
	if err == nil && ended {
		s.view.waiters.wake(run.Key, schemas.ResultOf(e))
	}
	return err
}

// update changes a run's row, reading it from the database if the memory does
// not have it.
func (s *session) update(ctx context.Context, run runKey, f func(*batch, *row)) error {
	var loaded *row
	for !s.view.overlay.update(run, loaded, f) {
		stored, err := s.store.run(ctx, run)
		if err != nil {
			return err
		}
		if loaded = stored; loaded == nil {
			loaded = &row{id: s.nextID, task: newTask(run)}
			s.nextID++
		}
	}
	return nil
}

// home is the partition that a shard's records belong in, -1 for what is no
// shard. Records elsewhere have no order among the shard's own and never count.
func (s *session) home(shard string) int32 {
	if partition, known := s.shards[shard]; known {
		return partition
	}
	partition := int32(-1)
	if id, err := journal.ParseShardID(shard); err == nil && id.String() == shard {
		partition = id.Partition
	}
	if len(s.shards) < maxAtHand {
		s.shards[shard] = partition
	}
	return partition
}

// pollWarnEvery keeps a broken partition from filling the log.
const pollWarnEvery = 30 * time.Second
