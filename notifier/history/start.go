package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
)

// resolveTimeout bounds the questions to the broker about where a client starts.
const resolveTimeout = 5 * time.Second

// Since is where a client wants to start. At most one member is set; none means now.
type Since struct {
	Earliest bool
	Cursor   *cursor.Cursor
	Time     time.Time
}

// Start is where a client begins: at the live end if it is the zero value.
type Start struct {
	// Lost is why not everything since the asked place can be had, "" if it can.
	Lost string

	next []int64
	// fresh says that next is the start of the log, where folding needs no earlier records.
	fresh bool
	// base makes cursors short where there are many partitions; nil if next is all there is.
	base *cursor.Base
	// log is the name of the log that next is of.
	log cursor.LogName
}

// Why a place cannot be told.
var (
	// ErrUnanswered says that the broker does not answer.
	ErrUnanswered = errors.New("the broker does not answer")
	// ErrBehind says that this instance has not read as far.
	ErrBehind = errors.New("this instance has not read as far as the cursor yet")
)

// Resolve turns what was asked into a place, and waits until the reader has come as far: a cursor may be from an
// instance that is a little ahead. Its error is ErrUnanswered or ErrBehind.
func (h *History) Resolve(ctx context.Context, s Since) (Start, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	log := h.cursors.name()
	b, err := h.offsets(ctx, s)
	b.log = log
	if err != nil {
		h.log.Warn("cannot tell where a client starts", "error", err)
		return Start{}, ErrUnanswered
	}
	ctx, cancel = context.WithTimeout(ctx, h.cfg.CatchUpTimeout)
	defer cancel()
	if h.positions.wait(ctx, b.next) != nil {
		return Start{}, ErrBehind
	}
	return b, nil
}

// IsLive reports whether the client begins at the live end.
func (b Start) IsLive() bool { return b.next == nil }

// Now is the live end, and the reader's count of records there. A subscriber that was offered what came meanwhile can
// go live from it.
func (h *History) Now(user string) (Start, uint64) {
	next, seq := h.positions.snapshot()
	at := h.cursors.of([]byte(user), next)
	return Start{next: next, base: at.Base, log: at.Log}, seq
}

func (h *History) offsets(ctx context.Context, s Since) (Start, error) {
	switch {
	case s.Earliest:
		next, err := h.topic.starts(ctx)
		return Start{next: next, fresh: true, base: h.baseAt(time.UnixMilli(0), next)}, err
	case !s.Time.IsZero():
		return h.offsetsOfTime(ctx, s.Time)
	case s.Cursor != nil && s.Cursor.Log.Other(h.cursors.name()):
		return h.fromTheStart(ctx, "the cursor is of another log: it is from another installation, or the topic was made "+
			"anew; what is there follows from the earliest")
	case s.Cursor != nil && s.Cursor.Base != nil:
		return h.offsetsOfBase(ctx, s.Cursor.Base)
	case s.Cursor != nil:
		return h.offsetsOfCursor(ctx, s.Cursor.Events)
	}
	return Start{}, nil
}

// offsetsOfTime is where each partition has its first record at or after a time. Of one that begins behind it the log
// does not say when what it had before was written.
func (h *History) offsetsOfTime(ctx context.Context, at time.Time) (Start, error) {
	next, err := h.topic.after(ctx, at)
	if err != nil {
		return Start{}, err
	}
	starts, err := h.topic.starts(ctx)
	if err != nil {
		return Start{}, err
	}
	b := Start{next: next, base: h.baseAt(at, next)}
	gone := 0
	for p, start := range starts[:min(len(starts), len(next))] {
		if start > 0 && next[p] <= start {
			gone++
		}
	}
	if gone > 0 {
		b.Lost = fmt.Sprintf("the topic's retention has reached the time: in %d of %d "+
			"partitions events after it may be gone; "+
			"what is left follows from the earliest", gone, len(starts))
	}
	return b, nil
}

