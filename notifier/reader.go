package notifier

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/internal/journal"
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
	checkpoints *checkpoints
	metrics     *meters
	log         *slog.Logger
	refresh     time.Duration

	tracks []*track
	// next is the tracks' positions, for cursors.
	next []int64
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
	for ctx.Err() == nil {
		until, cancel := context.WithDeadline(ctx, due)
		err := tail.poll(until, r.step)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			r.metrics.readErrors.Inc()
			r.log.Warn("reading events failed, going on", "error", err)
			pause(ctx, retryInterval)
		}
		if !time.Now().Before(due) {
			r.look(ctx, tail)
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
		pause(ctx, retryInterval)
	}
}

func (r *reader) start(ctx context.Context) (map[int32]place, error) {
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	early, err := r.source.after(bounded, time.Now().Add(-foldLead))
	if err != nil {
		return nil, err
	}
	// The ends come second: what is appended between the two is folded.
	ends, err := r.source.ends(bounded)
	if err != nil {
		return nil, err
	}
	if len(ends) != len(early) {
		return nil, errors.New("the topic's partitions are changing")
	}
	from := make(map[int32]place, len(ends))
	for p, end := range ends {
		from[int32(p)] = place{offset: min(early[p], end)}
		r.track(int32(p), end)
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
	if was := r.lost.Swap(err != nil); err != nil && !was {
		r.log.Warn("the broker does not answer", "error", err)
	}
	for p := len(r.tracks); p < len(ends); p++ {
		r.next = append(r.next, 0)
		r.track(int32(p), 0)
		r.tracks[p].caught = true
		tail.add(map[int32]place{int32(p): {}})
	}
}

// step takes one record through the fold and to whoever watches its user.
func (r *reader) step(rec *record) {
	t := r.tracks[rec.partition]
	counted := rec.stamped && t.fold.Step(rec.stamp).Counted()
	if !t.caught && rec.offset+1 >= t.liveFrom {
		r.caughtUp(rec.partition)
	}
	if rec.offset < t.liveFrom {
		return
	}
	r.advance(rec, t)
	r.metrics.read.Inc()
	switch {
	case !counted:
		r.metrics.folded.Inc()
		return
	case len(rec.key) == 0:
		return
	}
	if sessions := r.hub.lookup(rec.key); len(sessions) > 0 {
		r.deliver(rec, sessions)
	} else {
		r.metrics.unwatched.Inc()
	}
}

func (r *reader) caughtUp(partition int32) {
	t := r.tracks[partition]
	t.caught = true
	r.checkpoint(partition, t, t.liveFrom)
	r.behind--
	if r.behind == 0 {
		close(r.live)
	}
}

// advance moves the position past a record, before anybody is looked up.
func (r *reader) advance(rec *record, t *track) {
	expected := r.next[rec.partition]
	switch {
	case rec.offset > expected:
		r.metrics.overtaken.Inc()
	case rec.offset < expected:
		r.metrics.rewound.Inc()
		r.checkpoints.rewind(rec.partition, rec.offset)
		r.log.Error("the broker has lost records, some events may be shown again",
			"partition", rec.partition, "expected", expected, "found", rec.offset)
	}
	r.next[rec.partition] = rec.offset + 1
	r.positions.set(rec.partition, rec.offset+1)
	if t.unmarked++; t.unmarked >= checkpointRecords {
		r.checkpoint(rec.partition, t, rec.offset+1)
	}
}

func (r *reader) checkpoint(partition int32, t *track, offset int64) {
	t.unmarked = 0
	r.checkpoints.add(partition, checkpoint{offset: offset, states: t.fold.States()})
}

func (r *reader) deliver(rec *record, sessions []*session) {
	e, err := readEvent(rec)
	if err != nil {
		r.metrics.invalid.Inc()
		r.log.Warn("a record that counts is no event", "partition", rec.partition, "offset", rec.offset, "error", err)
		return
	}
	if e == nil {
		return
	}
	var m *message
	for _, s := range sessions {
		if !s.wants(e) {
			continue
		}
		if m == nil {
			m = e.message(r.next)
		}
		s.offer(m)
	}
}

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
