package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
)

// modelLog is task-events in memory.
type modelLog struct {
	mu    sync.Mutex
	parts []modelPartition
	moved chan struct{} // closed and replaced at each append
}

// modelPartition has every record there ever was; those before start are gone for readers.
type modelPartition struct {
	all        []record
	start, end int64
	// events are those that somebody sees who reads from the very first record on.
	states *fold.Fold
	events []modelEvent
}

type modelEvent struct {
	Event
	user   string
	offset int64
}

func newModelLog(partitions int) *modelLog {
	l := &modelLog{parts: make([]modelPartition, partitions), moved: make(chan struct{})}
	for p := range l.parts {
		l.parts[p].states = fold.New(nil)
	}
	return l
}

// append adds a record some offsets behind the last one; value is told the offset.
func (l *modelLog) append(partition int32, gap int64, key string, value func(offset int64) string, stamp *fold.Stamp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	part := &l.parts[partition]
	rec := record{partition: partition, offset: part.end + gap, time: time.Now(), key: []byte(key)}
	rec.value = []byte(value(rec.offset))
	if stamp != nil {
		rec.stamp, rec.stamped = *stamp, true
	}
	part.all, part.end = append(part.all, rec), rec.offset+1
	if rec.stamped && part.states.Step(rec.stamp, rec.time).Counted() {
		e := modelEvent{user: key, offset: rec.offset}
		if ok, _ := e.Read(rec.key, rec.value, rec.time); ok {
			part.events = append(part.events, e)
		}
	}
	close(l.moved)
	l.moved = make(chan struct{})
}

func (l *modelLog) vector(of func(*modelPartition) int64) ([]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	offsets := make([]int64, len(l.parts))
	for p := range l.parts {
		offsets[p] = of(&l.parts[p])
	}
	return offsets, nil
}

func (l *modelLog) starts(context.Context) ([]int64, error) {
	return l.vector(func(p *modelPartition) int64 { return p.start })
}

func (l *modelLog) ends(context.Context) ([]int64, error) {
	return l.vector(func(p *modelPartition) int64 { return p.end })
}

func (l *modelLog) after(_ context.Context, t time.Time) ([]int64, error) {
	return l.vector(func(p *modelPartition) int64 { return p.after(t) })
}

func (p *modelPartition) after(t time.Time) int64 {
	for i := range p.all {
		if rec := &p.all[i]; rec.offset >= p.start && !rec.time.Before(t.Truncate(time.Millisecond)) {
			return rec.offset
		}
	}
	return p.end
}

func (l *modelLog) scan(from map[int32]place) (scanned, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &modelTail{log: l, next: make(map[int32]int64)}
	for p, at := range from {
		if t.next[p] = at.offset; !at.after.IsZero() {
			t.next[p] = l.parts[p].after(at.after)
		}
	}
	return t, nil
}

// modelTail gives a few records at a time, of partitions in any order.
type modelTail struct {
	log  *modelLog
	next map[int32]int64
	most int // records of a poll; 0 for some
	// skips says that it goes on where retention has overtaken it.
	skips bool
}

func (t *modelTail) close() {}

func (t *modelTail) poll(ctx context.Context, visit func(*record)) error {
	for {
		t.log.mu.Lock()
		moved := t.log.moved
		got, err := t.take()
		t.log.mu.Unlock()
		for i := range got {
			visit(&got[i])
		}
		if len(got) > 0 || err != nil {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *modelTail) take() (got []record, err error) {
	most := t.most
	if most == 0 {
		most = 1 + rand.IntN(20)
	}
	for p, next := range t.next { // in any order
		part := &t.log.parts[p]
		if next < part.start {
			if !t.skips {
				return got, fmt.Errorf("partition %d: offset %d is out of range", p, next)
			}
			next = part.start
		}
		i, _ := slices.BinarySearchFunc(part.all, next, func(r record, offset int64) int { return int(r.offset - offset) })
		for ; i < len(part.all) && len(got) < most; i++ {
			got, next = append(got, part.all[i]), part.all[i].offset+1
		}
		t.next[p] = next
	}
	return got, nil
}

// modelRetention is more than the reader of an instance may be behind: what it is overtaken in, nobody there gets to
// see.
const modelRetention = 10 * time.Second

// retain lets records go as retention does: never so that what was superseded or repeated is the first that is left of
// a shard, since nobody could tell then.
func (l *modelLog) retain(partition int32, keep int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	part := &l.parts[partition]
	if keep == 0 || len(part.all) <= keep {
		return
	}
	start := min(part.all[len(part.all)-keep].offset, part.after(time.Now().Add(-modelRetention)))
	states, begun := fold.New(nil), make(map[string]bool)
	for i := range part.all {
		rec := &part.all[i]
		if !rec.stamped {
			continue
		}
		counted := states.Step(rec.stamp, rec.time).Counted()
		if rec.offset >= start && !begun[rec.stamp.Shard] {
			if begun[rec.stamp.Shard] = true; !counted {
				return
			}
		}
	}
	part.start = max(part.start, start)
}

// naive is what a reader from the very first record sees of a user, by partition: the offsets of events that count.
func (l *modelLog) naive(want Filter) [][]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make([][]int64, len(l.parts))
	for p := range l.parts {
		for i := range l.parts[p].events {
			if e := &l.parts[p].events[i]; e.user == want.User && want.Wants(&e.Event) {
				seen[p] = append(seen[p], e.offset)
			}
		}
	}
	return seen
}

// dump is a partition's records, one a line.
func (l *modelLog) dump(p int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "from %d:\n", l.parts[p].start)
	for _, rec := range l.parts[p].all {
		fmt.Fprintf(&b, "%d %s %+v %s %.60s\n", rec.offset, rec.time.Format("15:04:05.000"), rec.stamp, rec.key, rec.value)
	}
	return b.String()
}

