package notifier

import (
	"context"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
)

// offsetsOfBase is where a short cursor stands. What cannot be told exactly any
// more is said to be lost, never passed over.
func (n *Notifier) offsetsOfBase(ctx context.Context, base *cursor.Base) (begin, error) {
	at, lost, err := n.anchorOf(ctx, base)
	if err != nil {
		return begin{}, err
	}
	next := slices.Clone(at[:min(len(at), base.Partitions)])
	for len(next) < base.Partitions {
		next = append(next, 0) // the check below refuses it
	}
	for _, p := range base.Places {
		next[p.Partition] = p.Next
	}
	b, err := n.offsetsOfCursor(ctx, next)
	if err != nil {
		return begin{}, err
	}
	if lost && b.lost == "" {
		b.lost = "records at the cursor's time are gone: events after it may be among them; what is left follows"
	}
	if b.lost == "" {
		b.base = base
	}
	return b, nil
}

// anchorOf is where each partition was at the base's time. It is not as it was
// if the log has lost records there, or got some that say they are older.
func (n *Notifier) anchorOf(ctx context.Context, base *cursor.Base) (at []int64, lost bool, err error) {
	if a := n.recent.find(base); a != nil {
		return a.at, false, nil
	}
	if base.Time == 0 {
		at, err = n.source.starts(ctx)
	} else {
		at, err = n.source.after(ctx, time.UnixMilli(base.Time))
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
	n.recent.mu.Lock()
	defer n.recent.mu.Unlock()
	n.recent.remember(a)
	return a.at, false, nil
}

// baseAt is the base of a place that was found by a time, nil where a cursor
// from there is exact. A time that is too new may come to mean another place.
func (n *Notifier) baseAt(at time.Time, offsets []int64) *cursor.Base {
	if !n.recent.on(len(offsets)) || time.Since(at) < n.cfg.AnchorLead {
		return nil
	}
	a := newAnchor(at, offsets)
	return &cursor.Base{Time: a.time, Partitions: len(offsets), Sum: a.sum}
}

// cursor is the place to begin at.
func (b begin) cursor() cursor.Cursor {
	if b.base != nil {
		return cursor.Cursor{Base: b.base}
	}
	return cursor.Cursor{Events: b.next}
}

// cursor is the place the replay has come to: below the base, if there is one,
// everything was sent, and the places it passed are exact.
func (p *replay) cursor() cursor.Cursor {
	if p.base == nil {
		return cursor.Cursor{Events: p.next}
	}
	for i := range p.base.Places {
		place := &p.base.Places[i]
		place.Next = p.next[place.Partition]
	}
	return cursor.Cursor{Base: p.base}
}

// pass makes the place in a partition exact, since an event of it is sent.
func (p *replay) pass(partition int32) {
	if p.base == nil {
		return
	}
	i, ok := slices.BinarySearchFunc(p.base.Places, partition, func(place cursor.Place, n int32) int { return int(place.Partition - n) })
	switch {
	case ok:
	case len(p.base.Places) == cursor.MaxPlaces, int(partition) >= p.base.Partitions:
		p.base = nil // from here on cursors are long
	default:
		p.base.Places = slices.Insert(p.base.Places, i, cursor.Place{Partition: partition})
	}
}

// ownBase is a base that the replay may change.
func ownBase(b *cursor.Base) *cursor.Base {
	if b == nil {
		return nil
	}
	own := *b
	own.Places = slices.Clone(b.Places)
	return &own
}
