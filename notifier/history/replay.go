package history

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/fold"
)

// replayRounds bounds how often a replay may find that live has run away from it. A client that is still behind then is
// slower than its own events.
const replayRounds = 100

// patience is how long a replay waits for a client that does not read before it goes on without it.
const patience = 250 * time.Millisecond

var (
	errYield = errors.New("the client is not reading")
	// errClosed is for one that needs the log when nothing reads it any more.
	errClosed = errors.New("the log is not read any more")
	// errRetention is for a client that comes back to hear what it lost.
	errRetention = errors.New("retention has overtaken the replay")
)

// startPoint is where a partition is read on, if that is known: before the client's own place while the records up to
// that are folded silently.
type startPoint struct {
	known bool
	at    place
	// states are the fold's there. They are shared and never changed.
	states map[string]fold.State
}

// replay is one subscription's way from the past to live. It can stop anywhere and go on in another scan: everything
// needed for that is here.
type replay struct {
	*History
	sub  Subscriber
	want Filter
	// next is where the client stands in each partition, and so the cursor.
	next []int64
	// base makes the cursor short, see pass.
	base *cursor.Base
	// logName is that of the log that is read.
	logName cursor.LogName
	// starts are where to read each partition on.
	starts []startPoint
	// fresh says that unread partitions begin with no fold states: the replay begins at the start of the log.
	fresh bool

	// target is where live begins, and floor the live reader's count there.
	target []int64
	floor  uint64
	// foundIn is where events were looked for: in the log, if any of them were.
	foundIn string
}

// ErrSlow is for a client that reads more slowly than its events come.
var ErrSlow = errors.New("the client reads more slowly than its events come")

// CatchUp brings a subscriber from a place in the past to live, and returns when it is; it was registered with the
// audience before.
func (h *History) CatchUp(ctx context.Context, sub Subscriber, want Filter, from Start) error {
	h.metrics.replays.Inc()
	p := &replay{
		History: h, sub: sub, want: want, next: slices.Clone(from.next), base: ownBase(from.base), logName: from.log,
		fresh:   from.fresh,
		foundIn: sourceNone,
	}
	err := p.run(ctx)
	outcome := recoveredAll
	switch {
	case err == nil && from.Lost != "":
		outcome = recoveredPart
	case err == nil:
	case ctx.Err() != nil:
		outcome = recoveryLeft
	case errors.Is(err, ErrSlow):
		outcome = recoverySlow
	default:
		outcome = recoveryFailed
		h.metrics.replayErrors.Inc()
		h.log.Warn("replaying history failed", "error", err)
	}
	h.metrics.recovery(p.foundIn, outcome)
	return err
}

// run returns when the subscription is live.
func (p *replay) run(ctx context.Context) error {
	for range replayRounds {
		// Holding began before this snapshot: what it leaves out is set aside.
		target, floor := p.positions.snapshot()
		p.floor = floor
		p.extend(target)
		if err := p.toTarget(ctx); err != nil {
			return err
		}
		if err := p.sub.Drained(ctx); err != nil {
			return err
		}
		if p.sub.GoLive(p.floor) {
			return nil
		}
	}
	return ErrSlow
}

// extend sets the target; partitions that are new are read from their start.
func (p *replay) extend(target []int64) {
	p.target = target
	for len(p.next) < len(target) {
		p.next = append(p.next, 0)
	}
	for n := len(p.starts); n < len(p.next); n++ {
		p.starts = append(p.starts, startPoint{known: p.fresh || p.next[n] == 0, at: place{offset: p.next[n]}})
	}
}

// toTarget reads the log until the ring has the rest.
func (p *replay) toTarget(ctx context.Context) error {
	for !reached(p.next, p.target) {
		var err error
		if p.ring.covers(p.next, p.target) {
			err = p.fromRing(ctx)
		} else {
			p.foundIn = sourceLog
			err = p.scans.join(ctx, p) // with others that need about the same
		}
		if errors.Is(err, errYield) {
			err = p.sub.Drained(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fromRing sends what is in the ring. It returns early if the ring has lost what is needed, and with errYield if the
// client does not read: the ring's events are not held for it.
func (p *replay) fromRing(ctx context.Context) error {
	if p.foundIn == sourceNone {
		p.foundIn = sourceRing
	}
	for id := int64(0); ; {
		s, ok := p.ring.read(p.want.User, p.next, p.target, id)
		if !ok {
			return nil
		}
		for i := range s.records {
			rec := &s.records[i]
			e := p.read(rec)
			mine := e != nil && p.want.Wants(e)
			if mine && !p.sub.HasRoom(ctx, patience) {
				return errYield
			}
			p.next[rec.partition] = rec.offset + 1
			if mine {
				p.send(e, rec.partition)
			}
		}
		// All of the user's below the segment's end have been sent.
		for n, end := range s.ends[:min(len(s.ends), len(p.target))] {
			p.next[n] = max(p.next[n], min(end, p.target[n]))
		}
		if len(s.records) == 0 {
			return nil
		}
		id = s.id
	}
}

// send queues an event of the client's.
func (p *replay) send(e *Event, partition int32) {
	p.metrics.replayed.Inc()
	p.pass(partition)
	p.sub.Replay(e, p.cursor())
}

// read is the event in a record, nil if it is none.
func (h *History) read(rec *record) *Event {
	e := new(Event)
	ok, err := e.Read(rec.key, rec.value, rec.time)
	if err != nil {
		h.metrics.invalid.Inc()
	}
	if !ok {
		return nil
	}
	return e
}

// cursor is the place the replay has come to: below the base, if there is one, everything was sent, and the places it
// passed are exact.
func (p *replay) cursor() cursor.Cursor {
	if p.base == nil {
		return cursor.Cursor{Log: p.logName, Events: p.next}
	}
	for i := range p.base.Places {
		place := &p.base.Places[i]
		place.Next = p.next[place.Partition]
	}
	return cursor.Cursor{Log: p.logName, Base: p.base}
}

// pass makes the place in a partition exact, since an event of it is sent.
func (p *replay) pass(partition int32) {
	if p.base == nil {
		return
	}
	i, ok := slices.BinarySearchFunc(p.base.Places, partition,
		func(place cursor.Place, n int32) int { return int(place.Partition - n) })
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
