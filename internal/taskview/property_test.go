package taskview

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// The property: whatever stands in the log, however the partitions' records
// interleave, wherever the process is killed or its file deleted, the database
// ends up as a plain loop over each partition says.

var propertyTopics = schemas.Topics{Prefix: "p."}

// history is a log: the records of every partition.
type history map[topicPartition][]*kgo.Record

func (h history) append(r *kgo.Record) {
	at := topicPartition{r.Topic, r.Partition}
	r.Offset = int64(len(h[at]))
	r.Timestamp = epoch0.Add(time.Duration(len(h[at])) * time.Second)
	h[at] = append(h[at], r)
}

func drawHistory(t *rapid.T) history {
	h := history{}
	states := map[string]*fold.State{}
	for range rapid.IntRange(1, 60).Draw(t, "records") {
		lane := rapid.SampledFrom([]string{"fast", "heavy"}).Draw(t, "lane")
		partition := int32(rapid.IntRange(0, 1).Draw(t, "partition"))
		user := rapid.SampledFrom([]string{"ada", "bob"}).Draw(t, "user")
		id := rapid.SampledFrom([]string{"t1", "t2", "t3"}).Draw(t, "id")
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0, 1:
			value := []byte(taskJSON(user, id))
			h.append(&kgo.Record{Topic: propertyTopics.Lane(lane), Partition: partition, Value: value})
		case 2:
			h.append(&kgo.Record{Topic: propertyTopics.Lane(lane), Partition: partition, Value: []byte(`{"task_id":`)})
		case 3:
			h.append(&kgo.Record{Topic: propertyTopics.Events(), Partition: partition, Value: []byte(`foreign`)})
		default:
			h.append(drawEvent(t, states, runKey{schemas.TaskKey{UserID: user, TaskID: id}, lane, partition}))
		}
	}
	return h
}

// drawEvent makes a journal record that mostly continues its shard and
// sometimes is stale, repeated, after a gap, or in a foreign partition.
func drawEvent(t *rapid.T, states map[string]*fold.State, run runKey) *kgo.Record {
	shard := fmt.Sprintf("%s/%d", run.lane, run.partition)
	if states[shard] == nil {
		states[shard] = &fold.State{Epoch: 5}
	}
	st := states[shard]
	switch rapid.IntRange(0, 11).Draw(t, "stamp") {
	case 0:
		*st = fold.State{Epoch: st.Epoch + 1, Seq: 1}
	case 1:
		*st = fold.State{Epoch: max(1, st.Epoch-1), Seq: st.Seq}
	case 2:
		st.Seq = max(1, st.Seq)
	case 3:
		st.Seq += 2
	default:
		st.Seq++
	}
	if rapid.IntRange(0, 19).Draw(t, "foreign") == 0 {
		shard = run.lane + "/7"
	}
	stamp := fold.Stamp{Shard: shard, Epoch: st.Epoch, Seq: max(1, st.Seq)}
	e := state(run.UserID, run.TaskID, rapid.SampledFrom(schemas.Statuses()[:4]).Draw(t, "status"),
		rapid.IntRange(1, 3).Draw(t, "attempt"))
	e.Kind = rapid.SampledFrom([]schemas.Kind{
		schemas.KindState, schemas.KindState, schemas.KindState, schemas.KindProgress, schemas.KindOutput,
		schemas.KindRepeat, schemas.KindFence, schemas.KindMark,
	}).Draw(t, "kind")
	e.Time = schemas.AtTime(epoch0.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "time")) * time.Second))
	if e.Kind == schemas.KindState && e.Status == schemas.Completed {
		e.Result = jsontext.Value(`{"n":1}`)
	}
	if e.Kind == schemas.KindFence || e.Kind == schemas.KindMark {
		e.UserID, e.TaskID = "", ""
	}
	return eventRecord(propertyTopics.Events(), run.partition, stamp, e)
}

// picture is what the model and the database are compared by.
type picture struct {
	Offset, FirstEvent      int64
	Status                  schemas.Status
	Attempt, Repeats        int
	Message, Record, Result string
	Created, Updated, Ended int64
	EventOffsets            []int64
}

