package notifier

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/pace"
)

// foldLead is how much earlier than its real start a reader without saved fold
// states begins, folding silently: owners write a mark every 5 s, so three are
// in it. task-events has LogAppendTime, so this is the broker's clock alone.
const foldLead = 15 * time.Second

// retryInterval is the pause after a failure that may pass.
const retryInterval = 500 * time.Millisecond

// reader follows the live end of all partitions and offers what counts to the
// sessions. All of it but the flags is confined to the goroutine in run.
type reader struct {
	source      *source
	hub         *hub
	positions   *positions
	ring        *ring
	recent      *recent
	checkpoints *checkpoints
	metrics     *meters
	log         *slog.Logger
	refresh     time.Duration
	anchorLead  time.Duration

	tracks []*track
	// next is the tracks' positions, for cursors.
	next []int64
	// unwoken are the sessions that have something queued and are to be nudged,
	// and offers counts what was offered since that was last done.
	unwoken []*session
	offers  int
	// marks is how far it had come at the last looks.
	marks []mark
	// anchoredAt is the time of the last anchor.
	anchoredAt time.Time
	// behind is how many partitions have not come to where live begins.
	behind int

	// live is closed when every partition has.
	live chan struct{}
	// lost is set while the broker does not answer.
	lost atomic.Bool
}

// track is one partition: its fold and where it stands.
type track struct {
	fold *journal.Fold
	// liveFrom is where events begin to be offered; before it they only fold.
	liveFrom int64
	// caught says that everything before liveFrom has been folded.
	caught bool
	// warm says that the partition's events go to the ring: its fold can be
	// trusted since fresh, the start of the log, or since foldLead after first,
	// the time of the first record that was read.
	warm, fresh bool
	first       time.Time
	// unmarked counts the records since the last checkpoint.
	unmarked int
}

// run reads until the context ends. It outlasts every failure of the broker.
func (r *reader) run(ctx context.Context) error {
	tail, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer tail.close()
	due := time.Now().Add(r.refresh)
	for isLive := false; ctx.Err() == nil; {
		if !isLive && r.behind == 0 {
			isLive = true
			r.look(ctx, tail)
			close(r.live)
		}
		until, cancel := context.WithDeadline(ctx, due)
		err := tail.poll(until, r.step)
		cancel()
		r.nudge()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			r.metrics.readErrors.Inc()
			r.log.Warn("reading events failed, going on", "error", err)
			pace.Sleep(ctx, retryInterval)
		}
		if !time.Now().Before(due) {
			r.look(ctx, tail)
			r.remind(time.Now())
			due = time.Now().Add(r.refresh)
		}
	}
	return nil
}

