package shard

import (
	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// refFold is the fold as docs/DELIVERY.md gives it, written a second time so
// that a mistake in the first one shows.
type refFold struct{ epoch, seq int64 }

// follows reports whether the record continues its owner's sequence.
func (f refFold) follows(s fold.Stamp) bool {
	return s.Epoch == f.epoch && s.Seq == f.seq+1 || s.Epoch > f.epoch && s.Seq == 1
}

func (f *refFold) step(s fold.Stamp, appended int64) bool {
	if s.Epoch > f.epoch && s.Epoch-appended > 600_000 {
		return false
	}
	if s.Epoch > f.epoch || s.Epoch == f.epoch && s.Seq > f.seq {
		f.epoch, f.seq = s.Epoch, s.Seq
		return true
	}
	return false
}

// taskTruth is what the full fold says of one lane offset.
type taskTruth struct {
	ended, repeat bool
	deferred      bool // a waiting record has taken its place
	final         bool // of a lane record: the task has ended, whatever it waited for
	freed         bool // ended otherwise than completed, where freedAt says
	freedAt       int64
	failed        int
	endedAt       int64
	running       int
	attempts      int
	handed        int
	open          bool
	runner        string // who wrote the last `running`
	reports       uint64 // set of those that counted
}

func (t *taskTruth) lost() int { return t.running - min(t.handed, maxHandOvers) - t.failed }

func (t *taskTruth) see(r *landed) {
	switch {
	case r.kind == schemas.KindRepeat || r.kind == schemas.KindState && r.status.Terminal():
		t.ended, t.repeat, t.endedAt = true, r.kind == schemas.KindRepeat, r.Offset
		t.final = true
		if r.kind == schemas.KindState && r.status != schemas.Completed {
			t.freed, t.freedAt = true, r.Offset
		}
	case r.kind == schemas.KindState && r.status == schemas.Running:
		t.running, t.attempts, t.runner, t.open = t.running+1, max(t.attempts, r.attempt), r.worker, true
	case r.deferred:
		t.deferred = true
	case r.kind == schemas.KindState && r.status == schemas.Pending && t.open && r.attempt == t.attempts:
		t.open = false
		if waitedFor(r) {
			t.failed++
			return
		}
		t.handed++
		if t.handed <= maxHandOvers {
			t.attempts--
		}
	case r.report > 0:
		t.reports |= 1 << r.report
	}
}

// truth is the full fold of the journal.
type truth struct {
	fold  refFold
	tasks []taskTruth
	waits map[string]taskTruth // by round
}

func newTruth(tasks int) truth { return truth{tasks: make([]taskTruth, tasks)} }

func (t *truth) see(r *landed) bool {
	counts := t.fold.step(r.Stamp, r.Appended)
	if counts && r.source >= 0 {
		t.set(r)
	}
	return counts
}

func truthOf(from refFold, records []landed, tasks int) truth {
	t := newTruth(tasks)
	t.fold = from
	for i := range records {
		t.see(&records[i])
	}
	return t
}

// land puts a record into the journal and judges it.
func (w *world) land(r landed) int64 {
	r.Offset, r.Appended = int64(len(w.journal)), w.brokerNow()
	w.journal = append(w.journal, r)
	fold := w.truth.fold
	follows := fold.follows(r.Stamp)
	counts := fold.step(r.Stamp, r.Appended)
	if counts && fold.epoch > w.truth.fold.epoch {
		w.gap = false
	}
	w.gap = w.gap || counts && !follows
	if counts && r.source >= 0 {
		w.judge(&r)
	}
	w.truth.see(&r)
	return r.Offset
}

// judge checks a record that counts against what counted before it.
func (w *world) judge(r *landed) {
	whole := w.truth.whole(w, r.source, r.wait)
	t := &whole
	w.judgeUnique(r, t)
	terminal := r.kind == schemas.KindState && r.status.Terminal()
	switch {
	case w.truth.tasks[r.source].final && (terminal || r.kind == schemas.KindRepeat):
		w.fail("I1: two ends of task %d count: %s", r.source, r)
	case w.truth.tasks[r.source].final:
		w.fail("I2: something counts after the end of task %d: %s", r.source, r)
	case t.deferred:
		w.fail("WAIT: %s counts after another record has taken its place", r)
	case r.deferred && !w.replaced(r.source, r.wait):
		w.fail("WAIT: %s, but no record takes its place", r)
	case r.deferred:
	case terminal && w.window >= len(w.lane) && w.identityEnded(r.source):
		w.fail("I1: two records of the same task end as run: %s", r)
	case r.kind == schemas.KindRepeat:
		w.judgeRepeat(r, t)
	case r.kind == schemas.KindState && r.status == schemas.Running:
		w.judgeRunning(r, t)
	case r.code == schemas.CodeWorkerLost && t.running > 0 && w.log.gone(int(r.source)):
	case r.code == schemas.CodeWorkerLost && t.lost() < max(1, w.lane[r.source].maxLost):
		w.fail("LOST: %s counts after %d lost attempts", r, t.lost())
	case r.report > 0 && t.reports&(1<<r.report) != 0:
		w.fail("TWICE: %s counts a second time", r)
	case w.gap: // a lost or reordered `running` may be what is missing
	case r.kind == schemas.KindState && r.status == schemas.Pending && !t.open:
		w.fail("TWICE: %s counts, but nobody runs it", r)
	case r.attempt != t.attempts:
		w.fail("ATTEMPT: attempt %d is running, yet %s counts", t.attempts, r)
	case t.runner != r.worker && (r.kind != schemas.KindState || r.status == schemas.Completed ||
		r.status == schemas.Pending):
		w.fail("RUNNING: %s counts without a `running` of its writer before it", r)
	}
}

func (w *world) judgeRepeat(r *landed, t *taskTruth) {
	earlier := false
	for i := range r.source {
		earlier = earlier || w.lane[i].identified() && w.sameTask(i, r.source)
	}
	if !earlier || t.running > 0 {
		w.fail("REPEAT: %s, which is none or has been started", r)
	}
}

func (w *world) judgeRunning(r *landed, t *taskTruth) {
	limit := w.lane[r.source].maxLost
	switch {
	case r.attempt != t.attempts+1:
		w.fail("ATTEMPT: %s counts after attempt %d", r, t.attempts)
	case t.open && t.runner == r.worker && !w.gap:
		w.fail("AGAIN: %s counts, whose writer works on it already", r)
	case t.lost() > 0 && t.lost() >= limit && r.fresh:
		w.fail("LOST: %s counts after %d lost attempts", r, t.lost())
	}
}

func (w *world) sameTask(a, b int64) bool {
	return w.lane[a].user == w.lane[b].user && w.lane[a].id == w.lane[b].id
}

func (w *world) identityEnded(source int64) bool {
	for i := range w.truth.tasks {
		t := &w.truth.tasks[i]
		if int64(i) != source && w.sameTask(int64(i), source) && t.final && !t.repeat {
			return true
		}
	}
	return false
}

// checkKnown compares what a take-over knows with the full fold up to its fence.
func (w *world) checkKnown(o *owner) {
	s := o.shard
	if s.jobs.journal.fenceAt < 0 || s.jobs.journal.fenceAt >= int64(len(w.journal)) ||
		w.journal[s.jobs.journal.fenceAt].Stamp.Epoch != s.jobs.journal.own.Epoch {
		w.fail("KNOW: %s runs without its fence in the journal", o.worker)
		return
	}
	full := truthOf(refFold{}, w.journal[:s.jobs.journal.fenceAt], len(w.lane))
	w.checkWaits(o, &full)
	w.checkClaims(o, &full)
	if full.fold.epoch >= s.jobs.journal.own.Epoch {
		w.fail("KNOW: %s runs under epoch %d, which did not raise %d", o.worker, s.jobs.journal.own.Epoch, full.fold.epoch)
	}
	for i := range full.tasks {
		if w.log.at[i] < max(s.jobs.commit.Offset, 0) || !w.lane[i].identified() {
			continue
		}
		if known := s.jobs.unreceived[sourceID{offset: w.log.at[i],
			task: fold.IdentityOf(w.lane[i].user, w.lane[i].id)}]; !known.agrees(&full.tasks[i]) {
			w.fail("KNOW: %s's take-over knows %+v of task %d, the full fold %+v", o.worker, known, i, full.tasks[i])
		}
	}
	if s.jobs.journal.fold != (fold.State{Epoch: s.jobs.journal.own.Epoch, Seq: 1}) {
		w.fail("KNOW: %s starts with fold %v", o.worker, s.jobs.journal.fold)
	}
}

func (p *attemptHistory) agrees(t *taskTruth) bool {
	if p == nil {
		p = &attemptHistory{}
	}
	return p.ended == t.ended && p.attempts == t.attempts && p.running == t.running && p.handed == t.handed &&
		p.repeat == t.repeat &&
		p.failed == t.failed && p.deferred == t.deferred
}

// checkCommit judges an accepted commit: it passes nothing unfinished, and a
// successor that knows nothing but it learns everything about the rest.
func (w *world) checkCommit(c fold.Commit) {
	read := fold.ParseCommit(c.Offset, c.Metadata())
	if read.LaneEpoch = c.LaneEpoch; read != c {
		w.fail("COMMIT: %+v comes back as %+v", c, read)
	}
	for i := range w.lane {
		t := &w.truth.tasks[i]
		if w.log.at[i] >= 0 && w.log.at[i] < c.Offset && !t.over() && !w.buried[i] &&
			(!w.log.gone(i) || t.running > 0 && !w.elsewhere(i)) {
			w.fail("I3: the committed offset %d passes unfinished task %d", c.Offset, i)
		}
	}
	if c.Position > int64(len(w.journal)) {
		w.fail("COMMIT: position %d is beyond the journal's end", c.Position)
		return
	}
	known := truthOf(refFold{epoch: c.Before.Epoch, seq: c.Before.Seq}, w.journal[c.Position:], len(w.lane))
	if known.fold != w.truth.fold {
		w.fail("COMMIT: a successor's fold is %v, the full one %v", known.fold, w.truth.fold)
	}
	for i := range w.lane {
		// A successor need not know these.
		known.tasks[i].reports, known.tasks[i].final = w.truth.tasks[i].reports, w.truth.tasks[i].final
		known.tasks[i].freed, known.tasks[i].freedAt = w.truth.tasks[i].freed, w.truth.tasks[i].freedAt
		if w.log.at[i] >= c.Offset && !w.log.gone(i) && known.tasks[i] != w.truth.tasks[i] {
			w.fail("COMMIT: after %+v a successor knows %+v of task %d, the full fold %+v", c, known.tasks[i], i,
				w.truth.tasks[i])
		}
	}
	w.checkWaitCommit(c, &known)
	w.checkClaimCommit(c)
	w.checkWindow(c)
}

// checkWindow demands that a successor recognises every task that ended last,
// as many as the window has places.
func (w *world) checkWindow(c fold.Commit) {
	ended := 0
	for i := range w.truth.tasks {
		if t := &w.truth.tasks[i]; t.ended && !t.repeat && w.log.at[i] < c.Offset {
			ended++
		}
	}
	for i := range w.truth.tasks {
		t := &w.truth.tasks[i]
		if ended <= w.window && t.ended && !t.repeat && w.log.at[i] < c.Offset && t.endedAt < c.Window {
			w.fail("WINDOW: a successor that reads from %d does not recognise task %d", c.Window, i)
		}
	}
}

// checkSettled demands that nothing is left to do once all is quiet.
func (w *world) checkSettled() {
	for i := range w.lane {
		if w.log.gone(i) && (w.truth.tasks[i].running == 0 || w.elsewhere(i)) {
			continue // nobody knows of it
		}
		if w.lane[i].identified() && !w.truth.tasks[i].final {
			w.fail("STUCK: nothing more happens, task %d has not ended", i)
		}
		if !w.lane[i].identified() && !w.buried[i] {
			w.fail("STUCK: nothing more happens, record %d has not reached the dead letters", i)
		}
	}
	// a lenient coordinator lets a late commit rewind
	if w.commit.Offset < w.log.end && w.log.start < w.log.end && !w.lenient {
		w.fail("STUCK: nothing more happens, the commit stands at %d of %d", w.commit.Offset, w.log.end)
	}
	if len(w.waiting) > 0 {
		w.fail("STUCK: nothing more happens, %d tasks are still in the waiting log", len(w.waiting))
	}
	w.checkUnique()
	for _, o := range w.owners {
		if o.shard != nil && o.shard.jobs.unassigned {
			w.fail("STUCK: %s keeps a shard that another has", o.worker)
		}
		if o.shard != nil && (o.shard.Working() != 0 || o.shard.jobs.journal.outbox.len() != 0) {
			w.fail("STUCK: %s is at work on %d tasks and waits for %d records", o.worker, o.shard.Working(),
				o.shard.jobs.journal.outbox.len())
		}
	}
}

func (t truth) clone() truth {
	t.tasks = append([]taskTruth(nil), t.tasks...)
	return t
}
