package shard

import (
	"testing"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// zombie is what an owner that was believed gone writes above the shard's epoch.
type zombie struct {
	t      *testing.T
	s      *Shard
	epoch  int64
	seq    int64
	logged []Entry
	waits  []WaitEntry // what it wrote to the waiting log
}

// lets puts a job into the waiting log, in the place of its lane record.
func (z *zombie) lets(j *Job, w Wait) {
	if len(z.waits) == 0 {
		z.waits = append(z.waits, WaitEntry{Stamp: fold.Stamp{Shard: "fast/3", Epoch: z.epoch, Seq: 1},
			Key: fold.WaitFenceKey("fast", fold.State{Epoch: z.epoch, Seq: 1})})
	}
	at := fold.State{Epoch: z.epoch, Seq: int64(len(z.waits) + 1)}
	w.Offset = j.Offset
	z.waits = append(z.waits, WaitEntry{
		Stamp: fold.Stamp{Shard: "fast/3", Epoch: at.Epoch, Seq: at.Seq}, Key: waitKey("fast", j.Task, at), Wait: &w,
		Payload: &Job{Task: j.Task, MaxLost: j.MaxLost},
	})
}

// write puts a record behind what is logged; nil is a fence.
func (z *zombie) write(e *schemas.Event) {
	z.t.Helper()
	z.seq++
	r := Record{Stamp: fold.Stamp{Shard: "fast/3", Epoch: z.epoch, Seq: z.seq}, Event: e}
	z.logged = append(z.logged, entry(z.t, int64(len(z.logged)), r))
}

// retake lets the shard find the foreign fence and take over again above it.
func (z *zombie) retake(d *desk) {
	z.t.Helper()
	end := int64(len(z.logged))
	z.s.Follow(z.logged, end)
	z.s.Confirmed(true)
	d.now = d.now.Add(2 * lastRetake)
	z.s.Tick()
	z.s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, end}, Bounds{0, d.waitsEnd() + int64(len(z.waits))}))
	d.landForeign(z.s, z.waits...)
	z.s.Follow(z.logged, end)
	fence := d.last()
	d.landWaits(z.s)
	z.s.Appended(fence.Stamp, end)
	z.s.Follow([]Entry{{Offset: end, Stamp: fence.Stamp}}, end+1)
	if !z.s.Running() {
		z.t.Fatalf("not running after it took over again: phase %d", z.s.phase)
	}
}

func event(s *Shard, j *Job, attempt int, status schemas.Status) *schemas.Event {
	e := s.jobs.events.New(j, schemas.KindState, status)
	e.Attempt, e.Worker = attempt, "zombie"
	return e
}

// A job that waited in the queue through a doubt may have lost, meanwhile, as
// many attempts as it may.
func TestShardRetakeConvictsWhatWaits(t *testing.T) {
	s, d := running(t)
	j := job(0, "a")
	j.MaxLost = 1
	s.Receive(j)
	z := &zombie{t: t, s: s, epoch: s.jobs.journal.own.Epoch + 50, logged: []Entry{{Offset: 0, Stamp: d.records[0].Stamp}}}
	z.write(nil)
	z.write(event(s, j, 1, schemas.Running))
	z.retake(d)
	s.DeadLetterWritten(j) // the letter comes first
	if e := d.last().Event; e == nil || e.ErrorCode != schemas.CodeWorkerLost {
		t.Fatalf("after a lost attempt of one allowed the last record is %+v", d.last())
	}
	if s.Begin(j) {
		t.Fatal("a convicted job begins")
	}
}

// A conviction that has not counted is looked at again: the attempt it rests on
// was handed over meanwhile.
func TestShardRetakeAcquitsWhatWasHandedOver(t *testing.T) {
	s, d := newShard(t)
	j := job(0, "a")
	j.MaxLost = 1
	z := &zombie{t: t, s: s, epoch: d.now.UnixMilli() - 50}
	z.write(nil)
	z.write(event(s, j, 1, schemas.Running))
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 2}, Bounds{}))
	s.Receive(j)
	s.Follow(z.logged, 2)
	d.landWaits(s)
	s.Appended(d.last().Stamp, 2)
	z.logged = append(z.logged, Entry{Offset: 2, Stamp: d.last().Stamp})
	s.Follow(z.logged, 3)
	s.DeadLetterWritten(j)
	if e := d.last().Event; e == nil || e.ErrorCode != schemas.CodeWorkerLost || len(d.offered) != 0 {
		t.Fatalf("after a lost attempt of one allowed the last record is %+v", d.last())
	}
	z.epoch, z.seq = s.jobs.journal.own.Epoch+50, 0
	z.write(nil)
	z.write(event(s, j, 1, schemas.Pending))
	z.retake(d)
	if e := d.last().Event; e != nil {
		t.Fatalf("the conviction is written again: %+v", e)
	}
	if len(d.offered) != 1 || !s.Begin(j) || j.Attempt != 1 {
		t.Fatalf("offered %d times, attempt %d, want once and attempt 1", len(d.offered), j.Attempt)
	}
}

