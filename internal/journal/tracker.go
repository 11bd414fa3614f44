package journal

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
	bytes  int
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
	i, found := slices.BinarySearchFunc(live, offset, func(j *Job, offset int64) int { return cmp.Compare(j.Offset, offset) })
	if !found {
		return nil
	}
	return live[i]
}

// add takes a job; false for one that was received before.
func (t *tracker) add(j *Job) bool {
	if j.Offset < t.prefix || j.Offset <= t.last() {
		return false
	}
	t.jobs = append(t.jobs, j)
	t.bytes += j.Bytes
	return true
}

// advance moves the prefix over finished jobs and calls passed for each.
func (t *tracker) advance(passed func(*Job)) {
	for t.len() > 0 && t.jobs[t.head].finished {
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
