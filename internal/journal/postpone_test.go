package journal

import (
	"testing"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

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
	s.Loaded(Commit{Offset: -1}, Bounds{0, int64(fence)}, Bounds{0, d.waitsEnd()})
	if s.waits.next == 0 {
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
	if j.waiter == nil {
		s.Receive(j)
	}
	if !s.Begin(j) {
		t.Fatal("the job cannot begin")
	}
	d.turn(t, s)
	return j
}

// letWait puts a working job into the waiting log until a time.
func letWait(t *testing.T, s *Shard, d *desk, j *Job, until time.Time) *waiter {
	t.Helper()
	if !s.Postpone(j, Postponement{For: schemas.WaitRetry, Until: until, Error: "busy", ErrorCode: schemas.CodeServiceError}) {
		t.Fatal("the job cannot wait")
	}
	d.turn(t, s)
	w := s.waits.waiters.byIdentity[j.Identity]
	if w == nil || !j.finished {
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
	z := &zombie{t: t, s: s, epoch: s.own.Epoch + 50, logged: []Entry{{Offset: 0, Stamp: d.records[0].Stamp}, entry(t, 1, d.last())}}
	z.write(nil)
	z.write(event(s, j, 2, schemas.Running))
	z.lets(j, Wait{For: schemas.WaitTime, Attempts: 1, Started: 1})
	s.Conclude(j, s.NewEvent(j, schemas.KindState, schemas.Completed))
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
	s.rouse(w)
	j := w.job
	j.MaxLost = 3
	s.condemn(j, s.FailedEvent(j, schemas.CodeWorkerLost, "lost"))
	s.Buried(j)
	if j.past.lost() != 2 || j.stage != stageQueued {
		t.Fatalf("acquitted with %d lost attempts in stage %d, want 2 and queued", j.past.lost(), j.stage)
	}
}

// Another owner has lost an attempt while this one waited to have its retry told.
func TestRetryIsNotOfferedToAConvict(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	j.MaxLost = 1
	s.Appended(d.last().Stamp, 1)
	z := &zombie{t: t, s: s, epoch: s.own.Epoch + 50, logged: []Entry{{Offset: 0, Stamp: d.records[0].Stamp}, entry(t, 1, d.last())}}
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
	if len(d.offered) != offered || len(d.buried) != 1 || j.stage != stageBurying {
		t.Fatalf("offered %d times more, %d letters, stage %d, past %+v", len(d.offered)-offered, len(d.buried), j.stage, j.past)
	}
}

// A task that waited and has ended is recognised when it is sent again, though
// its lane record was held back by another one until after that.
func TestTaskThatHasWaitedIsRecognised(t *testing.T) {
	s, d := taken(t)
	head := job(0, "head")
	works(t, s, d, head)
	letWait(t, s, d, works(t, s, d, job(1, "a")), d.now.Add(time.Hour))
	again := s.Find(IdentityOf("u", "a"))
	s.Conclude(again, s.NewEvent(again, schemas.KindState, schemas.Completed))
	d.turn(t, s)
	s.Conclude(head, s.NewEvent(head, schemas.KindState, schemas.Completed))
	d.turn(t, s)
	if s.tracker.prefix != 2 || s.waits.waiters.count != 0 {
		t.Fatalf("prefix %d, %d waiting, want all done", s.tracker.prefix, s.waits.waiters.count)
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
	far := d.now.Add(time.Hour)
	letWait(t, s, d, works(t, s, d, job(0, "a")), far)
	runs := letWait(t, s, d, works(t, s, d, job(1, "b")), far)
	s.rouse(runs)
	j := works(t, s, d, runs.job)
	d.unreadable = true
	d.now = far
	s.Tick()
	if _, ok := s.CommitPoint(); ok || s.Find(IdentityOf("u", "a")) != nil {
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
	if s.waits.waiters.count != 2 || len(s.active) != 2 || s.waits.waiters.find(j.Identity, j.Wait) != j.waiter {
		t.Fatalf("%d waiters, %d active", s.waits.waiters.count, len(s.active))
	}
	for _, found := range s.active {
		s.Conclude(found, s.NewEvent(found, schemas.KindState, schemas.Completed))
	}
	d.turn(t, s)
	if s.waits.waiters.count != 0 || len(s.active) != 0 || !s.Quiet() {
		t.Fatalf("%d waiters, %d active, after all have ended", s.waits.waiters.count, len(s.active))
	}
}

// What the port keeps of a waiter that somebody else has buried is given back.
func TestBuriedWaiterIsGivenBack(t *testing.T) {
	s, d := taken(t)
	w := letWait(t, s, d, works(t, s, d, job(0, "a")), d.now.Add(time.Hour))
	z := &zombie{t: t, s: s, epoch: s.own.Epoch + 50}
	for n, r := range d.records {
		z.logged = append(z.logged, entry(t, int64(n), r))
	}
	z.write(nil)
	z.lets(job(9, "z"), Wait{For: schemas.WaitTime})
	z.waits[1] = WaitEntry{Stamp: Stamp{"fast/3", z.epoch, 2}, Key: waitKey("fast", job(0, "a").Task, w.stamp)}
	z.retake(d)
	if s.waits.waiters.count != 0 || len(s.waits.waiters.resting) != 0 || len(d.discarded) != 1 {
		t.Fatalf("%d waiters, %d resting, %d given back", s.waits.waiters.count, len(s.waits.waiters.resting), len(d.discarded))
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
			t.Fatalf("offered %d times; it may begin at %v though it expires at %v", len(d.offered)-offered, w.job.NotBefore, expires)
		}
	}
}

func TestPostponeShortLongAndNotYet(t *testing.T) {
	s, d := taken(t)
	short, long := d.now.Add(5*time.Second), d.now.Add(5*time.Second+time.Millisecond)

	j := works(t, s, d, job(0, "short"))
	if !s.Postpone(j, Postponement{For: schemas.WaitTime, Until: short}) || s.Postpone(j, Postponement{Until: short}) || s.Working() != 0 {
		t.Fatal("an attempt is put off once, and nobody works on it then")
	}
	if n := len(d.offered); n != 1 {
		t.Fatalf("offered %d times before it is told that the attempt is over", n)
	}
	d.turn(t, s)
	if len(d.offered) != 2 || !j.NotBefore.Equal(short) || len(d.waits) != 1 {
		t.Fatalf("offered %d times, not before %v, %d records of the waiting log", len(d.offered), j.NotBefore, len(d.waits))
	}

	queued := job(1, "queued")
	s.Receive(queued)
	if !s.Postpone(queued, Postponement{For: schemas.WaitPause, Until: short}) || len(d.offered) != 4 || !queued.NotBefore.Equal(short) {
		t.Fatalf("a queued job that waits shortly is offered again at once: %d, %v", len(d.offered), queued.NotBefore)
	}
	if !s.Postpone(queued, Postponement{For: schemas.WaitPause, Until: long}) || queued.stage != stageDeferring {
		t.Fatal("a queued job that waits long goes to the waiting log")
	}

	later := job(2, "later")
	later.NotBefore = long
	s.Receive(later)
	d.turn(t, s)
	for _, one := range []*Job{queued, later} {
		if w := s.waits.waiters.byIdentity[one.Identity]; w == nil || w.at < 0 || w.due != long.UnixMilli() || !one.finished {
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

// A task that was cancelled does not wait for its time first.
func TestDoomedTaskIsRoused(t *testing.T) {
	s, d := taken(t)
	j := job(0, "a")
	j.NotBefore = d.now.Add(time.Hour)
	d.doomed = map[Identity]bool{j.Identity: true}
	s.Receive(j)
	d.turn(t, s)
	if len(d.offered) != 1 || len(s.waits.waiters.resting) != 0 {
		t.Fatalf("offered %d times, %d rest", len(d.offered), len(s.waits.waiters.resting))
	}
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
	d.holds = map[string]bool{"pause/user/u": true, "pause/user/v": false}
	held(t, s, d, job(0, "a"))
	offered := len(d.offered)
	d.now = d.now.Add(400 * 24 * time.Hour)
	s.Tick()
	s.Unhold()
	if len(d.offered) != offered || len(s.waits.waiters.resting) != 1 {
		t.Fatalf("offered %d times while it is held, %d rest", len(d.offered)-offered, len(s.waits.waiters.resting))
	}
	d.holds = nil
	s.Unhold()
	if len(d.offered) != offered+1 || d.offered[offered].NotBefore.After(d.now) {
		t.Fatalf("offered %d times when nothing holds it, %+v", len(d.offered)-offered, d.offered[offered:])
	}
	held(t, s, d, job(1, "b")) // lifted while its record was on its way
	if last := d.offered[len(d.offered)-1]; last.Offset != 1 || last.waiter == nil {
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
			next := New(s.config, d)
			s.Forget()
			next.TakeOver()
			d.holds = nil
			return next
		}},
		{"a doubt", func(_ *testing.T, s *Shard, d *desk) *Shard {
			s.doubt("a test")
			d.holds = nil
			s.Unhold()
			s.TakeOver()
			return s
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, d := taken(t)
			d.holds = map[string]bool{"pause/user/u": true}
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

	next := New(s.config, d)
	next.TakeOver()
	s.Forget()
	offered := len(d.offered)
	next.Receive(job(0, "short"))
	next.Receive(job(1, "long"))
	d.reload(t, next)
	w := next.waits.waiters.byIdentity[IdentityOf("u", "long")]
	if w == nil || w.due != long.UnixMilli() || w.base != (waitBase{1, 1, 1, 0}) || w.at < 0 {
		t.Fatalf("the waiting log's task: %+v", w)
	}
	if len(d.offered) != offered+1 || !d.offered[offered].NotBefore.Equal(short) || d.offered[offered].past.failed != 1 {
		t.Fatalf("offered %d, %+v", len(d.offered)-offered, d.offered[offered:])
	}
}

// The tombstone counts before the owner that doubts takes over again: the task is
// recognised all the same.
func TestTaskThatHasWaitedIsRecognisedAfterADoubt(t *testing.T) {
	s, d := taken(t)
	letWait(t, s, d, works(t, s, d, job(0, "a")), d.now.Add(time.Hour))
	found := s.Find(IdentityOf("u", "a"))
	s.Conclude(found, s.NewEvent(found, schemas.KindState, schemas.Cancelled))
	for ; d.counted < len(d.records); d.counted++ { // but not its tombstone
		s.Follow([]Entry{entry(t, int64(d.counted), d.records[d.counted])}, int64(d.counted)+1)
	}
	s.AppendFailed(Stamp{Epoch: s.own.Epoch}, timeout())
	d.now = d.now.Add(2 * lastRetake)
	s.Tick()
	d.landed++
	tombstone := d.waits[d.landed-1]
	fence := d.counted
	s.Loaded(Commit{Offset: -1}, Bounds{0, int64(fence)}, Bounds{0, d.waitsEnd()})
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
	e := s.NewEvent(j, schemas.KindCheckpoint, schemas.Running)
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
	s.Buried(d.buried[0])
	d.turn(t, s)
	if s.waits.waiters.count != 0 || len(s.active) != 0 || !s.Quiet() {
		t.Fatalf("%d waiters, %d active", s.waits.waiters.count, len(s.active))
	}
}
