package history

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/logreader"
	"github.com/aiecs/tasklane/internal/pace"
)

// foldLead is how much earlier than its real start a reader without saved fold states begins, folding silently: owners
// write a mark every 5 s, so three are in it. task-events has LogAppendTime, so this is the broker's clock alone.
const foldLead = 15 * time.Second

// retryInterval is the pause after a failure that may pass.
const retryInterval = 500 * time.Millisecond

// reader follows the live end of all partitions and offers what counts to the audience. All of it but the flags is
// confined to the goroutine in run.
type reader struct {
	source      *source
	topic       eventLog
	audience    Audience
	positions   *positions
	ring        *ring
	cursors     *cursors
	checkpoints *checkpoints
	metrics     *meters
	aheads      *fold.AheadAlarm
	log         *slog.Logger
	refresh     time.Duration
	anchorLead  time.Duration

	tracks []*track
	// next is the tracks' positions, for cursors.
	next []int64
	// event is the one that is offered.
	event Live
	// marks is how far it had come at the last looks.
	marks []mark
	// anchoredAt is the time of the last anchor.
	anchoredAt time.Time
	// behind is how many partitions have not come to where live begins.
	behind int

	once sync.Once
	// live is closed when every partition has, for the first time.
	live chan struct{}
	// anew is set while another log than before is read up to its end.
	anew   atomic.Bool
	health kafka.Health
}

// track is one partition: its fold and where it stands.
type track struct {
	fold *fold.Fold
	// liveFrom is where events begin to be offered; before it they only fold.
	liveFrom int64
	// caught says that everything before liveFrom has been folded.
	caught bool
	// trusted says that the partition's events go to the ring: its fold can be trusted since fresh, the start of the log,
	// or since foldLead after first, the time of the first record that was read.
	trusted, fresh bool
	first          time.Time
	// unmarked counts the records since the last checkpoint.
	unmarked int
}

// run reads until the context ends. It outlasts every failure of the broker, and a topic that is made anew.
func (r *reader) run(ctx context.Context) error {
	for {
		err := r.session(ctx)
		var changed *kafka.ChangedError
		if ctx.Err() != nil || !errors.As(err, &changed) {
			return err
		}
		r.log.Warn("events are read anew and clients told to come back", "reason", err)
		r.forget()
	}
}

// session reads one log until the context ends, or there is another log, which is a *kafka.ChangedError. Partitions
// that are added are followed.
func (r *reader) session(ctx context.Context) error {
	tail, err := r.source.follow(&r.health, r.positions, func(error) { r.metrics.readErrors.Inc() }, r.log)
	if err != nil {
		return err
	}
	defer tail.Close()
	if err := tail.Await(ctx); err != nil {
		return err
	}
	r.cursors.log.Store(uint32(cursor.NameLog(tail.TopicID(r.source.topic))))
	if err := r.begin(ctx, tail); err != nil {
		return err
	}
	return tail.Follow(ctx, func(ctx context.Context) error { return r.follow(ctx, tail) })
}

// forget drops what is known of a log that is another one now.
func (r *reader) forget() {
	r.anew.Store(true) // nobody comes in from here on
	r.audience.LogReplaced()
	r.tracks, r.next, r.marks, r.behind, r.anchoredAt = nil, nil, nil, 0, time.Time{}
	r.positions.reset()
	r.ring.reset()
	r.checkpoints.reset()
	r.cursors.reset()
}

// follow reads until the context ends.
func (r *reader) follow(ctx context.Context, tail *logreader.Reader) error {
	due := time.Now().Add(r.refresh)
	visit := visitAll(r.step)
	for isLive := false; ctx.Err() == nil; {
		if !isLive && r.behind == 0 {
			isLive = true
			r.look(ctx, tail)
			if r.anew.Swap(false) {
				r.log.Info("events are read up to their end again")
			}
			r.once.Do(func() { close(r.live) })
		}
		until, cancel := context.WithDeadline(ctx, due)
		err := tail.Poll(until, visit)
		cancel()
		r.audience.Flush()
		if err != nil && ctx.Err() == nil {
			// If the topic is another one, the look at it says so; else this passes.
			r.log.Warn("reading events failed, going on", "error", err)
			pace.Sleep(ctx, retryInterval)
		}
		if !time.Now().Before(due) {
			r.look(ctx, tail)
			r.renew(time.Now())
			due = time.Now().Add(r.refresh)
		}
	}
	return context.Cause(ctx)
}

// begin finds where live begins, waiting for the broker to say.
func (r *reader) begin(ctx context.Context, tail *logreader.Reader) error {
	for told := false; ; told = true {
		from, err := r.start(ctx)
		if err == nil {
			tail.Begin(map[string]map[int32]int64{r.source.topic: from})
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !told {
			r.log.Warn("events cannot be read yet, waiting", "error", err)
		}
		r.metrics.readErrors.Inc()
		pace.Sleep(ctx, retryInterval)
	}
}

func (r *reader) start(ctx context.Context) (map[int32]int64, error) {
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	early, err := r.topic.after(bounded, time.Now().Add(-foldLead))
	if err != nil {
		return nil, err
	}
	prefilled, starts, err := r.prefillFrom(bounded)
	if err != nil {
		return nil, err
	}
	// The ends come last: what is appended in between is folded.
	ends, err := r.topic.ends(bounded)
	if err != nil {
		return nil, err
	}
	if len(ends) != len(early) || len(ends) != len(prefilled) || len(ends) != len(starts) {
		return nil, errors.New("the topic's partitions are changing")
	}
	from := make(map[int32]int64, len(ends))
	most := r.ring.most(len(ends))
	for p, end := range ends {
		early[p] = min(early[p], end, max(prefilled[p], end-most))
		from[int32(p)] = early[p]
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
	r.tracks = append(r.tracks, &track{fold: fold.New(nil), liveFrom: liveFrom})
	r.positions.set(partition, liveFrom)
}

// look asks for the topic's ends: to see whether it has grown. New partitions are read from their first record.
func (r *reader) look(ctx context.Context, tail *logreader.Reader) {
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ends, err := r.topic.ends(bounded)
	if ctx.Err() != nil {
		return
	}
	r.ring.expire(time.Now())
	grown := len(ends) > len(r.tracks)
	for p := len(r.tracks); p < len(ends); p++ {
		r.next = append(r.next, 0)
		r.track(int32(p), 0)
		r.tracks[p].caught = true
		r.trust(r.tracks[p], int32(p), 0)
		tail.Begin(map[string]map[int32]int64{r.source.topic: {int32(p): 0}})
	}
	if grown && r.cursors.on(len(ends)) {
		r.cursors.begin(r.next)
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
	counted := false
	if rec.stamped {
		verdict := t.fold.Step(rec.stamp, rec.time)
		if counted = verdict.Counted(); verdict == fold.Ahead {
			r.aheads.Note(r.source.topic, rec.partition, rec.offset, rec.stamp, rec.time)
		}
	}
	r.prefill(t, rec)
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
	r.event = Live{Seq: seq, rec: rec, reader: r}
	if !r.audience.Deliver(&r.event) {
		r.metrics.unwatched.Inc()
	}
}

func (r *reader) caughtUp(partition int32) {
	t := r.tracks[partition]
	t.caught = true
	if !t.trusted {
		r.trust(t, partition, t.liveFrom)
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

// advance moves the position past a record, before anybody is looked up, and is the count of records to here.
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
