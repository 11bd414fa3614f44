package provider

import (
	"testing"
	"time"
)

// TestBucketWaits: how long a cost waits in a bucket of a level, and how far apart such costs are.
func TestBucketWaits(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, test := range []struct {
		name               string
		perMinute          int64
		level, cost, share float64
		wait, every        time.Duration
	}{
		{"no limit", 0, 0, 5, 1, 0, 0},
		{"there is room", 600, 24, 5, 1, 0, 500 * time.Millisecond},
		{"nothing is asked for", 600, -100, 0, 1, 0, 0},
		{"something is missing", 600, 4, 5, 1, 100 * time.Millisecond, 500 * time.Millisecond},
		{"half of the limit", 600, 4, 5, 0.5, 200 * time.Millisecond, time.Second},
		{"no share", 600, 0, 5, 0, noShareWait, 0},
		{"more than can be saved up goes when it is full", 600, 23, 500, 1, 100 * time.Millisecond, 50 * time.Second},
		{"a debt", 600, -10, 1, 1, 1100 * time.Millisecond, 100 * time.Millisecond},
		{"a small limit saves up one", 6, 0.5, 1, 1, 5 * time.Second, 10 * time.Second},
		{"a debt of days is looked at daily", 1, -1e9, 1, 1, 24 * time.Hour, time.Minute},
	} {
		b := newBucket(test.perMinute, now)
		b.level = test.level
		if wait := b.wait(test.cost, test.share).Round(time.Millisecond); wait != test.wait {
			t.Errorf("%s: waits %v, want %v", test.name, wait, test.wait)
		}
		if every := b.every(test.cost, test.share).Round(time.Millisecond); every != test.every {
			t.Errorf("%s: every %v, want %v", test.name, every, test.every)
		}
	}
}

// TestBucketFills at the rate of its share, up to what can be saved up, and never when the clock goes back.
func TestBucketFills(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := newBucket(600, now)
	b.take(24)
	for _, test := range []struct {
		after time.Duration
		share float64
		want  float64
	}{
		{time.Second, 1, 10}, {500 * time.Millisecond, 1, 10}, {2 * time.Second, 0.5, 12}, {time.Minute, 1, 24}, {0, 1, 24},
	} {
		b.fill(now.Add(test.after), test.share)
		if got := b.level; got < test.want-0.001 || got > test.want+0.001 {
			t.Errorf("after %v with a share of %v: %v, want %v", test.after, test.share, got, test.want)
		}
	}
}
