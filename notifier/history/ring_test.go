package history

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ringModel is every event there was, in the order of its arrival.
type ringModel struct {
	all  []record
	next []int64
}

func (m *ringModel) between(user string, next, target []int64) []record {
	var mine []record
	for _, rec := range m.all {
		if string(rec.key) == user && rec.offset >= next[rec.partition] && rec.offset < target[rec.partition] {
			mine = append(mine, rec)
		}
	}
	return mine
}

// Whatever was let go of: between places that the ring covers it has what the
// log has, in order, also while more comes in between two reads.
func TestRingIsTheLog(t *testing.T) {
	const partitions = 3
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(rapid.IntRange(0, 5000).Draw(t, "limit"), time.Minute)
		m := &ringModel{next: make([]int64, partitions)}
		for p := range partitions {
			m.next[p] = rapid.Int64Range(0, 50).Draw(t, "start")
			r.begin(int32(p), m.next[p])
		}
		begun := slices.Clone(m.next)
		now := time.UnixMilli(1_000_000_000)
		add := func() {
			p := rapid.Int32Range(0, partitions-1).Draw(t, "partition")
			rec := record{
				partition: p, offset: m.next[p] + rapid.Int64Range(0, 3).Draw(t, "gap"), time: now,
				key:   fmt.Appendf(nil, "user-%d", rapid.IntRange(0, 3).Draw(t, "user")),
				value: make([]byte, rapid.IntRange(0, 300).Draw(t, "size")),
			}
			m.next[p] = rec.offset + 1
			m.all = append(m.all, rec)
			r.add(&rec)
		}
		covered := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			default:
				add()
			case 7:
				now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
				r.expire(now)
			case 8, 9:
				from := make([]int64, partitions)
				for p := range from {
					from[p] = rapid.Int64Range(begun[p], m.next[p]).Draw(t, "from")
				}
				if ringMatches(t, r, m, from, add) {
					covered++
				}
			}
		}
		if !r.covers(m.next, m.next) {
			t.Fatal("nothing is not covered")
		}
		if r.limit == 0 && len(r.segments) > 0 || r.bytes > r.limit {
			t.Fatalf("%d bytes in a ring of %d", r.bytes, r.limit)
		}
	})
}

// ringMatches reads from a place to where the log ends now, with new events in
// between.
func ringMatches(t *rapid.T, r *ring, m *ringModel, next []int64, more func()) bool {
	user := fmt.Sprintf("user-%d", rapid.IntRange(0, 3).Draw(t, "reader"))
	target := slices.Clone(m.next)
	want := m.between(user, next, target)
	for id := int64(0); ; {
		s, ok := r.read(user, next, target, id)
		if !ok {
			if r.covers(next, target) {
				t.Fatal("what is covered cannot be read")
			}
			return false // it was let go of, and the log has it
		}
		for _, rec := range s.records {
			if len(want) == 0 || rec.partition != want[0].partition || rec.offset != want[0].offset || string(rec.key) != user ||
				len(rec.value) != len(want[0].value) {
				t.Fatalf("got %d/%d, want %v", rec.partition, rec.offset, want)
			}
			want = want[1:]
			next[rec.partition] = rec.offset + 1
		}
		for p := range s.ends {
			next[p] = max(next[p], min(s.ends[p], target[p]))
		}
		if left := m.between(user, next, target); len(left) != len(want) {
			t.Fatalf("at %v the log has %d left and the ring %d", next, len(left), len(want))
		}
		if len(s.records) == 0 {
			if len(want) > 0 {
				t.Fatalf("%d are missing: %v", len(want), want)
			}
			return true
		}
		id = s.id
		more()
	}
}

func TestRingKeepsTheNewest(t *testing.T) {
	r := newRing(64<<10, time.Minute)
	r.begin(0, 0)
	for i := range int64(1000) {
		r.add(&record{offset: i, key: []byte("ada"), value: make([]byte, 400), time: time.Now()})
	}
	end := []int64{1000}
	if !r.covers([]int64{1000 - 64<<10/(403+ringOverhead)*3/4}, end) {
		t.Errorf("the ring begins at %d of 1000 with %d bytes of %d", r.from[0], r.bytes, r.limit)
	}
	if r.covers([]int64{500}, end) {
		t.Error("more is covered than fits")
	}
	r.expire(time.Now().Add(2 * time.Minute))
	if r.bytes != 0 || r.covers([]int64{999}, end) {
		t.Errorf("%d bytes are left of old events", r.bytes)
	}
	r.add(&record{offset: 1000, key: []byte("ada"), time: time.Now()})
	r.rewind(0, 900)
	if r.covers([]int64{800}, []int64{901}) || !r.covers([]int64{900}, []int64{901}) {
		t.Error("what the log has lost is still there")
	}
}

func BenchmarkRingAdd(b *testing.B) {
	r := newRing(64<<20, time.Hour)
	r.begin(0, 0)
	rec := record{key: []byte("user-0000"), value: make([]byte, 500), time: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		rec.offset++
		rec.key[len(rec.key)-1] = byte(rec.offset)
		r.add(&rec)
	}
}