// An owner that remembers less started the task; one that remembers more must
// not call it a repeat.
func TestShardRunsWhatWasStartedThoughItRemembersIt(t *testing.T) {
	s, d := newShard(t)
	first, again := job(0, "a"), job(5, "a")
	z := &zombie{t: t, s: s, epoch: d.now.UnixMilli() - 50}
	z.write(nil)
	z.write(event(s, first, 0, schemas.Cancelled))
	z.write(event(s, again, 1, schemas.Running))
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: 5, Position: 2, Before: fold.State{Epoch: z.epoch, Seq: 2}, Own: z.epoch, Window: 1},
		logs(Bounds{0, 3}, Bounds{}))
	s.Receive(again)
	s.Follow(z.logged, 3)
	d.landWaits(s)
	s.Appended(d.last().Stamp, 3)
	s.Follow([]Entry{{Offset: 3, Stamp: d.last().Stamp}}, 4)
	if first, ok := s.jobs.window.firstSeen(again.Identity); !ok || first != 0 {
		t.Fatalf("the window does not hold the first record: %d, %v", first, ok)
	}
	if len(d.offered) != 1 || d.last().Event != nil {
		t.Fatalf("offered %d times, last record %+v", len(d.offered), d.last())
	}
}

// Work goes on under a new attempt if another owner's attempt came in between,
// even one with the same number.
func TestShardRetakeTellsAttemptsApartByTheirWriter(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	d.landWaits(s)
	s.Appended(d.last().Stamp, 5) // it will turn out not to count
	z := &zombie{t: t, s: s, epoch: s.jobs.journal.own.Epoch + 50, logged: []Entry{{Offset: 0, Stamp: d.records[0].Stamp}}}
	z.write(nil)
	z.write(event(s, j, 1, schemas.Running))
	z.retake(d)
	e := d.last().Event
	if e == nil || e.Status != schemas.Running || e.Attempt != 2 || len(d.started) != 1 || len(d.stopped) != 0 {
		t.Fatalf("last record %+v, started %d, stopped %d", d.last(), len(d.started), len(d.stopped))
	}
}

// What ended elsewhere is stopped here, and nothing of it is written any more.
func TestShardRetakeStopsWhatHasEnded(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	d.landWaits(s)
	s.Appended(d.last().Stamp, 1)
	z := &zombie{t: t, s: s, epoch: s.jobs.journal.own.Epoch + 50,
		logged: []Entry{{Offset: 0, Stamp: d.records[0].Stamp}, entry(t, 1, d.last())}}
	z.write(nil)
	z.write(event(s, j, 2, schemas.Running))
	z.write(event(s, j, 2, schemas.Completed))
	z.retake(d)
	if len(d.stopped) != 1 || s.Working() != 0 || d.last().Event != nil {
		t.Fatalf("stopped %d, working %d, last record %+v", len(d.stopped), s.Working(), d.last())
	}
	if s.Conclude(j, s.jobs.events.Failed(j, schemas.CodePanic, "late")) || !s.Quiet() {
		t.Fatal("an end of its own is taken")
	}
	if c, ok := s.CommitPoint(); !ok || c.Offset != 1 {
		t.Fatalf("commit %+v, %v", c, ok)
	}
}

// What was reported during the doubt is written after it, once and in order.
func TestShardRetakeWritesWhatWaited(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	d.landWaits(s)
	s.Appended(d.last().Stamp, 1)
	landed := []Entry{{Offset: 0, Stamp: d.records[0].Stamp}, entry(t, 1, d.last())}
	s.AppendFailed(d.last().Stamp, timeout())
	for range 2 {
		s.Report(j, s.jobs.events.New(j, schemas.KindProgress, schemas.Running))
	}
	s.Conclude(j, s.jobs.events.New(j, schemas.KindState, schemas.Completed))
	z := &zombie{t: t, s: s, logged: landed}
	z.retake(d)
	var kinds []schemas.Kind
	for _, r := range d.records[3:] {
		if r.Event == nil {
			t.Fatalf("writes %+v after the doubt", r)
		}
		kinds = append(kinds, r.Event.Kind)
	}
	if len(kinds) != 3 || kinds[0] != schemas.KindProgress || kinds[2] != schemas.KindState {
		t.Fatalf("writes %v after the doubt", kinds)
	}
	if d.settled != 1 || s.Working() != 0 {
		t.Fatalf("settled %d, working %d", d.settled, s.Working())
	}
}
