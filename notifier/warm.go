package notifier

import (
	"context"
	"time"
)

// warmRecord is taken for the size of a record in bytes where it is to be
// guessed how many fill the ring.
const warmRecord = 512

// most is how many records of each of so many partitions are read to fill the
// ring at the start. A partition with more than its share has fewer than could
// be kept; clients that need the others get them from the log.
func (r *ring) most(partitions int) int64 {
	return int64(r.limit / warmRecord / max(partitions, 1))
}

// warmFrom is where to begin to read so that the ring is full when the notifier
// is ready, with what the folds need before it, and where the log starts.
func (r *reader) warmFrom(ctx context.Context) (warm, starts []int64, err error) {
	if starts, err = r.source.starts(ctx); err != nil {
		return nil, nil, err
	}
	warm, err = r.source.after(ctx, time.Now().Add(-r.ring.age-foldLead))
	return warm, starts, err
}

// warm begins to fill the ring from the first record on at which a partition's
// fold can be trusted.
func (r *reader) warm(t *track, rec *record) {
	if t.warm {
		return
	}
	if t.first.IsZero() {
		t.first = rec.time
	}
	if t.fresh || rec.time.Sub(t.first) >= foldLead {
		r.warmed(t, rec.partition, rec.offset)
	}
}

// warmed says that a partition's events are noted from an offset on.
func (r *reader) warmed(t *track, partition int32, offset int64) {
	t.warm = true
	r.ring.begin(partition, offset)
	if r.recent.on(len(r.tracks)) {
		r.recent.extend(partition, offset)
	}
}

// note takes an event that counts into memory.
func (r *reader) note(rec *record) {
	r.ring.add(rec)
	if r.recent.add(rec) {
		r.log.Warn("too many users have had events: cursors are long for a while")
		r.recent.begin(r.next)
		r.recent.add(rec)
	}
}