func (h *History) offsetsOfCursor(ctx context.Context, next []int64) (Start, error) {
	live, _ := h.positions.snapshot()
	if !reached(live, next) {
		ends, err := h.topic.ends(ctx)
		if err != nil {
			return Start{}, err
		}
		if !reached(ends, next) {
			return h.fromTheStart(ctx, aheadOf(next, ends))
		}
	}
	if reached(next, live) {
		// Nothing to replay, so nothing can be lost: no need to ask.
		return Start{next: next}, nil
	}
	if h.ring.covers(next, live) {
		return Start{next: next}, nil
	}
	starts, err := h.topic.starts(ctx)
	if err != nil {
		return Start{}, err
	}
	b := Start{next: make([]int64, len(starts))}
	copy(b.next, next) // partitions that came later are read from their start
	lost := 0
	for p, start := range starts {
		if b.next[p] < start {
			b.next[p] = start
			lost++
		}
	}
	if lost > 0 {
		b.Lost = fmt.Sprintf("events after the cursor are older than the retention of the topic "+
			"and gone in %d of %d partitions; "+
			"what is left follows from the earliest", lost, len(starts))
	}
	return b, nil
}

// fromTheStart is where a client begins whose cursor is of another log, or ahead of this one and not only of what this
// instance has read of it. Nobody can say which of what is there came after the cursor, so none of it is passed over.
func (h *History) fromTheStart(ctx context.Context, lost string) (Start, error) {
	starts, err := h.topic.starts(ctx)
	return Start{next: starts, fresh: true, base: h.baseAt(time.UnixMilli(0), starts), Lost: lost}, err
}

// aheadOf is why a cursor does not fit a log that ends before it.
func aheadOf(next, ends []int64) string {
	if len(next) > len(ends) {
		return fmt.Sprintf("the cursor is for %d partitions and there are %d: it is from another "+
			"installation, or the topic was made anew; "+
			"what is there follows from the earliest", len(next), len(ends))
	}
	return "the cursor is ahead of the log: it is from another installation, or the log was " +
		"made anew or has lost its end; " +
		"what is there follows from the earliest"
}

// offsetsOfBase is where a short cursor stands. What cannot be told exactly any more is said to be lost, never passed
// over.
func (h *History) offsetsOfBase(ctx context.Context, base *cursor.Base) (Start, error) {
	at, lost, err := h.anchorOf(ctx, base)
	if err != nil {
		return Start{}, err
	}
	next := slices.Clone(at[:min(len(at), base.Partitions)])
	for len(next) < base.Partitions {
		next = append(next, 0) // the check below refuses it
	}
	for _, p := range base.Places {
		next[p.Partition] = p.Next
	}
	b, err := h.offsetsOfCursor(ctx, next)
	if err != nil {
		return Start{}, err
	}
	if lost && b.Lost == "" {
		b.Lost = "records at the cursor's time are gone: events after it may be among them; what is left follows"
	}
	if b.Lost == "" {
		b.base = base
	}
	return b, nil
}

// anchorOf is where each partition was at the base's time. It is not as it was if the log has lost records there, or
// got some that say they are older.
func (h *History) anchorOf(ctx context.Context, base *cursor.Base) (at []int64, lost bool, err error) {
	if a := h.cursors.find(base); a != nil {
		return a.at, false, nil
	}
	if base.Time == 0 {
		at, err = h.topic.starts(ctx)
	} else {
		at, err = h.topic.after(ctx, time.UnixMilli(base.Time))
	}
	if err != nil {
		return nil, false, err
	}
	if len(at) < base.Partitions {
		return at, true, nil
	}
	a := newAnchor(time.UnixMilli(base.Time), at[:base.Partitions])
	if a.sum != base.Sum {
		return a.at, true, nil
	}
	h.cursors.mu.Lock()
	defer h.cursors.mu.Unlock()
	h.cursors.remember(a)
	return a.at, false, nil
}

// baseAt is the base of a place that was found by a time, nil where a cursor from there is exact. A time that is too
// new may come to mean another place.
func (h *History) baseAt(at time.Time, offsets []int64) *cursor.Base {
	if !h.cursors.on(len(offsets)) || time.Since(at) < h.cfg.AnchorLead {
		return nil
	}
	a := newAnchor(at, offsets)
	return &cursor.Base{Time: a.time, Partitions: len(offsets), Sum: a.sum}
}

// Cursor is the place to begin at.
func (b Start) Cursor() cursor.Cursor {
	if b.base != nil {
		return cursor.Cursor{Log: b.log, Base: b.base}
	}
	return cursor.Cursor{Log: b.log, Events: b.next}
}