// modelShard is the journal of one lane in a partition.
type modelShard struct {
	partition int32
	stamp     fold.Stamp   // the last one
	past      []fold.Stamp // the last ones of owners before
}

// modelWriter appends what owners, zombies and strangers write.
type modelWriter struct {
	*rand.Rand
	log    *modelLog
	shards []*modelShard
	users  int
}

func newModelWriter(r *rand.Rand, log *modelLog, users int) *modelWriter {
	w := &modelWriter{Rand: r, log: log, users: users}
	for p := range int32(len(log.parts)) {
		for _, lane := range []string{"fast", "heavy"}[:1+r.IntN(2)] {
			s := &modelShard{partition: p, stamp: fold.Stamp{Shard: fold.ShardID{Lane: lane, Partition: p}.String()}}
			w.shards = append(w.shards, s)
			w.takeOver(s)
		}
	}
	return w
}

func (w *modelWriter) takeOver(s *modelShard) {
	if s.stamp.Epoch > 0 {
		s.past = append(s.past, s.stamp)
	}
	s.stamp.Epoch, s.stamp.Seq = s.stamp.Epoch+1+w.Int64N(3), 1
	w.own(s.partition, s.stamp, "fence")
}

// own appends what is for owners alone, which has no key.
func (w *modelWriter) own(partition int32, stamp fold.Stamp, kind string) {
	w.log.append(partition, 0, "", func(int64) string { return `{"kind":"` + kind + `"}` }, &stamp)
}

// marks is the heartbeat of every owner.
func (w *modelWriter) marks() {
	for _, s := range w.shards {
		s.stamp.Seq++
		w.own(s.partition, s.stamp, "mark")
	}
}

func (w *modelWriter) event(partition int32, stamp *fold.Stamp) {
	user := fmt.Sprintf("user-%d", w.IntN(w.users))
	task, batch, size := w.IntN(3), w.IntN(2), w.IntN(200)
	var gap int64
	if w.IntN(10) == 0 {
		gap = 1 + w.Int64N(3) // the marker of a transaction, or what was compacted
	}
	w.log.append(partition, gap, user, func(offset int64) string {
		return fmt.Sprintf(`{"task_id":"task-%d","user_id":%q,"kind":"state","batch_id":"batch-%d","message":"%d/%d",`+
			`"more":"%*d"}`,
			task, user, batch, partition, offset, size, 0)
	}, stamp)
}

// step appends something.
func (w *modelWriter) step() {
	s := w.shards[w.IntN(len(w.shards))]
	switch w.IntN(16) {
	default:
		s.stamp.Seq++
		w.event(s.partition, &s.stamp)
	case 0:
		w.takeOver(s)
	case 1, 2: // a zombie, which goes on with its own sequence
		if len(s.past) > 0 {
			old := &s.past[w.IntN(len(s.past))]
			old.Seq++
			w.event(s.partition, old)
		}
	case 3: // a producer that did not see its acknowledgement
		again := s.stamp
		again.Seq -= w.Int64N(2)
		w.event(s.partition, &again)
	case 4: // a stranger
		w.event(s.partition, nil)
	case 5: // it counts and is no event that anybody may see
		s.stamp.Seq++
		values := []string{`{"task_id":"t","user_id":"somebody else"}`, `{`, `{"task_id":"t","user_id":"user-0","cursor":1}`}
		value := values[w.IntN(len(values))]
		w.log.append(s.partition, 0, "user-0", func(int64) string { return value }, &s.stamp)
	case 6:
		if w.IntN(3) == 0 {
			w.log.retain(s.partition, w.IntN(40))
		}
	}
}
