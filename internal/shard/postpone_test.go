package shard

import (
	"fmt"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// received lets a shard receive tasks that are to wait until a time.
func received(s *Shard, from, count int, until time.Time) (jobs []*Job) {
	for n := range count {
		j := job(int64(from+n), fmt.Sprint("later-", from+n))
		j.NotBefore = until
		s.Receive(j)
		jobs = append(jobs, j)
	}
	return jobs
}

// A lane full of tasks for later does not fill the way to the log: a task that
// starts now is written behind a bounded number of them.
func TestWaitingRecordsAreWrittenAFewAtATime(t *testing.T) {
	s, d := taken(t)
	s.config.Deferring = 3
	before, until := len(d.waits), d.now.Add(time.Hour)
	jobs := received(s, 0, 10, until)
	if n := len(d.waits) - before; n != 3 {
		t.Fatalf("%d waiting records on their way, want 3", n)
	}
	if s.Quiet() {
		t.Error("the shard is quiet with tasks that are not yet in the waiting log")
	}
	d.turn(t, s)
	if n := len(d.waits) - before; n != len(jobs) {
		t.Fatalf("%d waiting records in the end, want %d", n, len(jobs))
	}
	for _, j := range jobs {
		if w := s.jobs.waits.tasks.byIdentity[j.Identity]; w == nil || !j.finished() {
			t.Errorf("%s does not wait", j.Task.TaskID)
		}
	}
	if len(s.jobs.waits.deferring) > 0 || !s.Quiet() {
		t.Errorf("%d still wait for room, quiet %v", len(s.jobs.waits.deferring), s.Quiet())
	}
}

// What comes near its time before there is room in the waiting log needs none,
// unless an attempt has to be closed there.
func TestWaitsTooShortToBeWrittenStayInTheQueue(t *testing.T) {
	s, d := taken(t)
	tried := works(t, s, d, job(0, "tried"))
	s.config.Deferring = 1
	until := d.now.Add(time.Minute)
	first := received(s, 1, 1, until)[0]
	if !s.Postpone(tried, Postponement{For: schemas.WaitRetry, Until: until, Error: "busy"}) {
		t.Fatal("the job cannot wait")
	}
	near, far := received(s, 2, 2, until), received(s, 4, 1, until.Add(time.Hour))[0]
	offered := len(d.offered)
	d.now = until.Add(-4 * time.Second)
	s.Tick()
	if n := len(d.offered) - offered; n != len(near) {
		t.Fatalf("%d tasks offered, want %d", n, len(near))
	}
	for _, j := range near {
		if j.stage != stageOffered || !j.NotBefore.Equal(until) {
			t.Errorf("%s is in stage %d, not before %v", j.Task.TaskID, j.stage, j.NotBefore)
		}
	}
	d.turn(t, s)
	for _, j := range []*Job{first, tried, far} {
		if w := s.jobs.waits.tasks.byIdentity[j.Identity]; w == nil || !j.finished() {
			t.Errorf("%s does not stand in the waiting log", j.Task.TaskID)
		}
	}
}

// A doubt loses none of those that had no room: they are written after it.
func TestDoubtKeepsWhatHadNoRoom(t *testing.T) {
	s, d := taken(t)
	s.config.Deferring = 1
	jobs := received(s, 0, 4, d.now.Add(time.Hour))
	s.AppendFailed(s.jobs.waits.stamp(s.name), fmt.Errorf("no answer"))
	d.now = d.now.Add(time.Second)
	s.Tick()
	d.reload(t, s)
	for _, j := range jobs {
		if s.jobs.waits.tasks.byIdentity[j.Identity] == nil || !j.finished() {
			t.Errorf("%s does not wait: stage %d", j.Task.TaskID, j.stage)
		}
	}
}

// turn lets all that was appended land in both logs, be acknowledged and be read.
// The journal's records stand at the offsets of the desk's.
func (d *desk) turn(t *testing.T, s *Shard) {
	t.Helper()
	for again := true; again; {
		waits := len(d.waits)
		d.landWaits(s)
		for ; d.counted < len(d.records); d.counted++ {
			r := d.records[d.counted]
			s.Appended(r.Stamp, int64(d.counted))
			s.Follow([]Entry{entry(t, int64(d.counted), r)}, int64(d.counted)+1)
		}
		again = len(d.waits) > waits || d.landed < len(d.waits)
	}
}

// reload lets a take-over read both logs from their starts.
func (d *desk) reload(t *testing.T, s *Shard) {
	t.Helper()
	fence := d.counted
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, int64(fence)}, Bounds{0, d.waitsEnd()}))
	if s.jobs.waits.next == 0 {
		d.landed = 0
		d.landWaits(s)
	}
	for n, r := range d.records[:fence] {
		s.Follow([]Entry{entry(t, int64(n), r)}, int64(n)+1)
	}
	d.turn(t, s)
	if !s.Running() {
		t.Fatalf("not running after it took over again: phase %d", s.phase)
	}
}

