package taskview

import "github.com/aiecs/tasklane/internal/journal"

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
	next    map[topicPartition]int64
	folds   map[string]journal.State
	count   int
	bytes   int
	done    chan struct{}
}

func newBatch() *batch {
	return &batch{
		rows: map[runKey]*row{}, byTask: map[string][]*row{},
		records: map[int64][]byte{}, results: map[int64][]byte{},
		next: map[topicPartition]int64{}, folds: map[string]journal.State{},
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

// note remembers that a record has been read: its partition's next offset, and
// the state of its shard's fold if it counts. It is called under the same lock
// as the record's other changes, so that no batch is frozen between them.
func (b *batch) note(at topicPartition, next int64, stamp *journal.Stamp) {
	b.next[at] = next
	b.count++
	if stamp != nil {
		b.folds[stamp.Shard] = journal.State{Epoch: stamp.Epoch, Seq: stamp.Seq}
	}
}
