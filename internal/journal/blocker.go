package journal

import (
	"fmt"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// A window that is this full, and of which so much is finished, is held up by
// its head alone. The second condition is what tells a blocker from an outage,
// in which nothing finishes and the whole lane would go to the dead letters.
const (
	blockedFull     = 0.90
	blockedFinished = 0.98
	// blockerGrace is how long the head has to have run: one that was started a
	// moment ago, late in its turn, may end in the next.
	blockerGrace = time.Second
)

// Blocker is a job that holds up its shard, and what shows it.
type Blocker struct {
	Job *Job
	// Held and Bytes are the size of the window, Finished how many of its
	// records are done.
	Held, Bytes, Finished int
}

// Blocker finds the job that alone keeps the window from moving, by
// uForwarder's rule: the window is more than 90% full, in records or in bytes,
// and more than 98% of it is finished. Only work that has started can be one:
// what waits in the queue gets its turn when nothing else is left to run.
func (s *Shard) Blocker(records, bytes int) (Blocker, bool) {
	b := Blocker{Held: s.tracker.len(), Bytes: s.tracker.bytes}
	full := float64(b.Held) > blockedFull*float64(records) || float64(b.Bytes) > blockedFull*float64(bytes)
	if s.phase != phaseRunning || !full || b.Held == 0 {
		return b, false
	}
	live := s.tracker.live()
	if b.Job = live[0]; b.Job.stage != stageRunning {
		return b, false
	}
	for _, j := range live {
		if j.finished {
			b.Finished++
		}
	}
	return b, float64(b.Finished) > blockedFinished*float64(b.Held)
}

// evict ends the job that holds up the shard, if there is one: its work is
// stopped, its record goes to the dead letters, and then it fails as blocked.
func (h *Held) evict(now time.Time) {
	c := &h.consumer.config
	if c.KeepBlockers {
		return
	}
	var b Blocker
	var ran time.Duration
	var evicted bool
	h.do(func(s *Shard) {
		// First what costs nothing: a backlog keeps the window full, and it has
		// 50,000 records.
		head := s.tracker.first()
		if head == nil || head.stage != stageRunning {
			return
		}
		if ran = now.Sub(head.Payload.(*Delivery).started); ran < blockerGrace {
			return
		}
		var found bool
		if b, found = s.Blocker(c.ReadAhead, c.ReadAheadBytes); !found {
			return
		}
		evicted = s.Condemn(b.Job, s.FailedEvent(b.Job, schemas.CodeBlocked, b.describe(ran)))
		if evicted {
			c.Runner.Stop(h, b.Job)
		}
	})
	if evicted {
		t := b.Job.Task
		h.consumer.log.Error("task holds up its shard and is evicted", "shard", h.name, "task_id", t.TaskID, "user_id", t.UserID,
			"service", t.Mode+"/"+t.Service, "offset", b.Job.Offset, "ran", ran, "window", b.Held, "finished", b.Finished, "bytes", b.Bytes)
	}
}

func (b Blocker) describe(ran time.Duration) string {
	return fmt.Sprintf("the task has run for %v and holds up its partition: of the %d records (%d bytes) received from it on, %d are finished",
		ran.Round(time.Millisecond), b.Held, b.Bytes, b.Finished)
}