// taken is a shard that was taken over with empty logs.
func taken(t *testing.T) (*Shard, *desk) {
	t.Helper()
	s, d := running(t)
	d.counted = 1
	return s, d
}

// works is a job whose attempt is in the journal and goes on.
func works(t *testing.T, s *Shard, d *desk, j *Job) *Job {
	t.Helper()
	if j.delayed == nil {
		s.Receive(j)
	}
	if !s.Begin(j) {
		t.Fatal("the job cannot begin")
	}
	d.turn(t, s)
	return j
}

// letWait puts a working job into the waiting log until a time.
func letWait(t *testing.T, s *Shard, d *desk, j *Job, until time.Time) *delayedTask {
	t.Helper()
	if !s.Postpone(j, Postponement{For: schemas.WaitRetry, Until: until, Error: "busy",
		ErrorCode: schemas.CodeServiceError}) {
		t.Fatal("the job cannot wait")
	}
	d.turn(t, s)
	w := s.jobs.waits.tasks.byIdentity[j.Identity]
	if w == nil || !j.finished() {
		t.Fatalf("the job has not moved to the waiting log: %+v", j)
	}
	return w
}

// A waiting record of another owner counts, which took the job's place. The end
// that was decided here and never counted must not be written any more: the task
// would end, and then go on.
func TestRetakeDropsTheEndOfAJobThatWaitsElsewhere(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	s.Appended(d.last().Stamp, 1)
	z := &zombie{t: t, s: s, epoch: s.jobs.journal.own.Epoch + 50,
		logged: []Entry{{Offset: 0, Stamp: d.records[0].Stamp}, entry(t, 1, d.last())}}
	z.write(nil)
	z.write(event(s, j, 2, schemas.Running))
	z.lets(j, Wait{For: schemas.WaitTime, Attempts: 1, Started: 1})
	s.Conclude(j, s.jobs.events.New(j, schemas.KindState, schemas.Completed))
	before := len(d.records)
	z.retake(d)
	for _, r := range d.records[before+1:] {
		if r.Event == nil || !r.Event.Deferred {
			t.Errorf("after the take-over it writes %+v, and the task waits", r.Event)
		}
	}
	if len(d.records) != before+2 {
		t.Errorf("%d records after the fence, want the one that tells of the wait", len(d.records)-before-1)
	}
}

// A waiting job that is acquitted keeps the past that its record tells, once.
func TestWaitingJobIsAcquittedWithItsPast(t *testing.T) {
	s, d := taken(t)
	w := letWait(t, s, d, works(t, s, d, job(0, "a")), d.now.Add(time.Hour))
	w.base.started += 2 // two lost attempts
	s.jobs.wakeTask(w)
	j := w.job
	j.MaxLost = 3
	s.jobs.deadLetter(j, s.jobs.events.Failed(j, schemas.CodeWorkerLost, "lost"))
	s.DeadLetterWritten(j)
	if j.history.lost() != 2 || j.stage != stageOffered {
		t.Fatalf("acquitted with %d lost attempts in stage %d, want 2 and queued", j.history.lost(), j.stage)
	}
}

