package history

import (
	"bytes"
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	// ringSegments is in how many pieces the ring is let go of.
	ringSegments = 64
	// ringOverhead is what an event in the ring costs beside its bytes, with the index.
	ringOverhead = 128
)

// ring is the newest events of all partitions that count, in memory, so that a client that was away for a moment gets
// them without the broker. It is bounded in bytes and in time.
//
// Events are in segments, oldest first, each with an index by user; what is to go goes by the segment. The live reader
// adds an event BEFORE it moves its position past it: what is below a snapshot of the positions is here, from the
// partition's start in from on.
type ring struct {
	limit int // bytes, none for a ring that keeps nothing
	age   time.Duration
	seed  maphash.Seed

	mu       sync.Mutex
	segments []*segment
	bytes    int
	newest   int64 // id of the last segment there was
	// from is where the ring begins in each partition: every event that counts from there on is in it.
	from []int64
	// ends is where it ends.
	ends []int64
}

// notBegun is where a partition begins that is not in the ring yet.
const notBegun = math.MaxInt64

// segment is a piece of the ring. Its bytes never change once they are there, so records of it stay valid without the
// lock.
type segment struct {
	id      int64 // ascending
	data    []byte
	entries []entry
	// last is the newest entry of each user, by the hash of the name.
	last map[uint64]int32
	// ends is where the ring ended when the next segment was begun, nil for the last one.
	ends []int64
}

// entry is one event: its key and value stand in the segment's data.
type entry struct {
	offset     int64
	appended   int64 // milliseconds; a time would be a pointer to look after
	partition  int32
	start      int32
	key, value int32 // lengths
	before     int32 // the user's entry before it in the segment, -1 for none
}

func newRing(limit int, age time.Duration) *ring {
	return &ring{limit: max(limit, 0), age: age, seed: maphash.MakeSeed()}
}

// begin says that a partition's events are added from an offset on.
func (r *ring) begin(partition int32, offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grow(partition)
	r.from[partition], r.ends[partition] = offset, offset
}

func (r *ring) grow(partition int32) {
	for int(partition) >= len(r.from) {
		r.from, r.ends = append(r.from, notBegun), append(r.ends, 0)
	}
}

// rewind forgets everything: the log has lost records of the partition from the offset on, and has others in their
// place.
func (r *ring) rewind(partition int32, offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.segments) > 0 {
		r.drop()
	}
	r.grow(partition)
	r.from[partition], r.ends[partition] = offset, offset
}

// reset forgets everything, partitions among it.
func (r *ring) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.segments) > 0 {
		r.drop()
	}
	r.from, r.ends = nil, nil
}

// add takes an event that counts; each partition's in order.
func (r *ring) add(rec *record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := rec.partition
	if int(p) >= len(r.from) || rec.offset < r.from[p] {
		return
	}
	length := len(rec.key) + len(rec.value)
	size := length + ringOverhead
	if size > r.limit {
		r.from[p], r.ends[p] = rec.offset+1, rec.offset+1
		return
	}
	for r.bytes+size > r.limit {
		r.drop()
	}
	r.bytes += size
	r.segment(length).add(rec, maphash.Bytes(r.seed, rec.key))
	r.ends[p] = rec.offset + 1 // after the segment before this one was ended
}

// segment is the one with room for so many bytes.
func (r *ring) segment(length int) *segment {
	most := r.limit / ringSegments
	if n := len(r.segments); n > 0 {
		last := r.segments[n-1]
		if len(last.data)+length <= cap(last.data) && len(last.entries)*ringOverhead < most {
			return last
		}
		last.ends = slices.Clone(r.ends)
	}
	r.newest++
	s := &segment{id: r.newest, data: make([]byte, 0, max(most, length)), last: make(map[uint64]int32)}
	r.segments = append(r.segments, s)
	return s
}

func (s *segment) add(rec *record, user uint64) {
	before, ok := s.last[user]
	if !ok {
		before = -1
	}
	s.last[user] = int32(len(s.entries))
	s.entries = append(s.entries, entry{
		offset: rec.offset, appended: rec.time.UnixMilli(), partition: rec.partition, start: int32(len(s.data)),
		key: int32(len(rec.key)), value: int32(len(rec.value)), before: before,
	})
	s.data = append(append(s.data, rec.key...), rec.value...)
}

// drop lets the oldest segment go.
func (r *ring) drop() {
	s := r.segments[0]
	for _, e := range s.entries {
		r.from[e.partition] = max(r.from[e.partition], e.offset+1)
	}
	r.bytes -= len(s.data) + len(s.entries)*ringOverhead
	r.segments = slices.Delete(r.segments, 0, 1)
}

// last is the id of the newest segment.
func (r *ring) last() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest
}

// middle is the id of the segment in the middle, 0 while half of the ring is empty.
func (r *ring) middle() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bytes < r.limit/2 {
		return 0
	}
	return r.segments[len(r.segments)/2].id
}

// expire lets go of what is older than the ring's age.
func (r *ring) expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.segments) > 0 {
		s := r.segments[0]
		if now.Sub(time.UnixMilli(s.entries[len(s.entries)-1].appended)) <= r.age {
			return
		}
		r.drop()
	}
}

// covers reports whether all that counts between two places is here.
func (r *ring) covers(next, target []int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.coversLocked(next, target)
}

func (r *ring) coversLocked(next, target []int64) bool {
	for p, end := range target {
		at := int64(0)
		if p < len(next) {
			at = next[p]
		}
		if at < end && (p >= len(r.from) || at < r.from[p]) {
			return false
		}
	}
	return true
}

// stretch is a user's events in one segment.
type stretch struct {
	records []record
	// id is the segment's, and ends the place in the log where it ends.
	id   int64
	ends []int64
}

// read is the first stretch of a user's events between two places that is not before the segment id; without records if
// nothing is left. next has a place for every partition of target. It fails if the ring does not cover what is between
// them any more.
func (r *ring) read(user string, next, target []int64, id int64) (s stretch, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.coversLocked(next, target) {
		return stretch{}, false
	}
	hash := maphash.String(r.seed, user)
	for _, at := range r.segments {
		if at.id < id {
			continue
		}
		if records := at.read(hash, user, next, target); len(records) > 0 {
			return stretch{records: records, id: at.id, ends: at.ends}, true
		}
	}
	return stretch{ends: target}, true
}

// read is the user's records between two places, oldest first.
func (s *segment) read(hash uint64, user string, next, target []int64) []record {
	i, ok := s.last[hash]
	if !ok {
		return nil
	}
	var records []record
	for ; i >= 0; i = s.entries[i].before {
		e := &s.entries[i]
		if int(e.partition) >= len(target) || e.offset < next[e.partition] || e.offset >= target[e.partition] {
			continue
		}
		key := s.data[e.start : e.start+e.key]
		if !bytes.Equal(key, []byte(user)) {
			continue // another with the same hash
		}
		records = append(records, record{
			partition: e.partition, offset: e.offset, time: time.UnixMilli(e.appended), key: key,
			value: s.data[e.start+e.key : e.start+e.key+e.value],
		})
	}
	slices.Reverse(records)
	return records
}