// begin finds where live begins, waiting for the topic to be created.
func (r *reader) begin(ctx context.Context) (*tail, error) {
	for told := false; ; told = true {
		from, err := r.start(ctx)
		if err == nil {
			return r.source.live(from)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !told {
			r.log.Warn("events cannot be read yet, waiting", "error", err)
		}
		r.metrics.readErrors.Inc()
		pace.Sleep(ctx, retryInterval)
	}
}

func (r *reader) start(ctx context.Context) (map[int32]place, error) {
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	early, err := r.source.after(bounded, time.Now().Add(-foldLead))
	if err != nil {
		return nil, err
	}
	warm, starts, err := r.warmFrom(bounded)
	if err != nil {
		return nil, err
	}
	// The ends come last: what is appended in between is folded.
	ends, err := r.source.ends(bounded)
	if err != nil {
		return nil, err
	}
	if len(ends) != len(early) || len(ends) != len(warm) || len(ends) != len(starts) {
		return nil, errors.New("the topic's partitions are changing")
	}
	from := make(map[int32]place, len(ends))
	most := r.ring.most(len(ends))
	for p, end := range ends {
		early[p] = min(early[p], end, max(warm[p], end-most))
		from[int32(p)] = place{offset: early[p]}
		r.track(int32(p), end)
		r.tracks[p].fresh = early[p] <= starts[p]
	}
	r.next = append([]int64(nil), ends...)
	r.behind = len(ends)
	for p, end := range ends {
		if early[p] >= end {
			r.caughtUp(int32(p))
		}
	}
	return from, nil
}

// track begins a partition; they come in order.
func (r *reader) track(partition int32, liveFrom int64) {
	r.tracks = append(r.tracks, &track{fold: journal.NewFold(nil), liveFrom: liveFrom})
	r.positions.set(partition, liveFrom)
}

// look asks for the topic's ends: to see whether the broker answers, and
// whether the topic has grown. New partitions are read from their first record.
func (r *reader) look(ctx context.Context, tail *tail) {
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ends, err := r.source.ends(bounded)
	if ctx.Err() != nil {
		return
	}
	r.ring.expire(time.Now())
	if was := r.lost.Swap(err != nil); err != nil && !was {
		r.log.Warn("the broker does not answer", "error", err)
	}
	grown := len(ends) > len(r.tracks)
	for p := len(r.tracks); p < len(ends); p++ {
		r.next = append(r.next, 0)
		r.track(int32(p), 0)
		r.tracks[p].caught = true
		r.warmed(r.tracks[p], int32(p), 0)
		tail.add(map[int32]place{int32(p): {}})
	}
	if grown && r.recent.on(len(ends)) {
		r.recent.begin(r.next)
	}
	if err == nil {
		err = r.anchor(bounded)
	}
	if err != nil {
		r.metrics.readErrors.Inc()
	}
}

// step takes one record through the fold and to whoever watches its user.
func (r *reader) step(rec *record) {
	t := r.tracks[rec.partition]
	counted := rec.stamped && t.fold.Step(rec.stamp).Counted()
	r.warm(t, rec)
	if !t.caught && rec.offset+1 >= t.liveFrom {
		r.caughtUp(rec.partition)
	}
	if rec.offset >= t.liveFrom {
		r.expect(rec)
	}
	if counted && len(rec.key) > 0 {
		r.note(rec)
	}
	if rec.offset < t.liveFrom {
		return
	}
	seq := r.advance(rec, t)
	r.metrics.read.Inc()
	switch {
	case !counted:
		r.metrics.folded.Inc()
		return
	case len(rec.key) == 0:
		return
	}
	if subs := r.hub.lookup(rec.key); len(subs) > 0 {
		r.deliver(rec, seq, subs)
	} else {
		r.metrics.unwatched.Inc()
	}
}

func (r *reader) caughtUp(partition int32) {
	t := r.tracks[partition]
	t.caught = true
	if !t.warm {
		r.warmed(t, partition, t.liveFrom)
	}
	r.checkpoint(partition, t, t.liveFrom)
	r.behind--
}

// expect notices where records are missing, or have come back.
func (r *reader) expect(rec *record) {
	expected := r.next[rec.partition]
	switch {
	case rec.offset > expected:
		r.metrics.overtaken.Inc()
	case rec.offset < expected:
		r.metrics.rewound.Inc()
		r.checkpoints.rewind(rec.partition, rec.offset)
		r.ring.rewind(rec.partition, rec.offset)
		r.log.Error("the broker has lost records, some events may be shown again",
			"partition", rec.partition, "expected", expected, "found", rec.offset)
	}
}

// advance moves the position past a record, before anybody is looked up, and is
// the count of records to here.
func (r *reader) advance(rec *record, t *track) uint64 {
	r.next[rec.partition] = rec.offset + 1
	if t.unmarked++; t.unmarked >= checkpointRecords {
		r.checkpoint(rec.partition, t, rec.offset+1)
	}
	return r.positions.set(rec.partition, rec.offset+1)
}

func (r *reader) checkpoint(partition int32, t *track, offset int64) {
	t.unmarked = 0
	r.checkpoints.add(partition, checkpoint{offset: offset, states: t.fold.States()})
}

// maxOffers is how many events are offered before their sessions are nudged. A
// session that is nudged once for many events sends them in few writes; one that
// waits for too many waits too long.
const maxOffers = 10_000

func (r *reader) deliver(rec *record, seq uint64, subs []*subscription) {
	var e event // not on the heap: this runs for every event that is watched
	ok, err := e.read(rec)
	if err != nil {
		r.metrics.invalid.Inc()
		r.log.Warn("a record that counts is no event", "partition", rec.partition, "offset", rec.offset, "error", err)
		return
	}
	if !ok {
		return
	}
	var m *message
	for _, sub := range subs {
		if !sub.wants(&e) {
			continue
		}
		if m == nil {
			m = e.message(r.recent.cursor(rec.key, r.next), seq)
		}
		if sub.offer(m) {
			r.unwoken = append(r.unwoken, sub.session)
		}
	}
	if r.offers += len(subs); r.offers >= maxOffers {
		r.nudge()
	}
}

// nudge tells the transports of what was queued for them.
func (r *reader) nudge() {
	for _, s := range r.unwoken {
		s.nudge()
	}
	clear(r.unwoken)
	r.unwoken, r.offers = r.unwoken[:0], 0
}
