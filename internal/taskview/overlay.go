package taskview

import (
	"sync"

	"github.com/aiecs/tasklane/internal/journal"
)

// overlay is what has been read and is not in the database yet: a batch that is
// being filled and one that is being written. Lookups see both, newest first.
//
// One reader fills it and one committer empties it; anybody may look.
type overlay struct {
	kick chan struct{} // capacity 1: there is something to commit
	room chan struct{} // capacity 1: the filling batch has been taken

	mu         sync.Mutex
	filling    *batch
	committing *batch // nil when the committer is idle
	// atHand are rows of tasks that have not ended and are in the database, so
	// that an event finds its task without a query.
	atHand map[runKey]*row
}

func newOverlay() *overlay {
	return &overlay{
		kick: make(chan struct{}, 1), room: make(chan struct{}, 1),
		filling: newBatch(), atHand: map[runKey]*row{},
	}
}

// update runs f on the run's row as it may be changed in the filling batch,
// starting from loaded if the memory does not have it. It returns false, having
// done nothing, if both do not: the caller loads the row and tries again.
//
// The row is looked up under the same lock that f runs under. One that was
// looked up before could meanwhile have been frozen and be on its way to disk.
func (o *overlay) update(run runKey, loaded *row, f func(*batch, *row)) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.filling.rows[run]
	switch {
	case r != nil:
	case o.committing != nil && o.committing.rows[run] != nil:
		r = o.committing.rows[run].clone()
	case o.atHand[run] != nil:
		r = o.atHand[run].clone()
	case loaded != nil:
		r = loaded
	default:
		return false
	}
	o.filling.put(run, r)
	f(o.filling, r)
	return true
}

// clone is a copy that can be changed while the original is being written or
// read. Pointers and maps inside a task are replaced, never written through.
func (r *row) clone() *row {
	c := *r
	return &c
}

// full reports whether the reader has to wait.
func (o *overlay) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.filling.full()
}

// skip notes a record that changes no row.
func (o *overlay) skip(at topicPartition, next int64, stamp *journal.Stamp) {
	o.mu.Lock()
	o.filling.note(at, next, stamp)
	o.mu.Unlock()
}

// freeze takes the filling batch for the committer; nil if it is empty.
func (o *overlay) freeze() *batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.filling.next) == 0 && len(o.filling.rows) == 0 {
		return nil
	}
	o.committing, o.filling = o.filling, newBatch()
	signal(o.room)
	return o.committing
}

// committed forgets the frozen batch, which is in the database now, and keeps
// its unfinished rows at hand.
func (o *overlay) committed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for run, r := range o.committing.rows {
		delete(o.atHand, run)
		if !r.task.Status.Terminal() && r.size() <= maxAtHandBytes {
			o.keep(run, r)
		}
	}
	close(o.committing.done)
	o.committing = nil
}

// keep bounds what is at hand. Which row has to go does not matter: it costs
// one query to get it back.
func (o *overlay) keep(run runKey, r *row) {
	if len(o.atHand) >= maxAtHand {
		for other := range o.atHand {
			delete(o.atHand, other)
			break
		}
	}
	o.atHand[run] = r
}

// abandon releases who waits for a commit; the session is over and what was
// not committed will be read again.
func (o *overlay) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.committing != nil {
		close(o.committing.done)
		o.committing = nil
	}
	close(o.filling.done)
	o.filling = newBatch()
	clear(o.atHand)
}

// pending is closed when everything read so far is committed; nil if it is.
func (o *overlay) pending() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.filling.next) > 0 {
		return o.filling.done
	}
	if o.committing != nil {
		return o.committing.done
	}
	return nil
}

// found is a row seen by a lookup, with those payloads that are in memory.
type found struct {
	id     int64
	task   Task
	record []byte
	result []byte
}

// lookup returns the runs of an identity, or of all users with the task id if
// the user is empty. At most maxRunsShown are looked at.
func (o *overlay) lookup(key Key) map[runKey]found {
	o.mu.Lock()
	defer o.mu.Unlock()
	runs := map[runKey]found{}
	for _, b := range []*batch{o.filling, o.committing} {
		if b == nil {
			continue
		}
		for _, r := range b.byTask[key.TaskID] {
			run := r.task.run()
			if _, seen := runs[run]; seen || (key.UserID != "" && run.UserID != key.UserID) || len(runs) >= maxRunsShown {
				continue
			}
			runs[run] = found{id: r.id, task: r.task, record: o.payload(r.id, false), result: o.payload(r.id, true)}
		}
	}
	return runs
}

func (o *overlay) payload(id int64, result bool) []byte {
	for _, b := range []*batch{o.filling, o.committing} {
		if b == nil {
			continue
		}
		payloads := b.records
		if result {
			payloads = b.results
		}
		if p := payloads[id]; p != nil {
			return p
		}
	}
	return nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
