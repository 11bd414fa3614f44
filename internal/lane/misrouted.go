package lane

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// Bounds of what is known of misrouted tasks: so many at once; how long after a lane's last
// record in a partition that lane is taken to be served no more (owners write a mark
// every 5 s); and how long an owner has read on that has written dead letters of what it read.
const (
	maxMisrouted = 1000
	laneSilent   = 20 * time.Second
	misroutedAge = 10 * time.Second
)

// misrouted are tasks that were sent to a shard's partition of task-events, or of
// tasks.scheduled, instead of a lane. They belong to nobody there: without a dead letter
// their sender would hear nothing. It is confined to the reader.
type misrouted struct{ found []*kgo.Record }

// passed notes that a record of an earlier owner was read: it has written dead letters of what stands
// long enough before that.
func (s *misrouted) passed(own *kgo.Record) {
	s.found = slices.DeleteFunc(s.found,
		func(r *kgo.Record) bool { return own.Timestamp.Sub(r.Timestamp) >= misroutedAge })
}

func (s *misrouted) see(r *kgo.Record) {
	if len(s.found) < maxMisrouted && isTask(r.Value) {
		s.found = append(s.found, r)
	}
}

// isTask reports whether a value is a task, be it not quite valid. An event is none: it
// has no task_name.
func isTask(value []byte) bool {
	if len(value) == 0 {
		return false
	}
	_, err := schemas.DecodeTask(value)
	var invalid *schemas.InvalidTaskError
	return err == nil || errors.As(err, &invalid) && invalid.Identified() && invalid.Task.TaskName != ""
}

// look sorts the records of a poll by whether they are the shard's own. Of others it
// notes which lanes share the partition, and what is misrouted.
func (h *OwnedShard) look(records []*kgo.Record, misrouted *misrouted, own func(fold.Stamp, *kgo.Record)) {
	var reading bool
	h.do(func(s *shard.Shard) { reading = s.Taking() })
	for _, r := range records {
		if r.Attrs.IsControl() {
			continue
		}
		if stamp, ok := fold.ReadStampOf(h.name, r.Headers); ok {
			if reading && len(misrouted.found) > 0 {
				misrouted.passed(r)
			}
			own(stamp, r)
			continue
		}
		switch shard := headerOf(r, schemas.HeaderShard); {
		case shard == nil:
			misrouted.see(r)
		case string(shard) < h.name:
			h.elder = r.Timestamp
		}
	}
}

// writeAllMisrouted writes the dead letters of the tasks that were sent here by mistake, once
// the shard is owned. Several lanes share a partition: the one whose name comes first
// does it.
func (h *OwnedShard) writeAllMisrouted() {
	if len(h.misrouted.found)+len(h.waitMisrouted.found) == 0 {
		return
	}
	running := false
	h.do(func(s *shard.Shard) { running = s.Running() })
	if !running {
		return
	}
	for _, r := range slices.Concat(h.misrouted.found, h.waitMisrouted.found) {
		if time.Since(h.elder) > laneSilent {
			h.writeMisrouted(r)
		}
	}
	h.misrouted.found, h.waitMisrouted.found = nil, nil
}

func (h *OwnedShard) writeMisrouted(r *kgo.Record) {
	config := &h.consumer.config
	why := shard.DeadLetter{Reason: schemas.ReasonNotALane, Text: misroutedWhy(r.Topic, config.Topics)}
	j := newJob(r, time.Now())
	config.Appender.writeDeadLetter(r, why, func() {
		h.do(func(*shard.Shard) { config.Runner.DeadLettered(j, why.Reason, why.Text) })
	})
}

// misroutedWhy is what a dead letter says of a task that was sent to a topic that is no lane.
func misroutedWhy(topic string, topics schemas.Topics) string {
	return fmt.Sprintf("the record is a task, and %s is no lane, so that nobody runs it; send it to %s or another lane",
		topic, topics.Lane(schemas.LaneFast))
}
