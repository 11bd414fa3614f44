package history

import (
	"context"
	"time"
)

// assumedRecordBytes is taken for the size of a record in bytes where it is to be guessed how many fill the ring.
const assumedRecordBytes = 512

// most is how many records of each of so many partitions are read to fill the ring at the start. A partition with more
// than its share has fewer than could be kept; clients that need the others get them from the log.
func (r *ring) most(partitions int) int64 {
	return int64(r.limit / assumedRecordBytes / max(partitions, 1))
}

// prefillFrom is where to begin to read so that the ring is full when the notifier is ready, with what the folds need
// before it, and where the log starts.
func (r *reader) prefillFrom(ctx context.Context) (prefilled, starts []int64, err error) {
	if starts, err = r.topic.starts(ctx); err != nil {
		return nil, nil, err
	}
	prefilled, err = r.topic.after(ctx, time.Now().Add(-r.ring.age-foldLead))
	return prefilled, starts, err
}

// prefill begins to fill the ring from the first record on at which a partition's fold can be trusted.
func (r *reader) prefill(t *track, rec *record) {
	if t.trusted {
		return
	}
	if t.first.IsZero() {
		t.first = rec.time
	}
	if t.fresh || rec.time.Sub(t.first) >= foldLead {
		r.trust(t, rec.partition, rec.offset)
	}
}

// trust says that a partition's events are noted from an offset on.
func (r *reader) trust(t *track, partition int32, offset int64) {
	t.trusted = true
	r.ring.begin(partition, offset)
	if r.cursors.on(len(r.tracks)) {
		r.cursors.extend(partition, offset)
	}
}

// note takes an event that counts into memory.
func (r *reader) note(rec *record) {
	r.ring.add(rec)
	if r.cursors.add(rec) {
		r.log.Warn("too many users have had events: cursors are long for a while")
		r.cursors.begin(r.next)
		r.cursors.add(rec)
	}
}