// Another owner has lost an attempt while this one waited to have its retry told.
func TestRetryIsNotOfferedToAConvict(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	j.MaxLost = 1
	s.Appended(d.last().Stamp, 1)
	z := &zombie{t: t, s: s, epoch: s.jobs.journal.own.Epoch + 50,
		logged: []Entry{{Offset: 0, Stamp: d.records[0].Stamp}, entry(t, 1, d.last())}}
	s.Follow(z.logged, 2)
	s.Postpone(j, Postponement{For: schemas.WaitRetry, Until: d.now.Add(time.Second)})
	z.write(nil)
	z.write(event(s, j, 2, schemas.Running))
	offered, before := len(d.offered), len(d.records)
	z.retake(d)
	for n, r := range d.records[before+1:] {
		at := int64(len(z.logged)+1) + int64(n)
		s.Appended(r.Stamp, at)
		s.Follow([]Entry{entry(t, at, r)}, at+1)
	}
	if len(d.offered) != offered || len(d.buried) != 1 || j.stage != stageDeadLettering {
		t.Fatalf("offered %d times more, %d letters, stage %d, past %+v", len(d.offered)-offered, len(d.buried),
			j.stage, j.history)
	}
}

// A task that waited and has ended is recognised when it is sent again, though
// its lane record was held back by another one until after that.
func TestTaskThatHasWaitedIsRecognised(t *testing.T) {
	s, d := taken(t)
	head := job(0, "head")
	works(t, s, d, head)
	letWait(t, s, d, works(t, s, d, job(1, "a")), d.now.Add(time.Hour))
	again := s.Cancel(fold.IdentityOf("u", "a"))
	s.Conclude(again, s.jobs.events.New(again, schemas.KindState, schemas.Completed))
	d.turn(t, s)
	s.Conclude(head, s.jobs.events.New(head, schemas.KindState, schemas.Completed))
	d.turn(t, s)
	if s.jobs.tracker.prefix != 2 || s.jobs.waits.tasks.count != 0 {
		t.Fatalf("prefix %d, %d waiting, want all done", s.jobs.tracker.prefix, s.jobs.waits.tasks.count)
	}
	s.Receive(job(2, "a"))
	if e := d.last().Event; e == nil || e.Kind != schemas.KindRepeat {
		t.Fatalf("sent again it is no repeat: the last record is %+v", d.last())
	}
}

// A payload that cannot be read is lost, not the task: the waiting log is read
// again, and nothing is committed before. A job that runs meanwhile goes on.
func TestWaitingTaskThatCannotBeReadIsReadAgain(t *testing.T) {
	s, d := taken(t)
	far := d.now.Add(time.Minute)
	letWait(t, s, d, works(t, s, d, job(0, "a")), far)
	runs := letWait(t, s, d, works(t, s, d, job(1, "b")), far)
	s.jobs.wakeTask(runs)
	j := works(t, s, d, runs.job)
	d.unreadable = true
	d.now = far
	s.Tick()
	if _, ok := s.CommitPoint(); ok || s.Cancel(fold.IdentityOf("u", "a")) != nil {
		t.Fatal("commits, or finds, what it cannot read")
	}
	s.Tick()
	d.unreadable = false
	if s.phase != phaseDoubting {
		t.Fatalf("phase %d: the lost task is never looked for", s.phase)
	}
	d.now = d.now.Add(2 * lastRetake)
	s.Tick()
	d.reload(t, s)
	if s.jobs.waits.tasks.count != 2 || len(s.jobs.waits.active) != 2 ||
		s.jobs.waits.tasks.find(j.Identity, j.Wait) != j.delayed {
		t.Fatalf("%d waiters, %d active", s.jobs.waits.tasks.count, len(s.jobs.waits.active))
	}
	for _, found := range s.jobs.waits.active {
		s.Conclude(found, s.jobs.events.New(found, schemas.KindState, schemas.Completed))
	}
	d.turn(t, s)
	if s.jobs.waits.tasks.count != 0 || len(s.jobs.waits.active) != 0 || !s.Quiet() {
		t.Fatalf("%d waiters, %d active, after all have ended", s.jobs.waits.tasks.count, len(s.jobs.waits.active))
	}
}

