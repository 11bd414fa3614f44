package notifier

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/journal"
)

// replayRounds bounds how often a replay may find that live has run away from
// it. A client that is still behind then is slower than its own events.
const replayRounds = 100

// patience is how long a replay waits for a client that does not read before it
// goes on without it.
const patience = 250 * time.Millisecond

var (
	errYield  = errors.New("the client is not reading")
	errBehind = errors.New("the client reads more slowly than its events come")
	// errRetention is for a client that comes back to hear what it lost.
	errRetention = errors.New("retention has overtaken the replay")
)

// replayer brings history to subscriptions that ask for it: from the ring, or with
// a scan of the log.
type replayer struct {
	positions *positions
	ring      *ring
	scans     *scans
	metrics   *meters
}

// foothold is where a partition is read on, if that is known: before the client's
// own place while the records up to that are folded silently.
type foothold struct {
	known bool
	at    place
	// states are the fold's there. They are shared and never changed.
	states map[string]journal.State
}

// replay is one subscription's way from the past to live. It can stop anywhere and
// go on in another scan: everything needed for that is here.
type replay struct {
	*replayer
	sub *subscription
	// next is where the client stands in each partition, and so the cursor.
	next []int64
	// base makes the cursor short, see pass.
	base *cursor.Base
	// footholds are where to read each partition on.
	footholds []foothold
	// fresh says that unread partitions begin with no fold states: the replay
	// begins at the start of the log.
	fresh bool

	// target is where live begins, and floor the live reader's count there.
	target []int64
	floor  uint64
	// foundIn is where events were looked for: in the log, if any of them were.
	foundIn string
}

// begin prepares to bring a subscription that holds from the given place to live.
func (r *replayer) begin(sub *subscription, from begin) *replay {
	r.metrics.replays.Inc()
	return &replay{replayer: r, sub: sub, next: slices.Clone(from.next), base: ownBase(from.base), fresh: from.fresh, foundIn: sourceNone}
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
		if err := p.sub.session.drained(ctx); err != nil {
			return err
		}
		if p.sub.goLive(p.floor) {
			return nil
		}
		p.sub.hold()
	}
	return errBehind
}

// extend sets the target; partitions that are new are read from their start.
func (p *replay) extend(target []int64) {
	p.target = target
	for len(p.next) < len(target) {
		p.next = append(p.next, 0)
	}
	for n := len(p.footholds); n < len(p.next); n++ {
		p.footholds = append(p.footholds, foothold{known: p.fresh || p.next[n] == 0, at: place{offset: p.next[n]}})
	}
}

// toTarget reads the log until the ring has the rest.
func (p *replay) toTarget(ctx context.Context) error {
	for !reached(p.next, p.target) {
		var err error
		if p.ring.covers(p.next, p.target) {
			err = p.fromRing(ctx)
		} else {
			err = p.fromLog(ctx)
		}
		if errors.Is(err, errYield) {
			err = p.sub.session.drained(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fromRing sends what is in the ring. It returns early if the ring has lost what
// is needed, and with errYield if the client does not read: the ring's events
// are not held for it.
func (p *replay) fromRing(ctx context.Context) error {
	if p.foundIn == sourceNone {
		p.foundIn = sourceRing
	}
	for id := int64(0); ; {
		s, ok := p.ring.read(p.sub.user, p.next, p.target, id)
		if !ok {
			return nil
		}
		for i := range s.records {
			rec := &s.records[i]
			e := p.read(rec)
			mine := e != nil && p.sub.wants(e)
			if mine && !p.hasRoom(ctx, patience) {
				return errYield
			}
			p.next[rec.partition] = rec.offset + 1
			if mine {
				p.send(e)
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

// fromLog reads with others that need about the same.
func (p *replay) fromLog(ctx context.Context) error {
	p.foundIn = sourceLog
	return p.scans.join(ctx, p)
}

// send queues an event of the client's.
func (p *replay) send(e *event) {
	p.metrics.replayed.Inc()
	p.pass(e.partition)
	p.sub.queueReplayed(e.message(p.cursor(), 0))
}

// read is the event in a record, nil if it is none.
func (r *replayer) read(rec *record) *event {
	e, err := readEvent(rec)
	if err != nil {
		r.metrics.invalid.Inc()
	}
	return e
}

// hasRoom waits a little for the client to read.
func (p *replay) hasRoom(ctx context.Context, within time.Duration) bool {
	session := p.sub.session
	room := session.replaying()
	if session.roomForReplay() {
		return true
	}
	if within <= 0 {
		return false
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case <-room:
			if session.roomForReplay() {
				return true
			}
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
