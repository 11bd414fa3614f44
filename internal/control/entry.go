package control

import (
	"container/heap"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// entry is a control in force.
type entry struct {
	key     string
	control *schemas.Control
	bytes   int
	place   int // in its queue
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

// expiryQueue holds entries that expire, the next one first.
type expiryQueue []*entry

// Len implements heap.Interface.
func (q expiryQueue) Len() int { return len(q) }

// Less implements heap.Interface.
func (q expiryQueue) Less(i, j int) bool {
	return q[i].control.ExpiresAt.Before(q[j].control.ExpiresAt.Time)
}

// Swap implements heap.Interface.
func (q expiryQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *expiryQueue) Push(e any) {
	added := e.(*entry)
	added.place = len(*q)
	*q = append(*q, added)
}

// Pop implements heap.Interface.
func (q *expiryQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}

// add takes an entry that expires; others are none of its business.
func (q *expiryQueue) add(e *entry) {
	if e.control.ExpiresAt != nil {
		heap.Push(q, e)
	}
}

// remove forgets an entry that was added.
func (q *expiryQueue) remove(e *entry) {
	if e.control.ExpiresAt != nil {
		heap.Remove(q, e.place)
	}
}

// due is the next entry that has expired; nil if none has.
func (q expiryQueue) due(now time.Time) *entry {
	if len(q) == 0 || inForce(q[0].control, now) {
		return nil
	}
	return q[0]
}