// What the port keeps of a waiter that somebody else has buried is given back.
func TestBuriedWaiterIsGivenBack(t *testing.T) {
	s, d := taken(t)
	w := letWait(t, s, d, works(t, s, d, job(0, "a")), d.now.Add(time.Hour))
	z := &zombie{t: t, s: s, epoch: s.jobs.journal.own.Epoch + 50}
	for n, r := range d.records {
		z.logged = append(z.logged, entry(t, int64(n), r))
	}
	z.write(nil)
	z.lets(job(9, "z"), Wait{For: schemas.WaitTime})
	z.waits[1] = WaitEntry{Stamp: fold.Stamp{Shard: "fast/3", Epoch: z.epoch, Seq: 2},
		Key: waitKey("fast", job(0, "a").Task, w.stamp)}
	z.retake(d)
	if s.jobs.waits.tasks.count != 0 || s.jobs.waits.tasks.scheduled.Len() != 0 || len(d.discarded) != 1 {
		t.Fatalf("%d waiters, %d resting, %d given back", s.jobs.waits.tasks.count, s.jobs.waits.tasks.scheduled.Len(),
			len(d.discarded))
	}
}

// A waiting task ends when it expires, not when its time would have come; it may
// not begin in between.
func TestWaitingTaskExpiresInTime(t *testing.T) {
	for _, told := range []bool{false, true} {
		s, d := taken(t)
		expires := schemas.AtTime(d.now.Add(time.Hour))
		j := job(0, "a")
		j.Task.ExpiresAt = &expires
		var until time.Time // told to go on
		if !told {
			until = d.now.Add(24 * time.Hour)
		}
		w := letWait(t, s, d, works(t, s, d, j), until)
		offered := len(d.offered)
		d.now = expires.Add(-wakeAhead - time.Millisecond)
		s.Tick()
		if len(d.offered) != offered {
			t.Fatal("roused before it expires")
		}
		d.now = expires.Add(-wakeAhead)
		s.Tick()
		if len(d.offered) != offered+1 || w.job == nil || w.job.NotBefore.Before(expires.Add(time.Hour)) {
			t.Fatalf("offered %d times; it may begin at %v though it expires at %v", len(d.offered)-offered,
				w.job.NotBefore, expires)
		}
	}
}

