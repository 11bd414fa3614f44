package processortest

import (
	"sync"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// Claims are those of unique tasks in one shard, over several runs: see [WithClaims].
// The zero value has none. It may be used by runs side by side.
type Claims struct {
	mu   sync.Mutex
	held map[content]holding
}

// content is what a task may have for itself in a lane.
type content struct {
	lane string
	sum  [16]byte
}

// holding is the task that has it, and until when.
type holding struct {
	taskID string
	until  time.Time
}

// WithClaims runs a task beside others that were given the same claims: one with the
// content of another that completed within its ttl_ms, or runs, ends as a duplicate
// without being started. Without it each task has a shard of its own.
func WithClaims(c *Claims) Option { return func(r *run) { r.claims = c } }

// take claims the content of a task whose record is of a time. If another task has
// it, that is the holder, and "" otherwise.
func (c *Claims) take(lane string, t *schemas.Task, at time.Time) (holder string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what := content{lane, t.ContentSum()}
	if h, known := c.held[what]; known && at.Before(h.until) {
		return h.taskID
	}
	if c.held == nil {
		c.held = map[content]holding{}
	}
	c.held[what] = holding{t.TaskID, at.Add(t.Unique.TTL())}
	return ""
}

// free gives up what a task has that ended without completing.
func (c *Claims) free(lane string, t *schemas.Task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what := content{lane, t.ContentSum()}
	if c.held[what].taskID == t.TaskID {
		delete(c.held, what)
	}
}

// disclaim frees the content of a task that had to be unique and has not completed.
func (r *run) disclaim() {
	if r.claims != nil && r.task.Unique != nil && r.outcome.Status() != schemas.Completed {
		r.claims.free(r.lane, r.task)
	}
}

// unique reports whether the task may be run: it need not be unique, or has its claim
// now. Otherwise it has ended.
func (r *run) unique() bool {
	r.t.Helper()
	if r.claims == nil || r.task.Unique == nil {
		return true
	}
	holder := r.claims.take(r.lane, r.task, r.now())
	switch holder {
	case "":
		return true
	case r.task.TaskID:
		r.t.Fatalf("task %s holds the claim itself: a processor would take this one for the same task sent "+
			"again; give it another task_id", holder)
	}
	e := r.event(schemas.KindState, "", "")
	e.DuplicateOf = holder
	r.endAs(e, processor.Ending{
		Status: schemas.Cancelled, Code: schemas.CodeDuplicate, Message: "Cancelled as a duplicate: " + r.task.TaskName,
		Error: "task " + holder + " has the same content, and its claim to it holds",
	})
	return false
}