// model says what the log means, in the plainest way: whole partitions one
// after the other, the journal first.
func model(h history) map[runKey]picture {
	m := map[runKey]picture{}
	at := func(run runKey) picture {
		if p, ok := m[run]; ok {
			return p
		}
		return picture{Offset: -1, FirstEvent: -1, Status: schemas.Pending, Updated: -1 << 62, Created: -1}
	}
	for partition := range int32(2) {
		folds := map[string]*fold.State{}
		for _, r := range h[topicPartition{propertyTopics.Events(), partition}] {
			modelEvent(m, at, folds, r)
		}
		for _, lane := range []string{"fast", "heavy"} {
			for _, r := range h[topicPartition{propertyTopics.Lane(lane), partition}] {
				task, err := schemas.DecodeTask(r.Value)
				if err != nil {
					continue
				}
				run := runKey{schemas.TaskKey{UserID: task.UserID, TaskID: task.TaskID}, lane, partition}
				p := at(run)
				if p.Offset < 0 {
					p.Offset, p.Record, p.Created = r.Offset, string(r.Value), r.Timestamp.UnixMilli()
					p.Updated = max(p.Updated, p.Created)
				}
				m[run] = p
			}
		}
	}
	return m
}

func modelEvent(m map[runKey]picture, at func(runKey) picture, folds map[string]*fold.State, r *kgo.Record) {
	stamp, ok := fold.ReadStamp(r.Headers)
	if !ok {
		return
	}
	id, _ := fold.ParseShardID(stamp.Shard)
	if id.Partition != r.Partition {
		return
	}
	if folds[stamp.Shard] == nil {
		folds[stamp.Shard] = &fold.State{}
	}
	if !folds[stamp.Shard].Step(stamp.Epoch, stamp.Seq, r.Timestamp.UnixMilli()).Counted() {
		return
	}
	e, _ := schemas.DecodeEvent(r.Value)
	if e.Kind == schemas.KindFence || e.Kind == schemas.KindMark {
		return
	}
	run := runKey{schemas.TaskKey{UserID: e.UserID, TaskID: e.TaskID}, id.Lane, r.Partition}
	p := at(run)
	if e.Kind != schemas.KindRepeat && p.Status.Terminal() {
		return
	}
	if p.Created < 0 {
		p.Created = e.Time.UnixMilli()
	}
	p.Updated = max(p.Updated, e.Time.UnixMilli())
	if e.Kind == schemas.KindRepeat {
		p.Repeats++
		m[run] = p
		return
	}
	if p.FirstEvent < 0 {
		p.FirstEvent = r.Offset
	}
	p.EventOffsets = append(p.EventOffsets, r.Offset)
	p.Attempt, p.Message = e.Attempt, e.Message
	if e.Kind == schemas.KindState {
		p.Status = e.Status
		if p.Status.Terminal() {
			p.Ended, p.Result = e.Time.UnixMilli(), string(e.Result)
		}
	}
	m[run] = p
}

// machine is a session without a client, whose commits the test makes.
type machine struct {
	dir  string
	s    *session
	next map[topicPartition]int64
}

func (m *machine) open() error {
	st, err := openStore(context.Background(), m.dir)
	if err != nil {
		return err
	}
	point, err := st.load(context.Background())
	if err != nil {
		return err
	}
	v := &View{overlay: newOverlay(), positions: newPositions(), waiters: newWaiters(), submitted: newSubmitted(),
		watches: newWatches()}
	m.next = map[topicPartition]int64{}
	for at, to := range point.next {
		m.next[at] = to.next
	}
	v.positions.reset(map[topicPartition]int64{})
	m.s = &session{
		view: v, store: st, nextID: point.nextID, fold: fold.New(point.folds), shards: map[string]int32{}, marks: newMarks(),
		log: &logClient{events: propertyTopics.Events(),
			lanes: map[string]string{propertyTopics.Lane("fast"): "fast", propertyTopics.Lane("heavy"): "heavy"}},
	}
	return nil
}