func TestPostponeShortLongAndNotYet(t *testing.T) {
	s, d := taken(t)
	short, long := d.now.Add(5*time.Second), d.now.Add(5*time.Second+time.Millisecond)

	j := works(t, s, d, job(0, "short"))
	if !s.Postpone(j, Postponement{For: schemas.WaitTime, Until: short}) || s.Postpone(j, Postponement{Until: short}) ||
		s.Working() != 0 {
		t.Fatal("an attempt is put off once, and nobody works on it then")
	}
	if n := len(d.offered); n != 1 {
		t.Fatalf("offered %d times before it is told that the attempt is over", n)
	}
	d.turn(t, s)
	if len(d.offered) != 2 || !j.NotBefore.Equal(short) || len(d.waits) != 1 {
		t.Fatalf("offered %d times, not before %v, %d records of the waiting log", len(d.offered), j.NotBefore,
			len(d.waits))
	}

	queued := job(1, "queued")
	s.Receive(queued)
	if !s.Postpone(queued, Postponement{For: schemas.WaitPause, Until: short}) || len(d.offered) != 4 ||
		!queued.NotBefore.Equal(short) {
		t.Fatalf("a queued job that waits shortly is offered again at once: %d, %v", len(d.offered), queued.NotBefore)
	}
	if !s.Postpone(queued, Postponement{For: schemas.WaitPause, Until: long}) || queued.stage != stageDelayWritten {
		t.Fatal("a queued job that waits long goes to the waiting log")
	}

	later := job(2, "later")
	later.NotBefore = long
	s.Receive(later)
	d.turn(t, s)
	for _, one := range []*Job{queued, later} {
		if w := s.jobs.waits.tasks.byIdentity[one.Identity]; w == nil || w.at == 0 || w.due != long.UnixMilli() ||
			!one.finished() {
			t.Errorf("%s does not rest until its time: %+v", one.Task.TaskID, w)
		}
	}
	if len(d.offered) != 4 {
		t.Fatalf("offered %d times before their time", len(d.offered)-4)
	}
	d.now = long.Add(-wakeAhead)
	s.Tick()
	if len(d.offered) != 6 || !d.offered[5].NotBefore.Equal(long) {
		t.Fatalf("offered %d times when their time is near", len(d.offered)-4)
	}
}

// A task that is cancelled does not wait for its time first, wherever it is on its way
// there. One that rests is the caller's to end.
func TestCancelledTaskDoesNotRest(t *testing.T) {
	for _, steps := range []struct {
		name  string
		until func(t *testing.T, s *Shard, d *desk)
		found bool
	}{
		{"its record is being written", func(*testing.T, *Shard, *desk) {}, false},
		{"its record counts", func(_ *testing.T, s *Shard, d *desk) { d.landWaits(s) }, false},
		{"it rests", func(t *testing.T, s *Shard, d *desk) { d.turn(t, s) }, true},
	} {
		t.Run(steps.name, func(t *testing.T) {
			s, d := taken(t)
			j := job(0, "a")
			j.NotBefore = d.now.Add(time.Hour)
			s.Receive(j)
			steps.until(t, s, d)
			if found := s.Cancel(j.Identity); (found != nil) != steps.found {
				t.Fatalf("found to be ended: %v", found)
			}
			d.turn(t, s)
			if offered := len(d.offered) == 1; offered == steps.found || s.jobs.waits.tasks.scheduled.Len() != 0 {
				t.Fatalf("offered %d times, %d rest", len(d.offered), s.jobs.waits.tasks.scheduled.Len())
			}
		})
	}
}

// What was cancelled while a shard was taken over is cancelled again when it is told that
// that is over, with the first take-over and with every other.
func TestTakenOverIsTold(t *testing.T) {
	s, d := taken(t)
	if d.taken != 1 {
		t.Fatalf("told %d times of one take-over", d.taken)
	}
	j := job(0, "a")
	j.NotBefore = d.now.Add(time.Hour)
	s.Receive(j)
	d.turn(t, s)
	s.doubt("a test")
	if s.Cancel(j.Identity) != nil || d.taken != 1 {
		t.Fatal("found in doubt")
	}
	s.TakeOver()
	d.reload(t, s)
	if d.taken != 2 || s.Cancel(j.Identity) == nil {
		t.Fatalf("told %d times of two take-overs, or not found then", d.taken)
	}
}

func pauseOf(user string) Hold {
	return Hold{Name: "pause/user/" + user, Target: schemas.Target{Type: schemas.TargetUser, UserID: user}}
}

// held lets a task wait for the end of a pause, until its record counts.
func held(t *testing.T, s *Shard, d *desk, j *Job) {
	t.Helper()
	if s.Receive(j); !s.Postpone(j, Postponement{For: schemas.WaitPause, Hold: "pause/user/u"}) {
		t.Fatal("not postponed")
	}
	d.turn(t, s)
}

