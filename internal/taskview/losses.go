package taskview

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// Tasks are lost where nothing will run them any more: retention, deleted records
// or a group's commit have passed their record before they ended or were put into
// tasks.scheduled. No event can say so, because nobody holds them. The view finds
// them by what the cluster says of the lanes, and only once it has folded all that
// could say otherwise.

const (
	// DefaultLossInterval is the time between two looks for lost tasks.
	DefaultLossInterval = 2 * time.Second
	// startedGrace is how long a processor has to end what was started and is no
	// longer on the lane, once it has committed past it. It does so at take-over.
	startedGrace = 30 * time.Second
	// keepEvery is the time between two surveys that are kept for as long as that.
	keepEvery = startedGrace / 15
	// walkStep is how many unfinished tasks one look goes over, the oldest first.
	walkStep = 2000
	// passTimeout bounds how long a look waits for the reader.
	passTimeout = 5 * time.Second
	// lossWarnEvery keeps what fails again and again from filling the log.
	lossWarnEvery = time.Minute
)

// cluster is what is asked of the brokers about lost tasks.
type cluster interface {
	// survey is what they say of the lanes.
	survey(ctx context.Context) (survey, error)
	// waiting is which of some runs of a partition stand in tasks.scheduled.
	waiting(ctx context.Context, partition int32, of map[runKey]bool) (map[runKey]bool, error)
	// ends are where the lanes and task-events end for a reader.
	ends(ctx context.Context) (map[topicPartition]int64, error)
}

// losses looks for lost tasks. It belongs to one goroutine of a session.
type losses struct {
	s    *session
	log  cluster
	last survey // of the look before
	// kept are surveys of the last startedGrace, the oldest first, which becomes
	// older than that.
	kept     []survey
	gone     map[topicPartition]removal
	walk     map[schemas.Status]walkPlace
	waits    waitsCheck
	warnedAt time.Time
	found    int // since the last line of the log
}

func newLosses(s *session, log cluster) *losses {
	return &losses{s: s, log: log, walk: map[schemas.Status]walkPlace{}, gone: map[topicPartition]removal{},
		waits: newWaitsCheck()}
}

// removal is that records below a place were seen to be gone, and where the
// journal ended then.
type removal struct {
	at             time.Time
	start, journal int64
}

