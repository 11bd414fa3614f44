package runqueue

import (
	"math"
	"time"
)

// Kind is what a [Rule] is about.
type Kind uint8

// The kinds of rules.
const (
	User Kind = iota
	Service
	Task
	Lane
)

// Rule limits what may start of one user, service or task name, or of the whole
// queue. The zero rule allows everything.
type Rule struct {
	// MaxRunning is how many may run at once; 0 is no limit. Slots do not count
	// here.
	MaxRunning int
	// MaxStartsPerS is how many may start in a second, by a token bucket that
	// holds a tenth of a second's worth, at least one; 0 is no limit.
	MaxStartsPerS float64
	// Blocked lets nothing start.
	Blocked bool
}

// ruleKey names a rule. The rule of an empty name is for all users, or
// services, that have none of their own.
type ruleKey struct {
	kind Kind
	name string
}

// limit is a rule at work: what runs under it and what its bucket holds.
type limit[T any] struct {
	rule    Rule
	user    *user[T] // whose it is, nil for other kinds
	running int
	// full is when the bucket is full again; it is empty while that lies more
	// than its depth ahead.
	full   time.Time
	wakeAt time.Time
	at     int // place among the sleeping
}

func (l *limit[T]) Before(o *limit[T]) bool { return l.wakeAt.Before(o.wakeAt) }
func (l *limit[T]) Place() *int             { return &l.at }

// unlimited is the room under no rule.
const unlimited = math.MaxInt32

// room is how many may start now.
func (l *limit[T]) room(now time.Time) int {
	if l.rule.Blocked {
		return 0
	}
	room := unlimited
	if l.rule.MaxRunning > 0 {
		room = max(l.rule.MaxRunning-l.running, 0)
	}
	if l.rule.MaxStartsPerS > 0 && room > 0 {
		room = min(room, l.tokens(now))
	}
	return room
}

// tokens is how many starts the bucket holds.
func (l *limit[T]) tokens(now time.Time) int {
	if !now.Before(l.full) {
		return max(int(l.rule.MaxStartsPerS/10), 1)
	}
	next := l.nextStart()
	if now.Before(next) {
		return 0
	}
	return int(now.Sub(next)/l.interval()) + 1
}

// nextStart is when the bucket holds a token again.
func (l *limit[T]) nextStart() time.Time {
	depth := max(int(l.rule.MaxStartsPerS/10), 1)
	return l.full.Add(-time.Duration(depth-1) * l.interval())
}

// interval is the time between two starts: at least a nanosecond, at most a
// year.
func (l *limit[T]) interval() time.Duration {
	const year = 365 * 24 * float64(time.Hour)
	return time.Duration(max(min(float64(time.Second)/l.rule.MaxStartsPerS, year), 1))
}

// start takes a start into account.
func (l *limit[T]) start(now time.Time) {
	l.running++
	if l.rule.MaxStartsPerS > 0 {
		if l.full.Before(now) {
			l.full = now
		}
		l.full = l.full.Add(l.interval())
	}
}

// exhausted reports whether it is the bucket alone that lets nothing start.
func (l *limit[T]) exhausted(now time.Time) bool {
	r := l.rule
	return r.MaxStartsPerS > 0 && !r.Blocked && (r.MaxRunning == 0 || l.running < r.MaxRunning) && l.tokens(now) == 0
}