// What waits for the end of something goes on when that has ended, at once and
// not before, whatever the clock says.
func TestHeldTaskGoesOnWhenItsHoldEnds(t *testing.T) {
	s, d := taken(t)
	s.SetHolds(NewHolds([]Hold{pauseOf("u")}))
	held(t, s, d, job(0, "a"))
	offered := len(d.offered)
	d.now = d.now.Add(400 * 24 * time.Hour)
	s.Tick()
	s.SetHolds(NewHolds([]Hold{pauseOf("u"), pauseOf("w")}))
	if len(d.offered) != offered || s.jobs.waits.tasks.scheduled.Len() != 1 {
		t.Fatalf("offered %d times while it is held, %d rest", len(d.offered)-offered, s.jobs.waits.tasks.scheduled.Len())
	}
	s.SetHolds(NewHolds(nil))
	if len(d.offered) != offered+1 || d.offered[offered].NotBefore.After(d.now) {
		t.Fatalf("offered %d times when nothing holds it, %+v", len(d.offered)-offered, d.offered[offered:])
	}
	held(t, s, d, job(1, "b")) // lifted while its record was on its way
	if last := d.offered[len(d.offered)-1]; last.Offset != 1 || last.delayed == nil {
		t.Fatalf("offered last: %+v", last)
	}
}

// A hold that ends while the shard has no owner, or while its owner doubts, does
// not keep a task for ever.
func TestHoldThatEndsUnseen(t *testing.T) {
	for _, tt := range []struct {
		name string
		ends func(t *testing.T, s *Shard, d *desk) *Shard
	}{
		{"another owner", func(_ *testing.T, s *Shard, d *desk) *Shard {
			next := New(*s.config, Port{d, d, d, d})
			s.Forget()
			next.TakeOver()
			next.SetHolds(NewHolds(nil))
			return next
		}},
		{"a doubt", func(_ *testing.T, s *Shard, d *desk) *Shard {
			s.doubt("a test")
			s.SetHolds(NewHolds(nil))
			s.TakeOver()
			return s
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, d := taken(t)
			s.SetHolds(NewHolds([]Hold{pauseOf("u")}))
			held(t, s, d, job(0, "a"))
			offered := len(d.offered)
			s = tt.ends(t, s, d)
			d.reload(t, s)
			s.Tick()
			if len(d.offered) != offered+1 {
				t.Fatalf("offered %d times", len(d.offered)-offered)
			}
		})
	}
}

// Waits are kept by the next owner, those in the queue as those in the log.
func TestWaitsOutliveTheirOwner(t *testing.T) {
	s, d := taken(t)
	short, long := d.now.Add(4*time.Second), d.now.Add(time.Hour)
	j := works(t, s, d, job(0, "short"))
	s.Postpone(j, Postponement{For: schemas.WaitRetry, Until: short})
	d.turn(t, s)
	letWait(t, s, d, works(t, s, d, job(1, "long")), long)

	next := New(*s.config, Port{d, d, d, d})
	next.TakeOver()
	s.Forget()
	offered := len(d.offered)
	next.Receive(job(0, "short"))
	next.Receive(job(1, "long"))
	d.reload(t, next)
	w := next.jobs.waits.tasks.byIdentity[fold.IdentityOf("u", "long")]
	if w == nil || w.due != long.UnixMilli() || w.base != (waitBase{1, 1, 1, 0}) || w.at == 0 {
		t.Fatalf("the waiting log's task: %+v", w)
	}
	if len(d.offered) != offered+1 || !d.offered[offered].NotBefore.Equal(short) ||
		d.offered[offered].history.failed != 1 {
		t.Fatalf("offered %d, %+v", len(d.offered)-offered, d.offered[offered:])
	}
}