// watch looks for lost tasks until ctx ends.
func (l *losses) watch(ctx context.Context) error {
	for pace.Sleep(ctx, l.s.view.config.LossInterval) {
		now, err := l.log.survey(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			l.waits.all = true // the broker may come back without the end of its log
			l.warn("task view cannot look for lost tasks, it tries again; it needs to describe the groups of the lanes", err)
		default:
			if err := l.look(ctx, now); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

func (l *losses) warn(message string, err error) {
	if now := time.Now(); now.Sub(l.warnedAt) >= lossWarnEvery {
		l.warnedAt = now
		l.s.view.logger.Warn(message, "error", err)
	}
}

// look compares the lanes with the tasks that have not ended.
func (l *losses) look(ctx context.Context, now survey) error {
	defer l.remember(now)
	if l.last.lanes == nil || l.folded(ctx, now.read) != nil {
		return nil
	}
	if err := l.takeStranded(ctx, now); err != nil {
		return err
	}
	for _, status := range []schemas.Status{schemas.Pending, schemas.Running} {
		if err := l.step(ctx, status, now); err != nil {
			return err
		}
	}
	if err := l.checkWaits(ctx, now); err != nil {
		return err
	}
	l.tell()
	l.s.view.counters.looks.Add(1)
	return nil
}

// aged is the newest survey that is at least startedGrace old, or an empty one.
func (l *losses) aged(now survey) survey {
	for len(l.kept) > 1 && now.at.Sub(l.kept[1].at) >= startedGrace {
		l.kept = l.kept[1:]
	}
	if len(l.kept) == 0 || now.at.Sub(l.kept[0].at) < startedGrace {
		return survey{}
	}
	return l.kept[0]
}

func (l *losses) remember(now survey) {
	if n := len(l.kept); n == 0 || now.at.Sub(l.kept[n-1].at) >= keepEvery {
		l.kept = append(l.kept, now)
	}
	for at, b := range now.lanes {
		if known := l.gone[at]; b.start > known.start && now.at.Sub(known.at) >= startedGrace {
			l.gone[at] = removal{at: now.at, start: b.start, journal: now.journal[at.partition]}
		}
	}
	l.last = now
}

// folded waits until the reader has passed what stands in the log before its ends.
func (l *losses) folded(ctx context.Context, ends map[topicPartition]int64) error {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	return l.s.view.positions.waitAll(ctx, ends)
}

// tell sums the losses up in one line of the log.
func (l *losses) tell() {
	if l.found == 0 {
		return
	}
	l.s.view.logger.LogAttrs(context.Background(), slog.LevelWarn,
		"tasks are lost: their records are gone from their lanes, or were passed over, before they ended; "+
			"find them with: GET /v1/tasks?status=lost",
		slog.Int("tasks", l.found))
	l.s.view.counters.lost.Add(int64(l.found))
	l.found = 0
}

// judge says why a task is lost, "" if it is not or that cannot be known.
func (l *losses) judge(t *Task, now survey) string {
	topics := &l.s.view.config.Topics
	at := topicPartition{topics.Lane(t.Lane), t.Partition}
	b, known := now.lanes[at]
	if !known || !t.open() || t.Deferred || t.LastOffset < 0 {
		return ""
	}
	started := t.Attempt > 0 || t.Status == schemas.Running
	before := l.last.lanes[at]
	passed := min(b.committed, before.committed)
	if started { // a processor ends it at its take-over; it has had the time
		passed = -1
		if aged := l.aged(now).lanes[at]; b.ours && aged.ours {
			passed = min(b.committed, aged.committed)
		}
	}
	removed := t.LastOffset < min(b.start, before.start)
	switch {
	case t.LastOffset < passed && started:
		return fmt.Sprintf("it was started, group %s has finished its record in %s, and %s does not have its end: "+
			"the broker has lost that, or it was deleted", topics.ProcessorGroup(t.Lane), at.topic, topics.Events())
	case t.LastOffset < passed && removed:
		return fmt.Sprintf("its record was removed from %s by retention or by an operator before it had ended", at.topic)
	case t.LastOffset < passed && b.ours:
		return fmt.Sprintf("group %s has passed its record in %s, and %s does not have its end: "+
			"it was skipped, or the broker has lost a part of its log", topics.ProcessorGroup(t.Lane), at.topic, topics.Events())
	case t.LastOffset < passed:
		return fmt.Sprintf("the commit of group %s skipped its record in %s", topics.ProcessorGroup(t.Lane), at.topic)
	case removed && !started && (b.deserted && before.deserted || l.unheld(t, at)):
		return fmt.Sprintf("its record was removed from %s by retention or by an operator before it ran", at.topic)
	}
	return ""
}

// unheld reports whether the owner of the task's shard, in its marks, has said
// twice that it holds nothing, after the task's record was seen to be gone.
func (l *losses) unheld(t *Task, at topicPartition) bool {
	gone, known := l.gone[at]
	return known && t.LastOffset < gone.start &&
		l.s.marks.idleSince(fold.ShardID{Lane: t.Lane, Partition: t.Partition}, gone.journal)
}

// takeStranded makes rows of what was acknowledged here and is no longer there to
// be read: removed before the reader came, or beyond the end of a log that was cut
// back.
func (l *losses) takeStranded(ctx context.Context, now survey) error {
	for _, sub := range l.s.view.submitted.all() {
		at := topicPartition{l.s.view.config.Topics.Lane(sub.run.lane), sub.run.partition}
		cut := sub.offset >= l.last.ends[at] && sub.offset >= now.ends[at] && sub.added.Before(l.last.at)
		if !cut && !l.s.view.positions.has(at, sub.offset) {
			continue
		}
		why := ""
		waits := false
		if cut {
			why = cutWhy(at.topic)
			waiting, err := l.waiting(ctx, []runKey{sub.run})
			if err != nil {
				l.warn("task view cannot tell whether a task waits, it tries again", err)
				continue
			}
			waits = waiting[sub.run]
		}
		if err := l.s.takeSubmission(ctx, sub, why, waits); err != nil {
			return err
		}
	}
	return nil
}

// walkPlace is where the walk over the unfinished tasks goes on.
type walkPlace struct{ createdMS, id int64 }

// step goes over some of the unfinished tasks, the oldest first, and begins again
// after the newest. That is bounded however many there are: where millions wait
// it takes some minutes to find those that are lost among them.
func (l *losses) step(ctx context.Context, status schemas.Status, now survey) error {
	tasks, next, err := l.s.store.unfinished(ctx, status, nil, l.walk[status], walkStep)
	if err != nil {
		return err
	}
	l.walk[status] = next
	tasks = slices.DeleteFunc(tasks, func(t Task) bool { return l.judge(&t, now) == "" })
	waiting, err := l.waiting(ctx, runsOf(tasks))
	if err != nil {
		l.warn("task view cannot tell which tasks are lost, it tries again; it needs to read "+
			l.s.view.config.Topics.Scheduled(), err)
		return nil
	}
	for i := range tasks {
		if run := tasks[i].run(); waiting[run] {
			err = l.s.deferred(ctx, run)
		} else {
			err = l.lose(ctx, run, func(t *Task) string { return l.judge(t, now) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lose counts a task that judge still finds lost.
func (l *losses) lose(ctx context.Context, run runKey, judge func(*Task) string) error {
	lost, err := l.s.lose(ctx, run, judge)
	if lost {
		l.found++
	}
	return err
}

// waiting is which of some tasks stand in tasks.scheduled. The event that says so may
// be one that the broker has lost.
func (l *losses) waiting(ctx context.Context, runs []runKey) (map[runKey]bool, error) {
	of := map[int32]map[runKey]bool{}
	for _, run := range runs {
		if of[run.partition] == nil {
			of[run.partition] = map[runKey]bool{}
		}
		of[run.partition][run] = true
	}
	all := map[runKey]bool{}
	for partition, runs := range of {
		found, err := l.log.waiting(ctx, partition, runs)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, found)
	}
	return all, nil
}

func runsOf(tasks []Task) []runKey {
	runs := make([]runKey, len(tasks))
	for i := range tasks {
		runs[i] = tasks[i].run()
	}
	return runs
}

// deferred notes that a task stands in tasks.scheduled, though no event says so.
func (s *session) deferred(ctx context.Context, run runKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.update(ctx, run, func(_ *batch, row *row) { row.task.Deferred = true })
	signal(s.view.overlay.kick)
	return err
}

// lose changes a task that judge still finds lost, and tells who waits for it.
func (s *session) lose(ctx context.Context, run runKey, judge func(*Task) string) (lost bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := ""
	err = s.update(ctx, run, func(_ *batch, row *row) {
		if why = judge(&row.task); why != "" {
			row.task.lose(why, s.now())
		}
	})
	s.toldLost(run, why)
	return why != "", err
}

func (s *session) toldLost(run runKey, why string) {
	if why != "" {
		s.view.waiters.wake(run.TaskKey, outcome{err: &LostError{Why: why}})
		for _, w := range s.view.watches.of(run) {
			w.fail(&LostError{Why: why})
		}
	}
	signal(s.view.overlay.kick)
}

func (s *session) now() schemas.Time { return atMilli(s.view.config.Now().UnixMilli()) }

// takeSubmission makes a row of what was acknowledged here and cannot be read any
// more; a lost one if why says so.
func (s *session) takeSubmission(ctx context.Context, sub *submission, why string, waits bool) error {
	task, err := schemas.DecodeTask(sub.found.record)
	if err != nil {
		s.view.submitted.passed(sub.run, sub.offset)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.update(ctx, sub.run, func(b *batch, row *row) {
		if row.task.takeRecord(task, sub.offset, sub.found.task.CreatedAt.Time) {
			b.keepRecord(row.id, task, sub.found.record)
		}
		row.task.Deferred = row.task.Deferred || waits
		if why = row.task.loseUnheld(why, s.now()); why != "" {
			s.view.counters.lost.Add(1)
		}
	})
	if err == nil {
		s.view.submitted.passed(sub.run, sub.offset)
	}
	s.toldLost(sub.run, why)
	return err
}
