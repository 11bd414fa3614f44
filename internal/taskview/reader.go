package taskview

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// read applies the log's records to the overlay, in the order of each
// partition, until ctx ends or a record cannot be looked up.
func (s *session) read(ctx context.Context) error {
	for {
		err := s.log.poll(ctx, s.view.positions, func(r *kgo.Record) error { return s.take(ctx, r) })
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
	s.mu.Lock()
	defer s.mu.Unlock()
	again, err := s.readBefore(r)
	if again || err != nil {
		return err
	}
	lane, isLane := s.log.lane(r.Topic)
	switch {
	case r.Attrs.IsControl():
		s.view.overlay.skip(r, nil)
	case isLane:
		err = s.takeTask(ctx, lane, r)
	default:
		err = s.takeEvent(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("apply record %s/%d at offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	s.view.positions.advance(partitionOf(r), r.Offset+1)
	signal(s.view.overlay.kick)
	return nil
}

// readBefore reports whether a record is the last one that an earlier session has read.
// If another stands in its place the log was cut back, and has grown again.
func (s *session) readBefore(r *kgo.Record) (bool, error) {
	at := partitionOf(r)
	to, known := s.known[at]
	if !known {
		return false, nil
	}
	delete(s.known, at)
	switch {
	case r.Offset >= to.next: // it was deleted
		return false, nil
	case printOf(r) != to.print: // nobody knows since when it is another log
		return false, &cutError{at: at, end: r.Offset, read: to.next, ends: map[topicPartition]int64{at: 0}, replaced: true}
	}
	return true, nil
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
	task := s.decodeTask(r)
	if task == nil {
		s.view.overlay.skip(r, nil)
		return nil
	}
	run := runKey{TaskKey: task.Key(), lane: lane, partition: r.Partition}
	err := s.update(ctx, run, func(b *batch, row *row) {
		if row.task.takeRecord(task, r.Offset, r.Timestamp) {
			b.keepRecord(row.id, task, r.Value)
		}
		b.note(r, nil)
	})
	// After the row: a lookup in between sees it twice rather than not at all.
	s.view.submitted.passed(run, r.Offset)
	return err
}

// takeEvent applies a record of task-events if it counts.
func (s *session) takeEvent(ctx context.Context, r *kgo.Record) error {
	stamp, ok := fold.ReadStamp(r.Headers)
	if !ok || s.home(stamp.Shard) != r.Partition {
		s.view.counters.foreign.Add(1)
		s.view.overlay.skip(r, nil)
		return nil
	}
	verdict := s.fold.Step(stamp, r.Timestamp)
	if !verdict.Counted() {
		if verdict == fold.Ahead {
			s.view.aheads.Note(r.Topic, r.Partition, r.Offset, stamp, r.Timestamp)
		} else {
			s.view.counters.stale.Add(1)
		}
		s.view.overlay.skip(r, nil)
		return nil
	}
	event, err := schemas.DecodeEvent(r.Value)
	if err == nil && !event.Kind.OfTask() {
		s.marks.take(event.Kind, stamp.Shard, r.Value, r.Offset)
		if shard, err := fold.ParseShardID(stamp.Shard); err == nil {
			s.view.presence.note(shard.Lane, event.Worker, r.Timestamp, time.Now())
		}
	}
	if !isOfTask(event, err) {
		if len(r.Key) > 0 { // fences and marks name no task
			s.view.counters.invalid.Add(1)
		}
		s.view.overlay.skip(r, &stamp)
		return nil
	}
	shard, _ := fold.ParseShardID(stamp.Shard)
	run := runKey{TaskKey: event.Key(), lane: shard.Lane, partition: r.Partition}
	switch {
	case event.Kind == schemas.KindRepeat:
		return s.update(ctx, run, func(b *batch, row *row) {
			row.task.takeRepeat(atMilli(event.Time.UnixMilli()))
			b.note(r, &stamp)
		})
	case event.Kind.OfTask():
		return s.applyEvent(ctx, run, event, r, stamp)
	}
	s.view.overlay.skip(r, &stamp)
	return nil
}

func (s *session) applyEvent(
	ctx context.Context, run runKey, e *schemas.Event, r *kgo.Record, stamp fold.Stamp,
) error {
	ended, kept := false, false
	err := s.update(ctx, run, func(b *batch, row *row) {
		b.note(r, &stamp)
		if !row.task.takeEvent(e, r.Offset) {
			return
		}
		if kept = row.task.keepEvent(e.Kind); kept {
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
	if err == nil && kept {
		for _, w := range s.view.watches.of(run) {
			w.offer(LoggedEvent{Offset: r.Offset, Event: e}, len(r.Value))
		}
	}
	if err == nil && ended {
		s.view.waiters.wake(run.TaskKey, outcome{result: schemas.ResultOf(e)})
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
	if id, err := fold.ParseShardID(shard); err == nil && id.String() == shard {
		partition = id.Partition
	}
	if len(s.shards) < maxCached {
		s.shards[shard] = partition
	}
	return partition
}