// The tombstone counts before the owner that doubts takes over again: the task is
// recognised all the same.
func TestTaskThatHasWaitedIsRecognisedAfterADoubt(t *testing.T) {
	s, d := taken(t)
	letWait(t, s, d, works(t, s, d, job(0, "a")), d.now.Add(time.Hour))
	found := s.Cancel(fold.IdentityOf("u", "a"))
	s.Conclude(found, s.jobs.events.New(found, schemas.KindState, schemas.Cancelled))
	for ; d.counted < len(d.records); d.counted++ { // but not its tombstone
		s.Follow([]Entry{entry(t, int64(d.counted), d.records[d.counted])}, int64(d.counted)+1)
	}
	s.AppendFailed(fold.Stamp{Epoch: s.jobs.journal.own.Epoch}, timeout())
	d.now = d.now.Add(2 * lastRetake)
	s.Tick()
	d.landed++
	tombstone := d.waits[d.landed-1]
	fence := d.counted
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, int64(fence)}, Bounds{0, d.waitsEnd()}))
	s.FollowWaits([]WaitEntry{{Offset: d.waitsEnd() - 1, Stamp: tombstone.Stamp, Key: tombstone.Key}}, d.waitsEnd())
	for n, r := range d.records[:fence] {
		s.Follow([]Entry{entry(t, int64(n), r)}, int64(n)+1)
	}
	d.turn(t, s)
	s.Receive(job(1, "a"))
	if e := d.last().Event; e == nil || e.Kind != schemas.KindRepeat {
		t.Fatalf("sent again it is no repeat: the last record is %+v", d.last())
	}
}

// A `running` that never counts must leave no trace of an attempt in the waiting
// log, and no checkpoint may be missing there.
func TestWaitingRecordComesAfterAllItTells(t *testing.T) {
	s, d := taken(t)
	j := begun(t, s, 0, "a")
	s.Appended(d.last().Stamp, 1) // acknowledged, and not read yet
	e := s.jobs.events.New(j, schemas.KindCheckpoint, schemas.Running)
	e.Checkpoint = &schemas.Checkpoint{Name: "step", Result: []byte("1")}
	s.Report(j, e)
	s.Postpone(j, Postponement{For: schemas.WaitTime, Until: d.now.Add(time.Hour)})
	for n := 1; n <= 2; n++ {
		if len(d.waits) != 1 {
			t.Fatalf("the waiting record is written before record %d has counted", n)
		}
		s.Follow([]Entry{entry(t, int64(n), d.records[n])}, int64(n)+1)
	}
	if len(d.waits) != 2 || string(d.waits[1].Wait.Checkpoints["step"]) != "1" || d.waits[1].Wait.Attempts != 0 {
		t.Fatalf("then it says %+v", d.waits[len(d.waits)-1].Wait)
	}
}

// A newer version's rules refuse what an older one let wait.
func TestWaitingTaskThatIsNoneAnyMoreIsRefused(t *testing.T) {
	s, d := taken(t)
	w := letWait(t, s, d, works(t, s, d, job(0, "a")), d.now.Add(time.Hour))
	task := w.payload.(*Job).Task
	w.payload.(*Job).Invalid = &schemas.InvalidTaskError{Problem: "is too old", Task: task}
	offered := len(d.offered)
	d.now = d.now.Add(time.Hour)
	s.Tick()
	if len(d.offered) != offered || len(d.buried) != 1 {
		t.Fatalf("offered %d times, %d letters", len(d.offered)-offered, len(d.buried))
	}
	s.DeadLetterWritten(d.buried[0])
	d.turn(t, s)
	if e := d.last().Event; e == nil || e.Status != schemas.Failed || e.UserID != "u" || e.TaskID != "a" {
		t.Errorf("the last event is %+v", e)
	}
	if s.jobs.waits.tasks.count != 0 || len(s.jobs.waits.active) != 0 || !s.Quiet() {
		t.Fatalf("%d waiters, %d active", s.jobs.waits.tasks.count, len(s.jobs.waits.active))
	}
}
