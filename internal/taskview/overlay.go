package taskview

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
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
	// cache are rows of tasks that have not ended and are in the database, so
	// that an event finds its task without a query.
	cache map[runKey]*row
}

func newOverlay() *overlay {
	return &overlay{
		kick: make(chan struct{}, 1), room: make(chan struct{}, 1),
		filling: newBatch(), cache: map[runKey]*row{},
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
	case o.cache[run] != nil:
		r = o.cache[run].clone()
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
func (o *overlay) skip(r *kgo.Record, stamp *fold.Stamp) {
	o.mu.Lock()
	o.filling.note(r, stamp)
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
// its unfinished rows in the cache.
func (o *overlay) committed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for run, r := range o.committing.rows {
		delete(o.cache, run)
		if r.task.open() && r.size() <= maxCachedBytes {
			o.keep(run, r)
		}
	}
	close(o.committing.done)
	o.committing = nil
}

// keep bounds the cache. Which row has to go does not matter: it costs
// one query to get it back.
func (o *overlay) keep(run runKey, r *row) {
	if len(o.cache) >= maxCached {
		for other := range o.cache {
			delete(o.cache, other)
			break
		}
	}
	o.cache[run] = r
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
	clear(o.cache)
}

// pending is closed when everything read so far is committed; nil if it is.
func (o *overlay) pending() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.filling.next) > 0 || len(o.filling.rows) > 0 {
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
	// webhook is nil unless it was given up.
	webhook *schemas.WebhookOutcome
}

// lookup returns the runs of an identity, or of all users with the task id if
// the user is empty. At most maxRunsShown are looked at.
func (o *overlay) lookup(key schemas.TaskKey) map[runKey]found {
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

// row is a run as the reader keeps it. The payloads are not in it: they are
// written once and read when asked for.
type row struct {
	id   int64
	task Task
}

// size estimates the bytes that keep the row in memory.
func (r *row) size() int {
	n := 512 + len(r.task.Message) + len(r.task.Error) + len(r.task.TaskName)
	for name, value := range r.task.Labels {
		n += len(name) + len(value)
	}
	return n
}

type topicPartition struct {
	topic     string
	partition int32
}

func partitionOf(r *kgo.Record) topicPartition { return topicPartition{r.Topic, r.Partition} }

// position is how far a partition has been read: the next offset, and the leader
// epoch in which the record before it was written, -1 if that is not known. By the
// epoch the broker says whether that record is still there (KIP-320). A broker that
// has one leader for ever cannot: print tells whether it is the same record.
type position struct {
	next  int64
	epoch int32
	print int64
}

type eventRow struct {
	row       int64
	partition int32
	offset    int64
	data      []byte
}

// batch is what has been read and is to be written in one transaction. It is
// filled by the reader under the overlay's lock, then frozen and written by the
// committer; done is closed when it is in the database or given up.
type batch struct {
	rows    map[runKey]*row
	byTask  map[string][]*row
	records map[int64][]byte // the tasks' own JSON by row
	results map[int64][]byte
	texts   []searchText
	events  []eventRow
	// webhooks are those that were given up, by run: it may not have been read yet.
	webhooks map[runKey]schemas.WebhookOutcome
	next     map[topicPartition]position
	folds    map[string]fold.State
	count    int
	bytes    int
	done     chan struct{}
}

func newBatch() *batch {
	return &batch{
		rows: map[runKey]*row{}, byTask: map[string][]*row{},
		records: map[int64][]byte{}, results: map[int64][]byte{}, webhooks: map[runKey]schemas.WebhookOutcome{},
		next: map[topicPartition]position{}, folds: map[string]fold.State{},
		done: make(chan struct{}),
	}
}

func (b *batch) full() bool { return b.count >= maxBatchRecords || b.bytes >= maxBatchBytes }

func (b *batch) put(run runKey, r *row) {
	if b.rows[run] == nil {
		b.byTask[run.TaskID] = append(b.byTask[run.TaskID], r)
	}
	b.rows[run] = r
}

// keepRecord keeps a task's own JSON, and what of it can be searched for.
func (b *batch) keepRecord(id int64, task *schemas.Task, record []byte) {
	b.records[id] = record
	b.texts = append(b.texts, inputText(id, task.UserID, task.InputData))
	b.bytes += len(record)
}

// note remembers that a record has been read: its partition's next offset, and
// the state of its shard's fold if it counts. It is called under the same lock
// as the record's other changes, so that no batch is frozen between them.
func (b *batch) note(r *kgo.Record, stamp *fold.Stamp) {
	b.next[partitionOf(r)] = position{next: r.Offset + 1, epoch: r.LeaderEpoch, print: printOf(r)}
	b.count++
	if stamp != nil {
		b.folds[stamp.Shard] = fold.State{Epoch: stamp.Epoch, Seq: stamp.Seq}
	}
}
