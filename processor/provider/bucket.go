package provider

import (
	"math"
	"time"
)

// savedUp is the part of a minute that can be saved up: a burst after a quiet time stays within 5 % of the limit.
const savedUp = 1.0 / 25

// bucket is what may be used of a limit: so much a minute, of which a part can be saved up. What costs more than that
// may start when the bucket is full, and leaves a debt.
type bucket struct {
	perMinute float64 // 0: no limit
	level     float64
	at        time.Time // of level
}

func newBucket(perMinute int64, now time.Time) bucket {
	b := bucket{perMinute: float64(perMinute), at: now}
	b.level = b.depth(1)
	return b
}

// depth is the most that it holds, of a share of the limit.
func (b *bucket) depth(share float64) float64 {
	return math.Max(b.perMinute*share*savedUp, min(1, b.perMinute))
}

// fill brings the level up to now.
func (b *bucket) fill(now time.Time, share float64) {
	if d := now.Sub(b.at); d > 0 {
		b.level = math.Min(b.level+d.Minutes()*b.perMinute*share, b.depth(share))
		b.at = now
	}
}

// wait is how long until there is room for cost.
func (b *bucket) wait(cost, share float64) time.Duration {
	if b.perMinute == 0 || cost <= 0 {
		return 0
	}
	missing := math.Min(cost, b.depth(share)) - b.level
	switch rate := b.perMinute * share; {
	case missing <= 1e-9:
		return 0
	case rate <= 0:
		return noShareWait
	default:
		return time.Duration(math.Min(missing/rate, 24*60) * float64(time.Minute))
	}
}

// take uses cost, or with less than nothing gives it back.
func (b *bucket) take(cost float64) {
	if b.perMinute > 0 {
		b.level -= cost
	}
}

// every is the time between two requests that cost so much.
func (b *bucket) every(cost, share float64) time.Duration {
	if b.perMinute == 0 || share <= 0 || cost <= 0 {
		return 0
	}
	return time.Duration(math.Min(cost/(b.perMinute*share), 60) * float64(time.Minute))
}

// noShareWait is how long a task waits at least where this instance has no share of the limit yet.
const noShareWait = 200 * time.Millisecond
