package control

import (
	"time"

	"github.com/aiecs/tasklane/internal/heap"
	"github.com/aiecs/tasklane/schemas"
)

// entry is a control in force.
type entry struct {
	key     string
	control *schemas.Control
	bytes   int
	place   int // in its queue
	// A user's cancels before and after it.
	older, newer *entry
}

// entryBytes is what an entry takes beside its texts: the record, the entry,
// and its places in the maps.
const entryBytes = 600

func newEntry(key string, c *schemas.Control) *entry {
	t := &c.Target
	texts := 2*len(key) + len(c.By) + len(c.Reason) + len(c.Unknown) +
		len(t.UserID) + len(t.TaskID) + len(t.TaskName) + len(t.Mode) + len(t.Service) + len(t.Lane)
	return &entry{key: key, control: c, bytes: entryBytes + texts}
}

// inForce reports whether a control asks for anything at a time. A resume, a
// kill switch that is off and limits without a limit only end what was before.
func inForce(c *schemas.Control, now time.Time) bool {
	if c.ExpiresAt != nil && !now.Before(c.ExpiresAt.Time) {
		return false
	}
	switch c.Kind {
	case schemas.ControlCancel, schemas.ControlPause:
		return true
	case schemas.ControlKillSwitch:
		return !c.Off
	case schemas.ControlLimits:
		return c.Limits.MaxRunning != nil || c.Limits.MaxStartsPerS != nil
	}
	return false
}

// Before puts the entry first that expires first.
func (e *entry) Before(o *entry) bool { return e.control.ExpiresAt.Before(o.control.ExpiresAt.Time) }

// Place is the entry's in its queue.
func (e *entry) Place() *int { return &e.place }

// expiryQueue holds entries that expire, the next one first.
type expiryQueue struct{ entries heap.Heap[*entry] }

// add takes an entry that expires; others are none of its business.
func (q *expiryQueue) add(e *entry) {
	if e.control.ExpiresAt != nil {
		q.entries.Push(e)
	}
}

// remove forgets an entry that was added.
func (q *expiryQueue) remove(e *entry) {
	if e.control.ExpiresAt != nil {
		q.entries.Remove(e)
	}
}

// due is the next entry that has expired; nil if none has.
func (q *expiryQueue) due(now time.Time) *entry {
	if q.entries.Len() == 0 || inForce(q.entries.Top().control, now) {
		return nil
	}
	return q.entries.Top()
}
