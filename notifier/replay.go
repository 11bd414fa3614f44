package notifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/journal"
)

// replayRounds bounds how often a replay may find that live has run away from
// it. A client that is still behind then is slower than its own events.
const replayRounds = 100

// patience is how long a replay waits for a client that does not read before it
// lets another one have its place at the log.
const patience = 250 * time.Millisecond

var (
	errYield  = errors.New("the client is not reading")
	errBehind = errors.New("the client reads more slowly than its events come")
	// errRetention is for a client that comes back to hear what it lost.
	errRetention = errors.New("retention has overtaken the replay")
)

// replayer reads history for sessions that ask for it, a bounded number at a
// time.
type replayer struct {
	source      *source
	positions   *positions
	checkpoints *checkpoints
	metrics     *meters
	timeout     time.Duration
	slots       chan struct{}
}

// replay is one session's way from the past to live. It can stop anywhere and
// go on with another reader: everything needed for that is here.
type replay struct {
	*replayer
	session *session
	// next is where the client stands in each partition, and so the cursor.
	next []int64
	// from is where to read each partition on: before next while the records up
	// to it are folded silently. Its fold is nil until that place is known.
	from  []place
	folds []*journal.Fold
	// fresh says that unread partitions begin with no fold states: the replay
	// begins at the start of the log.
	fresh bool

	target  []int64
	stalled bool
}

// run brings a session that holds from the given place to live.
func (r *replayer) run(ctx context.Context, s *session, from begin) error {
	r.metrics.replays.Inc()
	p := &replay{replayer: r, session: s, next: slices.Clone(from.next), fresh: from.fresh}
	for range replayRounds {
		// Holding began before this snapshot: what it leaves out is set aside.
		p.extend(r.positions.snapshot())
		if err := p.toTarget(ctx); err != nil {
			return err
		}
		if err := s.drained(ctx); err != nil {
			return err
		}
		if s.goLive(p.target) {
			return nil
		}
		s.hold()
	}
	return errBehind
}

// extend sets the target; partitions that are new are read from their start.
func (p *replay) extend(target []int64) {
	p.target = target
	for len(p.next) < len(target) {
		p.next = append(p.next, 0)
	}
	for len(p.folds) < len(p.next) {
		var fold *journal.Fold
		if p.fresh || p.next[len(p.folds)] == 0 {
			fold = journal.NewFold(nil)
		}
		p.folds = append(p.folds, fold)
		p.from = append(p.from, place{offset: p.next[len(p.from)]})
	}
}

// toTarget reads in turns, so that a client that does not read keeps nobody
// else from the log.
func (p *replay) toTarget(ctx context.Context) error {
	for !reached(p.next, p.target) {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := p.turn(ctx)
		<-p.slots
		if errors.Is(err, errYield) {
			err = p.session.drained(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// turn reads until the target, or until the client has stopped reading for a
// while (errYield). A partition that is there before the others stays in the
// reader and its new records, which are few, are passed over: taking it out
// restarts the fetching of all the others.
func (p *replay) turn(ctx context.Context) error {
	places, err := p.places(ctx)
	if err != nil {
		return err
	}
	tail, err := p.source.history(places)
	if err != nil {
		return err
	}
	defer tail.close()
	p.stalled = false
	for !reached(p.next, p.target) {
		if err := p.poll(ctx, tail); err != nil {
			return err
		}
		if p.stalled {
			return errYield
		}
	}
	return nil
}

func (p *replay) poll(ctx context.Context, tail *tail) error {
	bounded, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	err := tail.poll(bounded, func(rec *record) { p.step(ctx, rec) })
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("replay: no records for %s: %w", p.timeout, err)
	}
	return err
}

// step folds one record and sends it if it is the client's. Once the client has
// stalled, the records left in the poll are passed over; the next turn reads
// them again.
func (p *replay) step(ctx context.Context, rec *record) {
	n := rec.partition
	if p.stalled || rec.offset < p.from[n].offset || p.next[n] >= p.target[n] {
		return
	}
	if rec.offset >= p.target[n] {
		// Records are missing just before the target; it is reached all the same.
		p.from[n], p.next[n] = place{offset: p.target[n]}, p.target[n]
		return
	}
	mine := rec.offset >= p.next[n] && string(rec.key) == p.session.user
	var e *event
	if mine {
		// Before the fold moves: a stalled client gets this record again.
		e = p.read(rec)
	}
	if e != nil && !p.hasRoom(ctx) {
		p.stalled = true
		return
	}
	counted := rec.stamped && p.folds[n].Step(rec.stamp).Counted()
	p.from[n] = place{offset: rec.offset + 1}
	if rec.offset < p.next[n] {
		return
	}
	p.next[n] = rec.offset + 1
	if e != nil && counted {
		p.metrics.replayed.Inc()
		p.session.queueReplayed(e.message(p.next))
	}
}

// read is the event in a record of the client's user, nil if it is none or of
// another task.
func (p *replay) read(rec *record) *event {
	e, err := readEvent(rec)
	if err != nil {
		p.metrics.invalid.Inc()
		return nil
	}
	if e == nil || !p.session.wants(e) {
		return nil
	}
	return e
}

// hasRoom waits a little for the client to read.
func (p *replay) hasRoom(ctx context.Context) bool {
	if p.session.roomForReplay() {
		return true
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-p.session.room:
			if p.session.roomForReplay() {
				return true
			}
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// places is where to read on in each partition that has not reached the target,
// with a fold for each.
func (p *replay) places(ctx context.Context) (map[int32]place, error) {
	starts, err := p.source.starts(ctx)
	if err != nil {
		return nil, err
	}
	places := make(map[int32]place)
	unknown := make(map[int32]place)
	for n := range p.target {
		partition := int32(n)
		if p.next[n] >= p.target[n] {
			continue
		}
		if n < len(starts) && starts[n] > p.next[n] {
			return nil, errRetention
		}
		if p.folds[n] == nil {
			if at, ok := p.checkpoints.before(partition, p.next[n]); ok {
				p.folds[n], p.from[n] = journal.NewFold(at.states), place{offset: at.offset}
			}
		}
		if p.folds[n] == nil {
			unknown[partition] = place{offset: p.next[n]}
			continue
		}
		if n < len(starts) && p.from[n].after.IsZero() {
			// The checkpoint may be older than what is left of the log. What is
			// gone between the two can only have raised the fold's states.
			p.from[n].offset = max(p.from[n].offset, starts[n])
		}
		places[partition] = p.from[n]
	}
	if len(unknown) == 0 {
		return places, nil
	}
	if err := p.lead(ctx, unknown); err != nil {
		return nil, err
	}
	for partition := range unknown {
		places[partition] = p.from[partition]
	}
	return places, nil
}

// lead finds where to begin to fold for partitions without a checkpoint:
// foldLead before the record wanted, by the broker's clock.
func (p *replay) lead(ctx context.Context, wanted map[int32]place) error {
	tail, err := p.source.history(wanted)
	if err != nil {
		return err
	}
	defer tail.close()
	bounded, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	found := 0
	for found < len(wanted) {
		err := tail.poll(bounded, func(rec *record) {
			if n := rec.partition; p.folds[n] == nil {
				p.folds[n], p.from[n] = journal.NewFold(nil), place{after: rec.time.Add(-foldLead)}
				found++
			}
		})
		if err != nil {
			return fmt.Errorf("replay: look where to begin: %w", err)
		}
	}
	return nil
}
