package lane

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// pollLoop feeds the lane's records to their shards. Rebalance callbacks cannot
// run between a poll's return and AllowRebalance, so records never reach a
// shard of a later assignment than the one they were fetched under.
func (c *Consumer) pollLoop(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := c.lane.poll(ctx)
		fetches.EachError(func(topic string, partition int32, err error) { c.fetchFailed(ctx, topic, partition, err) })
		held := c.snapshot()
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if h := held[p.Partition]; h != nil && len(p.Records) > 0 {
				h.receive(p.Records)
				c.regulate(h)
			}
		})
		c.rewind(held)
		c.client.AllowRebalance()
		kafka.Polled(ctx, fetches, &c.health)
	}
}

// rewind lets the client go on where shards have asked for. What it has delivered
// until then, and for partitions of which it does not know yet where they start, is
// dropped.
func (c *Consumer) rewind(held map[int32]*OwnedShard) {
	if !c.lane.isTurned() {
		return
	}
	topic := c.config.Topics.Lane(c.config.Lane)
	c.group.Alone(func() { c.rewindTo(topic, held) }) // kgo: not while it commits
}

func (c *Consumer) rewindTo(topic string, held map[int32]*OwnedShard) {
	known := c.client.CommittedOffsets()[topic] // with those that were polled only
	for partition, h := range held {
		if _, started := known[partition]; !started {
			continue // the tick turns again
		}
		h.do(func(*shard.Shard) {
			if h.rewind < 0 {
				return
			}
			c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {partition: {Epoch: -1, Offset: h.rewind}}})
			h.rewind = -1
		})
	}
}

func (c *Consumer) fetchFailed(ctx context.Context, topic string, partition int32, err error) {
	if ctx.Err() != nil || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	c.sessionFailed(err)
	c.log.Error("fetch tasks", "topic", topic, "partition", partition, "error", err)
}

// receive decodes records before it takes the shard's lock, so that parsing one
// shard's tasks delays no other's.
func (h *OwnedShard) receive(records []*kgo.Record) {
	jobs, now := make([]*shard.Job, len(records)), time.Now()
	for i, r := range records {
		if !r.Attrs.IsControl() {
			jobs[i] = newJob(r, now)
		}
	}
	for from := 0; from < len(jobs); from += maxLocked {
		to := min(from+maxLocked, len(jobs))
		h.do(func(s *shard.Shard) {
			if h.rewind >= 0 {
				return // it was fetched from where the shard does not want it
			}
			for i, j := range jobs[from:to] {
				if j == nil {
					s.Passed(records[from+i].Offset+1, records[from+i].LeaderEpoch)
					continue
				}
				s.Receive(j)
			}
		})
	}
}

// maxLocked is how many records are handled under a shard's lock at a time: the
// lane's tasks are begun one after the other, and each waits for its shard.
const maxLocked = 64

// maxLostAttempts is how many lost attempts end a task at most, however many
// attempts it may have: it may be what ends its workers.
const maxLostAttempts = 3

// recordOverhead is what a received record costs in memory beyond its bytes: the
// job (640 bytes), the task (480), its place in the run queue (280), the client's
// record and the fetched batch it is a part of (600), as a heap profile of 345,000
// of them has it.
const recordOverhead = 2 << 10

// newJob reads a record that came at a time.
func newJob(r *kgo.Record, received time.Time) *shard.Job {
	both := &struct { // in one piece: a backlog of them is what memory holds
		job      shard.Job
		delivery Delivery
	}{delivery: Delivery{record: r, received: received.UnixMilli()}}
	j := &both.job
	j.LaneEpoch, j.Created = r.LeaderEpoch, r.Timestamp
	j.Offset, j.Bytes, j.Payload = r.Offset, len(r.Key)+len(r.Value)+recordOverhead, &both.delivery
	task, err := schemas.DecodeTaskInPlace(r.Value) // the job keeps the record anyway
	if err != nil {
		if !errors.As(err, &j.Invalid) {
			j.Invalid = &schemas.InvalidTaskError{Problem: err.Error()}
		}
		task = j.Invalid.Task
	}
	j.Task = task
	if task != nil {
		j.Identity = fold.IdentityOf(task.UserID, task.TaskID)
		j.Unique = shard.ContentOf(task)
		j.MaxLost = min(maxLostAttempts, task.MaxAttempts()+1)
		if task.NotBefore != nil {
			j.NotBefore = task.NotBefore.Time
		}
	}
	return j
}

// regulate pauses the fetching of a partition whose shard holds as much as it
// may, and resumes it at half of that.
func (c *Consumer) regulate(h *OwnedShard) {
	h.mu.Lock()
	records, bytes := h.shard.Held()
	full := records >= c.config.ReadAhead || bytes >= c.config.ReadAheadBytes
	low := records <= c.config.ReadAhead/2 && bytes <= c.config.ReadAheadBytes/2
	pause, resume := full && !h.paused, low && h.paused
	if pause || resume {
		h.paused = pause
	}
	h.mu.Unlock()
	if !pause && !resume {
		return // nearly always: this runs for every poll and every tick
	}
	partition := map[string][]int32{c.config.Topics.Lane(h.id.Lane): {h.id.Partition}}
	if pause {
		c.client.PauseFetchPartitions(partition)
		return
	}
	c.client.ResumeFetchPartitions(partition)
}
