package shard

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Back-off between two take-overs of the same assignment, and how long a shard
// has to run before its doubts are forgiven.
const (
	firstRetake = 50 * time.Millisecond
	lastRetake  = 5 * time.Second
	steadyTime  = 30 * time.Second
)

// Bounds on how long, and how often in a row, a take-over may fail before
// operators are told: beyond what a broker's restart or another owner's fence take.
const (
	unownedPatience = 15 * time.Second
	unownedRetakes  = 10
)

// UnownedError says that a shard is assigned to this process and is not taken
// over, so that its tasks stand still. It is tried again until it succeeds.
type UnownedError struct {
	Shard string
	For   time.Duration
	Why   string
}

func (e *UnownedError) Error() string {
	return fmt.Sprintf("shard %s could not be taken over, or kept, for %v, and its tasks stand still: %s", e.Shard,
		e.For.Round(time.Second), e.Why)
}

// doubts are why a shard was taken over again, or could not be: since when, how often, and
// when it is tried next.
type doubts struct {
	since    time.Time // of the first since the shard last ran steadily
	why      string
	count    int
	until    time.Time
	steadyAt time.Time // when the shard last began to run
}

// suffer notes a reason.
func (d *doubts) suffer(now time.Time, why string, args ...any) {
	if d.since.IsZero() {
		d.since = now
	}
	var text strings.Builder
	text.WriteString(why)
	for i := 0; i+1 < len(args); i += 2 {
		fmt.Fprintf(&text, ", %v %v", args[i], args[i+1])
	}
	d.why = text.String()
}

// settle forgives what was doubted once the shard has run for a while.
func (d *doubts) settle(now time.Time) {
	if d.count > 0 && now.Sub(d.steadyAt) > steadyTime {
		d.count, d.since, d.why = 0, time.Time{}, ""
	}
}

// Unowned is why the shard is not owned although it should be, nil while it is or
// has not been tried for long.
func (s *Shard) Unowned() *UnownedError {
	running := s.phase == phaseRunning
	waited := time.Duration(0)
	if !s.doubts.since.IsZero() {
		waited = s.port.Now().Sub(s.doubts.since)
	}
	switch {
	case s.phase == phaseForgotten, s.jobs.unassigned, s.doubts.why == "":
		return nil
	case !running && waited >= unownedPatience, s.doubts.count >= unownedRetakes:
		return &UnownedError{Shard: s.name, For: waited, Why: s.doubts.why}
	}
	return nil
}

// doubt stops writing and takes over again after a pause: what is in flight
// will stand before the new fence and be read, or after it and never have
// happened.
func (s *Shard) doubt(why string, args ...any) {
	s.port.Note(slog.LevelWarn, "take over again: "+why, args...)
	s.doubts.suffer(s.port.Now(), why, args...)
	s.retake()
}

func (s *Shard) retake() {
	s.enter(phaseDoubting)
	s.doubts.until = s.port.Now().Add(min(firstRetake<<min(s.doubts.count, 10), lastRetake))
	s.doubts.count++
}
