package lane

import (
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// evict ends the job that holds up the shard, if there is one: its work is
// stopped, its record goes to the dead letters, and then it fails as blocked.
func (h *OwnedShard) evict() {
	c := &h.consumer.config
	if c.KeepBlockers {
		return
	}
	var b shard.Blocker
	var evicted bool
	h.do(func(s *shard.Shard) {
		var found bool
		if b, found = s.Blocker(c.ReadAhead, c.ReadAheadBytes); !found {
			return
		}
		evicted = s.ConcludeDeadLettered(b.Job, s.Events().Failed(b.Job, schemas.CodeBlocked, b.String()))
		if evicted {
			(*port)(h).Stop(b.Job)
		}
	})
	if evicted {
		t := b.Job.Task
		h.consumer.log.Error("task holds up its shard and is evicted", "shard", h.name, "task_id", t.TaskID, "user_id",
			t.UserID,
			"service", t.Mode+"/"+t.Service, "offset", b.Job.Offset, "ran", b.Ran, "window", b.Held, "finished",
			b.Finished, "bytes", b.Bytes)
	}
}
