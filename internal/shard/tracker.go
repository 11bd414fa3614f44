package shard

import (
	"cmp"
	"slices"
)

// tracker holds the received jobs from the first unfinished one on, in the
// order of their offsets. Lane offsets have gaps (compaction, transaction
// markers), so only received offsets are ever looked at: the prefix ends at one
// of them.
type tracker struct {
	jobs []*Job
	head int
	// prefix is the offset below which every received record is finished.
	prefix int64
	// received is the offset below which the lane has delivered what it has, epoch
	// the leader epoch in which that was written, -1 if nothing was.
	received int64
	epoch    int32
	// furthest is the same over what the lane has delivered more than once.
	furthest int64
	bytes    int
}

func (t *tracker) len() int { return len(t.jobs) - t.head }

// live are the tracked jobs. The slice is valid until the next call.
func (t *tracker) live() []*Job { return t.jobs[t.head:] }

// first is the job that holds the prefix, nil if none is held.
func (t *tracker) first() *Job {
	if t.len() == 0 {
		return nil
	}
	return t.jobs[t.head]
}

// last is the highest offset received, -1 if none is held.
func (t *tracker) last() int64 {
	if t.len() == 0 {
		return -1
	}
	return t.jobs[len(t.jobs)-1].Offset
}

// find is the tracked job of an offset, nil if there is none.
func (t *tracker) find(offset int64) *Job {
	live := t.live()
	i, found := slices.BinarySearchFunc(live, offset,
		func(j *Job, offset int64) int { return cmp.Compare(j.Offset, offset) })
	if !found {
		return nil
	}
	return live[i]
}

// add takes a job; false for one that was received before.
func (t *tracker) add(j *Job) bool {
	t.pass(j.Offset+1, j.LaneEpoch)
	if j.Offset < t.prefix || j.Offset <= t.last() {
		return false
	}
	t.jobs = append(t.jobs, j)
	t.bytes += j.Bytes
	return true
}

// pass takes note that the lane has delivered what stands before an offset.
func (t *tracker) pass(offset int64, epoch int32) {
	t.received, t.epoch = max(t.received, offset), max(t.epoch, epoch)
	t.furthest = max(t.furthest, offset)
}

// empty takes everything out: the lane goes on at another offset.
func (t *tracker) empty(from int64) []*Job {
	jobs := t.live()
	*t = tracker{received: from, furthest: from, epoch: -1}
	return jobs
}

// advance moves the prefix over finished jobs and calls passed for each. Behind the
// last of them it moves over what was received and is no task: the markers of
// transactions, and what was aborted before them.
func (t *tracker) advance(passed func(*Job)) {
	for t.len() > 0 && t.jobs[t.head].finished() {
		j := t.jobs[t.head]
		t.jobs[t.head] = nil
		t.head++
		// A commit found at take-over may have moved the prefix beyond the job.
		t.prefix = max(t.prefix, j.Offset+1)
		t.bytes -= j.Bytes
		passed(j)
	}
	switch {
	case t.len() > 0:
		t.prefix = max(t.prefix, t.jobs[t.head].Offset)
		t.compact()
	default:
		t.jobs, t.head = t.jobs[:0], 0
		t.prefix = max(t.prefix, t.received)
	}
}

// compact returns the room of passed jobs once they are the larger part.
func (t *tracker) compact() {
	if t.head < 1024 || t.head*2 < len(t.jobs) {
		return
	}
	n := copy(t.jobs, t.jobs[t.head:])
	clear(t.jobs[n:])
	t.jobs, t.head = t.jobs[:n], 0
}
