package taskview

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/logreader"
	"github.com/aiecs/tasklane/schemas"
)

// A task that waits in tasks.scheduled is lost if its record there is gone: the broker
// has lost it, or the topic was made anew. Nothing else would ever say so, and only
// reading the topic can. That is done when a session begins, whenever something
// has happened to the topic or the brokers, and now and then.

const (
	// waitsInterval is the time between two comparisons that nothing gave a reason for.
	waitsInterval = time.Hour
	// maxWaits is how many tasks of a partition are compared at a time.
	maxWaits = 50_000
)

// waitsCheck is which partitions of tasks.scheduled are to be compared with the
// tasks that wait there.
type waitsCheck struct {
	all  bool // all of them
	at   time.Time
	due  map[int32]bool
	walk map[schemas.Status]walkPlace // over the first of them
}

func newWaitsCheck() waitsCheck {
	return waitsCheck{all: true, due: map[int32]bool{}, walk: map[schemas.Status]walkPlace{}}
}

// note looks for reasons to compare: the topic's end has gone back, or it has another
// leader, which may have less of it.
func (c *waitsCheck) note(now, last survey) {
	if c.all || now.at.Sub(c.at) >= waitsInterval {
		c.all, c.at = false, now.at
		for partition := range now.waits {
			c.due[partition] = true
		}
	}
	for partition, end := range now.waits {
		if before, known := last.waits[partition]; known && (end.next < before.next || end.epoch != before.epoch) {
			c.due[partition] = true
		}
	}
}

// checkWaits compares some tasks of a partition with tasks.scheduled.
func (l *losses) checkWaits(ctx context.Context, now survey) error {
	c := &l.waits
	c.note(now, l.last)
	if len(c.due) == 0 {
		return nil
	}
	partition := slices.Min(slices.Collect(maps.Keys(c.due)))
	var tasks []Task
	more := map[schemas.Status]walkPlace{}
	for _, status := range []schemas.Status{schemas.Pending, schemas.Running} {
		found, next, err := l.s.store.unfinished(ctx, status, &partition, c.walk[status], maxWaits)
		if err != nil {
			return err
		}
		if tasks = append(tasks, found...); next != (walkPlace{}) {
			more[status] = next
		}
	}
	waiting, err := l.waiting(ctx, runsOf(tasks))
	// What has become of a task until its record was gone stands in the journal. The lane may hold it, at an offset that
	// it did not have at the survey.
	if err == nil && len(waiting) < len(tasks) {
		now, err = l.catchUp(ctx, now)
	}
	if err != nil {
		l.warn("task view cannot compare the tasks that wait with "+l.s.view.config.Topics.Scheduled()+
			", it tries again", err)
		return nil
	}
	if c.walk = more; len(more) == 0 {
		delete(c.due, partition)
	}
	for i := range tasks {
		if waiting[tasks[i].run()] {
			continue
		}
		err := l.lose(ctx, tasks[i].run(), func(t *Task) string { return l.judgeWait(t, &tasks[i], now) })
		if err != nil {
			return err
		}
	}
	return nil
}

// judgeWait says why a task is lost that had no record in tasks.scheduled, if it has not
// changed since it was looked up and the lane does not hold it either.
func (l *losses) judgeWait(t, seen *Task, now survey) string {
	at := topicPartition{l.s.view.config.Topics.Lane(t.Lane), t.Partition}
	unchanged := t.Status == seen.Status && t.Attempt == seen.Attempt && t.UpdatedAt.Equal(seen.UpdatedAt.Time)
	if !t.open() || !t.Deferred || !unchanged || !now.lanes[at].lacks(t.LastOffset) ||
		!l.last.lanes[at].lacks(t.LastOffset) {
		return ""
	}
	return fmt.Sprintf("it waited in %s and its record is not there any more, and %s does not have its end: "+
		"the broker has lost a part of its log", l.s.view.config.Topics.Scheduled(), l.s.view.config.Topics.Events())
}

// catchUp waits until the reader has passed what stands in the log now. It returns the survey with where the lanes end.
func (l *losses) catchUp(ctx context.Context, now survey) (survey, error) {
	ends, err := l.log.ends(ctx)
	if err != nil {
		return now, err
	}
	lanes := maps.Clone(now.lanes)
	for at, b := range lanes {
		b.end = max(b.end, ends[at])
		lanes[at] = b
	}
	now.lanes = lanes
	return now, l.folded(ctx, ends)
}

// waitlogTimeout bounds how long a partition of tasks.scheduled may take to read.
const waitlogTimeout = time.Minute

// waiting reads a partition of tasks.scheduled and says which of some runs have a
// record there that counts, from the partition's start to where it ends now. Nothing
// else of the view needs the topic, which may hold a million tasks: it is read where
// the log cannot be right otherwise.
func (l *logClient) waiting(ctx context.Context, partition int32, of map[runKey]bool) (map[runKey]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, waitlogTimeout)
	defer cancel()
	topic := l.config.Topics.Scheduled()
	starts, err := l.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("list starts of %s: %w", topic, err)
	}
	ends, err := l.waitsEnds(ctx)
	if err != nil {
		return nil, err
	}
	start, listed := starts.Lookup(topic, partition)
	end, known := ends[partition]
	if !listed || start.Err != nil || !known {
		err := errors.Join(kerr.UnknownTopicOrPartition, start.Err)
		return nil, fmt.Errorf("list offsets of %s/%d: %w", topic, partition, err)
	}
	records := newWaitlog(of, partition)
	if start.Offset >= end.next {
		return records.runs(), nil
	}
	within := logreader.Range{Topic: topic, Partition: partition, From: start.Offset, End: end.next}
	if err := logreader.ReadRange(ctx, l.config.Kafka, within, func(r *kgo.Record) bool {
		records.take(r)
		return true
	}); err != nil {
		return nil, err
	}
	return records.runs(), nil
}

// waitlog is what counts in a partition of tasks.scheduled of some runs, by the fold
// that its owners go by.
type waitlog struct {
	of        map[runKey]bool
	partition int32
	fold      *fold.Fold
	standing  map[string]runKey // by the record's key
}

func newWaitlog(of map[runKey]bool, partition int32) *waitlog {
	return &waitlog{of: of, partition: partition, fold: fold.New(nil), standing: map[string]runKey{}}
}

func (w *waitlog) take(r *kgo.Record) {
	stamp, ok := fold.ReadStamp(r.Headers)
	if !ok || !w.fold.Step(stamp, r.Timestamp).Counted() {
		return
	}
	key, ok := fold.ParseWaitKey(r.Key)
	if !ok || stamp.Shard != (fold.ShardID{Lane: key.Lane, Partition: w.partition}).String() {
		return
	}
	run := runKey{schemas.TaskKey{UserID: key.UserID, TaskID: key.TaskID}, key.Lane, w.partition}
	switch {
	case r.Value == nil:
		delete(w.standing, string(r.Key))
	case w.of[run]:
		w.standing[string(r.Key)] = run
	}
}

// runs are those with a record.
func (w *waitlog) runs() map[runKey]bool {
	runs := map[runKey]bool{}
	for _, run := range w.standing {
		runs[run] = true
	}
	return runs
}