func (m *machine) commit() error {
	b := m.s.view.overlay.freeze()
	if b == nil {
		return nil
	}
	if err := m.s.store.commit(context.Background(), b); err != nil {
		return err
	}
	m.s.view.overlay.committed()
	return nil
}

// step reads one record of a partition that has one left; false if none has.
func (m *machine) step(t *rapid.T, h history) bool {
	var left []topicPartition
	for _, topic := range []string{propertyTopics.Events(), propertyTopics.Lane("fast"), propertyTopics.Lane("heavy")} {
		for p := range int32(2) {
			if at := (topicPartition{topic, p}); m.next[at] < int64(len(h[at])) {
				left = append(left, at)
			}
		}
	}
	if len(left) == 0 {
		return false
	}
	at := rapid.SampledFrom(left).Draw(t, "partition read")
	if err := m.s.take(context.Background(), h[at][m.next[at]]); err != nil {
		t.Fatal(err)
	}
	m.next[at]++
	return true
}

func (m *machine) pictures(t *rapid.T, runs map[runKey]picture) map[runKey]picture {
	got := map[runKey]picture{}
	for run := range runs {
		r, err := m.s.store.run(context.Background(), run)
		if err != nil {
			t.Fatal(err)
		}
		if r == nil {
			continue
		}
		record, _ := m.s.store.payload(context.Background(), "records", r.id)
		result, _ := m.s.store.payload(context.Background(), "results", r.id)
		p := picture{
			Offset: r.task.Offset, FirstEvent: r.task.FirstEvent, Status: r.task.Status, Attempt: r.task.Attempt,
			Repeats: r.task.Repeats, Message: r.task.Message, Record: string(record), Result: string(result),
			Created: r.task.CreatedAt.UnixMilli(), Updated: r.task.UpdatedAt.UnixMilli(),
		}
		if r.task.EndedAt != nil {
			p.Ended = r.task.EndedAt.UnixMilli()
		}
		p.EventOffsets = m.eventOffsets(t, r.id)
		got[run] = p
	}
	return got
}

// eventOffsets are where the stored events of a row stand in the log.
func (m *machine) eventOffsets(t *rapid.T, row int64) (offsets []int64) {
	rows, err := m.s.store.read.Query("SELECT log_offset FROM events WHERE task = ? ORDER BY log_offset", row)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var offset int64
		if err := rows.Scan(&offset); err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, offset)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return offsets
}

func TestViewEqualsModel(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		onDisk := rapid.IntRange(0, 4).Draw(t, "on disk") == 0
		m := &machine{}
		if onDisk {
			m.dir = dir
		}
		if err := removeFiles(m.dir); err != nil {
			t.Fatal(err)
		}
		reopen := func() {
			if err := m.open(); err != nil {
				t.Fatal(err)
			}
		}
		reopen()
		defer func() { m.s.store.close() }()
		for m.step(t, h) {
			switch rapid.IntRange(0, 14).Draw(t, "then") {
			case 0, 1, 2:
				if err := m.commit(); err != nil {
					t.Fatal(err)
				}
			case 3: // killed: what was not committed is read again
				if onDisk {
					m.s.store.close()
					reopen()
				}
			}
		}
		if err := m.commit(); err != nil {
			t.Fatal(err)
		}
		want := model(h)
		if diff := cmp.Diff(want, m.pictures(t, want), cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		var rows int
		if err := m.s.store.read.QueryRow("SELECT count(*) FROM tasks").Scan(&rows); err != nil || rows != len(want) {
			t.Fatalf("%d rows for %d runs: %v", rows, len(want), err)
		}
	})
}

// laneRecord is a record of a lane.
func laneRecord(lane string, partition int32, offset int64, value string) *kgo.Record {
	return &kgo.Record{Topic: propertyTopics.Lane(lane), Partition: partition, Offset: offset, Timestamp: epoch0,
		Value: []byte(value)}
}
