package notifier

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
)

const (
	// maxRecent bounds the index, in places. Beyond it cursors are long for a
	// while.
	maxRecent = 1 << 20
	// maxAnchors is how many anchors are remembered.
	maxAnchors = 64
)

// anchor is where each partition was at a time.
type anchor struct {
	time int64 // milliseconds
	at   []int64
	sum  int64
}

func newAnchor(at time.Time, offsets []int64) *anchor {
	a := &anchor{time: at.UnixMilli(), at: offsets}
	for _, offset := range offsets {
		a.sum += offset
	}
	return a
}

// recent makes short cursors where there are many partitions: it knows in which
// of them each user has had events since the last anchor. It is safe for
// concurrent use; the live reader adds an event before it moves its position.
type recent struct {
	seed maphash.Seed

	mu sync.Mutex
	// begun is where the index begins in each partition: it has every event from
	// there on that is not before the anchor. It is empty while there are few
	// partitions, and then there is no index.
	begun []int64
	// users has the places behind each user's last events, by the hash of the
	// name. Two users with one hash have each other's places too, which is as
	// true.
	users map[uint64][]cursor.Place
	count int
	// anchor is the base of cursors, nil if there is none yet.
	anchor *anchor
	// anchors are the last ones, of this instance and of the cursors that came.
	anchors []*anchor
}

func newRecent() *recent {
	return &recent{seed: maphash.MakeSeed(), users: make(map[uint64][]cursor.Place)}
}

// on reports whether so many partitions need short cursors.
func (r *recent) on(partitions int) bool { return partitions > cursor.MaxExact }

// extend begins the index in one partition.
func (r *recent) extend(partition int32, offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for int(partition) >= len(r.begun) {
		r.begun = append(r.begun, notBegun)
	}
	r.begun[partition] = offset
}

// begin begins the index anew.
func (r *recent) begin(at []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun, r.anchor, r.count = slices.Clone(at), nil, 0
	clear(r.users)
}

// add takes an event that counts, and reports whether the index is too large: it
// must then begin anew.
func (r *recent) add(rec *record) (full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if int(rec.partition) >= len(r.begun) || rec.offset < r.begun[rec.partition] {
		return false
	}
	user := maphash.Bytes(r.seed, rec.key)
	places := r.users[user]
	i, ok := slices.BinarySearchFunc(places, rec.partition, func(p cursor.Place, n int32) int { return cmp.Compare(p.Partition, n) })
	if ok {
		places[i].Next = rec.offset + 1
		return false
	}
	r.users[user] = slices.Insert(places, i, cursor.Place{Partition: rec.partition, Next: rec.offset + 1})
	r.count++
	return r.count > maxRecent
}

// anchored makes an anchor the base if the index reaches back to it and the
// reader has come to it. What is before it leaves the index.
func (r *recent) anchored(a *anchor, next []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remember(a)
	if len(r.begun) == 0 || len(a.at) != len(next) || !reached(a.at, r.begun) || !reached(next, a.at) {
		return
	}
	r.anchor = a
	for user, places := range r.users {
		kept := slices.DeleteFunc(places, func(p cursor.Place) bool { return p.Next <= a.at[p.Partition] })
		r.count -= len(places) - len(kept)
		if r.users[user] = kept; len(kept) == 0 {
			delete(r.users, user)
		}
	}
}

// cursor is a user's place where all that is below next has been sent, and no
// more: the short one if it can be had.
func (r *recent) cursor(user []byte, next []int64) cursor.Cursor {
	if !r.on(len(next)) {
		return cursor.Cursor{Events: next}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.anchor
	// An anchor that is ahead of next is of a moment after it.
	if a == nil || len(a.at) > len(next) || !reached(next, a.at) {
		return cursor.Cursor{Events: next}
	}
	b := &cursor.Base{Time: a.time, Partitions: len(a.at), Sum: a.sum}
	for _, p := range r.users[maphash.Bytes(r.seed, user)] {
		if int(p.Partition) >= len(a.at) {
			return cursor.Cursor{Events: next} // it came after the anchor
		}
		// The index may be a moment ahead.
		if p.Next = min(p.Next, next[p.Partition]); p.Next > a.at[p.Partition] {
			b.Places = append(b.Places, p)
		}
	}
	if len(b.Places) > cursor.MaxPlaces {
		return cursor.Cursor{Events: next}
	}
	return cursor.Cursor{Base: b}
}

// remember keeps an anchor for the cursors that come back with it. The lock is
// held.
func (r *recent) remember(a *anchor) {
	if len(r.anchors) == maxAnchors {
		r.anchors = slices.Delete(r.anchors, 0, 1)
	}
	r.anchors = append(r.anchors, a)
}

// find is the anchor of a cursor that is remembered, nil if none is.
func (r *recent) find(b *cursor.Base) *anchor {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.anchors {
		if a.time == b.Time && a.sum == b.Sum && len(a.at) == b.Partitions {
			return a
		}
	}
	return nil
}

// anchor takes the anchor that is due, if one is: all instances take theirs at
// the same times, half the lead apart.
func (r *reader) anchor(ctx context.Context) error {
	if !r.recent.on(len(r.tracks)) {
		return nil
	}
	due := time.Now().Add(-r.anchorLead).Truncate(r.anchorLead / 2)
	if !due.After(r.anchoredAt) {
		return nil
	}
	at, err := r.source.after(ctx, due)
	if err != nil {
		return err
	}
	r.anchoredAt = due
	r.recent.anchored(newAnchor(due, at), r.next)
	return nil
}
