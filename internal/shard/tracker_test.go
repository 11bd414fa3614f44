package shard

import (
	"testing"

	"pgregory.net/rapid"
)

// The prefix is where the first unfinished received record stands, or behind
// the last received one, whatever the order of the ends and the gaps between
// the offsets.
func TestTrackerPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tracked tracker
		var received []*Job
		start := rapid.Int64Range(0, 3).Draw(t, "start")
		tracked.prefix = start
		next, passed := start, 0
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			open := stillOpen(received)
			if len(open) == 0 || rapid.Bool().Draw(t, "receive") {
				next += rapid.Int64Range(0, 3).Draw(t, "gap")
				j := &Job{Offset: next, Bytes: int(next) + 1}
				if !tracked.add(j) || tracked.add(&Job{Offset: next}) {
					t.Fatalf("offset %d must be taken once", next)
				}
				received = append(received, j)
				next++
			} else {
				rapid.SampledFrom(open).Draw(t, "finish").stage = stageFinished
			}
			tracked.advance(func(j *Job) {
				if !j.finished() || j != received[passed] {
					t.Fatalf("passes %d, which is not next", j.Offset)
				}
				passed++
			})
			checkTracker(t, &tracked, received, start)
		}
	})
}

func stillOpen(jobs []*Job) (out []*Job) {
	for _, j := range jobs {
		if !j.finished() {
			out = append(out, j)
		}
	}
	return out
}

func checkTracker(t *rapid.T, tracked *tracker, received []*Job, prefix int64) {
	held, bytes := 0, 0
	for i, j := range received {
		if held == 0 && j.finished() {
			prefix = j.Offset + 1
			continue
		}
		if held == 0 {
			prefix = max(prefix, received[i].Offset)
		}
		held++
		bytes += j.Bytes
	}
	if tracked.prefix != prefix || tracked.len() != held || tracked.bytes != bytes || len(tracked.live()) != held {
		t.Fatalf("prefix %d, %d held of %d bytes, want %d, %d, %d", tracked.prefix, tracked.len(), tracked.bytes,
			prefix, held, bytes)
	}
}

func TestTrackerIgnoresWhatItHasPassed(t *testing.T) {
	tracked := tracker{prefix: 5}
	if tracked.add(&Job{Offset: 4}) || !tracked.add(&Job{Offset: 5}) || tracked.add(&Job{Offset: 5}) {
		t.Error("offsets below the prefix, or twice, are taken")
	}
}

// A commit found at take-over may stand beyond what is held: the prefix never
// falls back behind it.
func TestTrackerPrefixNeverFalls(t *testing.T) {
	tracked := tracker{}
	tracked.add(&Job{Offset: 0, stage: stageFinished})
	tracked.prefix = 2
	tracked.advance(func(*Job) {})
	if tracked.prefix != 2 || tracked.add(&Job{Offset: 1}) {
		t.Errorf("prefix %d, want 2", tracked.prefix)
	}
}

func TestTrackerReturnsItsRoom(t *testing.T) {
	var tracked tracker
	for offset := range int64(100_000) {
		tracked.add(&Job{Offset: offset})
		if offset < 10 {
			continue
		}
		tracked.live()[0].stage = stageFinished
		tracked.advance(func(*Job) {})
		if first := tracked.live()[0].Offset; first != offset-9 || tracked.prefix != first {
			t.Fatalf("after %d the first is %d, the prefix %d", offset, first, tracked.prefix)
		}
	}
	if cap(tracked.jobs) > 8192 {
		t.Errorf("room for %d jobs, %d held", cap(tracked.jobs), tracked.len())
	}
}
