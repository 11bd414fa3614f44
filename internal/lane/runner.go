package lane

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// Runner runs a lane's tasks. Its methods, and those of what it makes of jobs, are called
// under the shard's lock: they must not block or call back into the shard.
type Runner interface {
	// Offer queues a job. When there is room for it, the runner calls [OwnedShard.Begin].
	Offer(h *OwnedShard, j *shard.Job) Work
	// Forget tells that a shard was given up: its queued jobs are of no use any
	// more. It is called without the lock.
	Forget(h *OwnedShard)
	// TakenOver tells that a shard is owned and knows its tasks. What holds tasks, and what
	// was cancelled meanwhile, is for the runner to say: [OwnedShard.SetHolds], [OwnedShard.Cancel].
	TakenOver(h *OwnedShard)
	// Duplicate tells that the job's end as a duplicate of another has counted.
	Duplicate(j *shard.Job)
	// Buried tells that the job's dead letter is written, and why it is one.
	DeadLettered(j *shard.Job, reason schemas.ErrorCode, why string)
}

// Work is what a runner has made of a job: it is queued, or an [Attempt].
type Work interface {
	// End asks the work to end like this. False if nobody works on it: then it is out of the
	// run queue, and ended at once.
	End(e End) (working bool)
}

// Attempt is work that was begun.
type Attempt interface {
	Work
	// Start lets the attempt start: it is in the journal.
	Start()
	// Stop ends the attempt, started or not: whatever comes of it will not count. The runner
	// frees the job's slot.
	Stop()
}

// Delivery is what a [shard.Job]'s Payload holds while a consumer has it: the lane
// record, and the bound on reports that have not counted.
type Delivery struct {
	record   *kgo.Record
	received int64 // when it came here, Unix ms
	// capped says that a cap sent it to the waiting log: it has waited for its turn all the time.
	capped bool
	// reports holds a value for every report that has not counted; nil before
	// the first. The field is guarded by the shard's lock.
	reports chan struct{}
	// What the runner has made of the job: work that is queued, and the attempt that was begun
	// since then. Guarded by the shard's lock, under which their methods are called.
	queued  Work
	attempt Attempt
}

// DeliveryOf is the job's; nil if its record is gone from the lane.
func DeliveryOf(j *shard.Job) *Delivery {
	d, _ := j.Payload.(*Delivery)
	return d
}

// maxReports bounds a job's progress and output records that have not counted
// yet. A handler that reports faster than the journal takes it waits.
const maxReports = 64

// maxQueueAge is how old a record may be whose time is believed: what waits for a year
// after it was on its lane for a month.
const maxQueueAge = 400 * 24 * time.Hour

// QueuedSince is when the broker took a record, created. Where a record's time can not
// be that, because its sender gave none, one in the future or seconds for
// milliseconds, it is when the record came here.
func (d *Delivery) QueuedSince(created time.Time) time.Time {
	if age := d.received - created.UnixMilli(); age < 0 || age > maxQueueAge.Milliseconds() {
		return time.UnixMilli(d.received)
	}
	return created
}

// Place is where the job's record stands, for a line in the log.
func (d *Delivery) Place() []any {
	return []any{"topic", d.record.Topic, "partition", d.record.Partition, "offset", d.record.Offset}
}

// Since is when a job began to wait for its turn, if it did so before it was offered
// this time.
func (d *Delivery) Since(created time.Time) time.Time {
	if d.capped {
		return created
	}
	return time.Time{}
}

// Header is a header of the job's record, "" if there is none.
func (d *Delivery) Header(key string) string {
	return string(headerOf(d.record, key))
}
