package history

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
)

const (
	// maxIndexed bounds the index, in places. Beyond it cursors are long for a while.
	maxIndexed = 1 << 20
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

// cursors makes short ones where there are many partitions: it knows in which of them each user has had events since
// the last anchor. It is safe for concurrent use; the live reader adds an event before it moves its position.
type cursors struct {
	seed maphash.Seed
	// log is the name of the log that is read.
	log atomic.Uint32

	mu sync.Mutex
	// begun is where the index begins in each partition: it has every event from there on that is not before the
	// anchor. It is empty while there are few partitions, and then there is no index.
	begun []int64
	// users has the places behind each user's last events, by the hash of the name. Two users with one hash have each
	// other's places too, which is as true.
	users map[uint64][]cursor.Place
	count int
	// anchor is the base of cursors, nil if there is none yet.
	anchor *anchor
	// anchors are the last ones, of this instance and of the cursors that came.
	anchors []*anchor
}

func newCursors() *cursors {
	return &cursors{seed: maphash.MakeSeed(), users: make(map[uint64][]cursor.Place)}
}

// name is the log that cursors are of.
func (c *cursors) name() cursor.LogName { return cursor.LogName(c.log.Load()) }

// on reports whether so many partitions need short cursors.
func (c *cursors) on(partitions int) bool { return partitions > cursor.MaxExact }

// extend begins the index in one partition.
func (c *cursors) extend(partition int32, offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for int(partition) >= len(c.begun) {
		c.begun = append(c.begun, notBegun)
	}
	c.begun[partition] = offset
}

// begin begins the index anew.
func (c *cursors) begin(at []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun, c.anchor, c.count = slices.Clone(at), nil, 0
	clear(c.users)
}

// reset forgets the index and all anchors.
func (c *cursors) reset() {
	c.begin(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.anchors = nil
}

// add takes an event that counts, and reports whether the index is too large: it must then begin anew.
func (c *cursors) add(rec *record) (full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int(rec.partition) >= len(c.begun) || rec.offset < c.begun[rec.partition] {
		return false
	}
	user := maphash.Bytes(c.seed, rec.key)
	places := c.users[user]
	i, ok := slices.BinarySearchFunc(places, rec.partition,
		func(p cursor.Place, n int32) int { return cmp.Compare(p.Partition, n) })
	if ok {
		places[i].Next = rec.offset + 1
		return false
	}
	c.users[user] = slices.Insert(places, i, cursor.Place{Partition: rec.partition, Next: rec.offset + 1})
	c.count++
	return c.count > maxIndexed
}

// anchored makes an anchor the base if the index reaches back to it and the reader has come to it. What is before it
// leaves the index.
func (c *cursors) anchored(a *anchor, next []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remember(a)
	if len(c.begun) == 0 || len(a.at) != len(next) || !reached(a.at, c.begun) || !reached(next, a.at) {
		return
	}
	c.anchor = a
	for user, places := range c.users {
		kept := slices.DeleteFunc(places, func(p cursor.Place) bool { return p.Next <= a.at[p.Partition] })
		c.count -= len(places) - len(kept)
		if c.users[user] = kept; len(kept) == 0 {
			delete(c.users, user)
		}
	}
}

// cursor is a user's place where all that is below next has been sent, and no more: the short one if it can be had.
func (c *cursors) of(user []byte, next []int64) cursor.Cursor {
	if !c.on(len(next)) {
		return cursor.Cursor{Log: c.name(), Events: next}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.anchor
	// An anchor that is ahead of next is of a moment after it.
	if a == nil || len(a.at) > len(next) || !reached(next, a.at) {
		return cursor.Cursor{Log: c.name(), Events: next}
	}
	b := &cursor.Base{Time: a.time, Partitions: len(a.at), Sum: a.sum}
	for _, p := range c.users[maphash.Bytes(c.seed, user)] {
		if int(p.Partition) >= len(a.at) {
			return cursor.Cursor{Log: c.name(), Events: next} // it came after the anchor
		}
		// The index may be a moment ahead.
		if p.Next = min(p.Next, next[p.Partition]); p.Next > a.at[p.Partition] {
			b.Places = append(b.Places, p)
		}
	}
	if len(b.Places) > cursor.MaxPlaces {
		return cursor.Cursor{Log: c.name(), Events: next}
	}
	return cursor.Cursor{Log: c.name(), Base: b}
}

// remember keeps an anchor for the cursors that come back with it. The lock is held.
func (c *cursors) remember(a *anchor) {
	if len(c.anchors) == maxAnchors {
		c.anchors = slices.Delete(c.anchors, 0, 1)
	}
	c.anchors = append(c.anchors, a)
}

// find is the anchor of a cursor that is remembered, nil if none is.
func (c *cursors) find(b *cursor.Base) *anchor {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.anchors {
		if a.time == b.Time && a.sum == b.Sum && len(a.at) == b.Partitions {
			return a
		}
	}
	return nil
}

// anchor takes the anchor that is due, if one is: all instances take theirs at the same times, half the lead apart.
func (r *reader) anchor(ctx context.Context) error {
	if !r.cursors.on(len(r.tracks)) {
		return nil
	}
	due := time.Now().Add(-r.anchorLead).Truncate(r.anchorLead / 2)
	if !due.After(r.anchoredAt) {
		return nil
	}
	at, err := r.topic.after(ctx, due)
	if err != nil {
		return err
	}
	r.anchoredAt = due
	r.cursors.anchored(newAnchor(due, at), r.next)
	return nil
}
