package shard

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// unique is a job whose content no other may have for a minute from its record's
// time, so long after the desk's.
func (d *desk) unique(offset int64, id, content string, after time.Duration) *Job {
	j := job(offset, id)
	j.Unique = &Content{Sum: fold.IdentityOf("u", content), TTL: time.Minute}
	j.Created = d.now.Add(after)
	return j
}

// ends ends a working job, and lets that count.
func ends(t *testing.T, s *Shard, d *desk, j *Job, status schemas.Status) {
	t.Helper()
	if !s.Conclude(j, s.jobs.events.New(j, schemas.KindState, status)) {
		t.Fatal("it has ended already")
	}
	d.turn(t, s)
}

func isDuplicate(r Record, of string) bool {
	e := r.Event
	return e != nil && e.Status == schemas.Cancelled && e.ErrorCode == schemas.CodeDuplicate && e.DuplicateOf == of
}

// A task starts when its claim counts, and one with the same content is not run.
func TestClaimCountsBeforeTheTaskMayStart(t *testing.T) {
	s, d := taken(t)
	first, second, other := d.unique(0, "a", "x", 0), d.unique(1, "b", "x", time.Second),
		d.unique(2, "c", "y", time.Second)
	for _, j := range []*Job{first, second, other} {
		s.Receive(j)
	}
	if len(d.offered) != 0 || len(d.waits) != 3 ||
		s.Conclude(first, s.jobs.events.Failed(first, schemas.CodeBlocked, "")) {
		t.Fatalf("%d offered and %d records in the waiting log before a claim counts, want none, and two beside the "+
			"fence", len(d.offered), len(d.waits))
	}
	d.turn(t, s)
	if len(d.offered) != 2 || d.offered[0] != first || d.offered[1] != other {
		t.Fatalf("offered %v, want the first of each content", d.offered)
	}
	if !isDuplicate(d.last(), "a") || d.last().Event.TaskID != "b" || d.last().Event.Source.Claim != "" ||
		!second.finished() {
		t.Errorf("the second ends with %+v", d.last().Event)
	}
	if len(d.duplicates) != 1 || d.duplicates[0] != second || s.Claims() != 2 {
		t.Errorf("told of %d duplicates and %d claims, want the second and two", len(d.duplicates), s.Claims())
	}
	works(t, s, d, other)
	if got, want := d.last().Event.Source.Claim, d.waits[2].Stamp; got != (fold.State{Epoch: want.Epoch,
		Seq: want.Seq}).ID() {
		t.Errorf("its event names the claim %q, which is %+v", got, want)
	}
}

// A completed task keeps its claim until the time is over, any other end frees it.
func TestClaimIsFreedByAnEndThatIsNoSuccess(t *testing.T) {
	for _, status := range []schemas.Status{schemas.Completed, schemas.Failed, schemas.TimedOut, schemas.Cancelled} {
		s, d := taken(t)
		first := d.unique(0, "a", "x", 0)
		s.Receive(first)
		d.turn(t, s)
		s.Begin(first)
		d.turn(t, s)
		ends(t, s, d, first, status)
		second := d.unique(1, "b", "x", time.Second)
		s.Receive(second)
		d.turn(t, s)
		if kept := isDuplicate(d.last(), "a"); kept != (status == schemas.Completed) || kept == (len(d.offered) == 2) {
			t.Errorf("%s: the second is a duplicate: %v, %d offered", status, kept, len(d.offered))
		}
		if s.jobs.waits.claims.len() != 1 || len(s.jobs.waits.claims.freed) != 0 {
			t.Errorf("%s: %d claims, %d on their way out", status, s.jobs.waits.claims.len(), len(s.jobs.waits.claims.freed))
		}
	}
}

// Whoever reads that a task has failed may send it again at once: what becomes of that
// one is decided when the end counts here too.
func TestDuplicateIsDecidedWhenTheHoldersEndCounts(t *testing.T) {
	for _, status := range []schemas.Status{schemas.Completed, schemas.Failed, schemas.TimedOut, schemas.Cancelled} {
		s, d := taken(t)
		first := works0(t, s, d, d.unique(0, "a", "x", 0))
		s.Conclude(first, s.jobs.events.New(first, schemas.KindState, status))
		s.Appended(d.last().Stamp, int64(len(d.records)-1))
		second, third := d.unique(1, "b", "x", time.Second), d.unique(2, "c", "x", 2*time.Second)
		s.Receive(second)
		s.Receive(third)
		if last := d.last().Event; last.TaskID != "a" || second.stage != stageClaiming || third.stage != stageClaiming {
			t.Fatalf("%s: before that end counts the last event is %+v, and the others are in the stages %d and %d",
				status, last, second.stage, third.stage)
		}
		if c, _ := s.CommitPoint(); c.Offset > 0 {
			t.Errorf("%s: %+v passes what is not decided", status, c)
		}
		d.turn(t, s)
		kept := status == schemas.Completed
		if second.finished() != kept || (second.stage == stageOffered) == kept || !third.finished() ||
			len(s.jobs.waits.claims.concluding) != 0 {
			t.Errorf("%s: the second is in stage %d, the third's end has counted: %v, %d ends are on their way", status,
				second.stage, third.finished(), len(s.jobs.waits.claims.concluding))
		}
		if of := map[bool]string{true: "a", false: "b"}[kept]; !isDuplicate(d.last(), of) {
			t.Errorf("%s: the third ends with %+v, want a duplicate of %s", status, d.last().Event, of)
		}
	}
}

// An end that was on its way before a doubt may be written again: it is waited for again.
func TestRetakeWaitsForTheHoldersEndAgain(t *testing.T) {
	s, d := taken(t)
	first := works0(t, s, d, d.unique(0, "a", "x", 0))
	s.Conclude(first, s.jobs.events.New(first, schemas.KindState, schemas.Failed))
	second := d.unique(1, "b", "x", time.Second)
	s.Receive(second)
	d.records = d.records[:d.counted] // it is lost
	s.doubt("for the test")
	d.now = d.now.Add(lastRetake)
	s.Tick()
	d.reload(t, s)
	if !first.finished() || second.stage != stageOffered || len(s.jobs.waits.claims.concluding) != 0 {
		t.Errorf("the first has ended: %v, the second is in stage %d, %d ends are on their way", first.finished(),
			second.stage, len(s.jobs.waits.claims.concluding))
	}
}

// Until the tombstone of a free claim counts, a successor has to read its task's end.
func TestCommitStaysAtTheEndThatFrees(t *testing.T) {
	s, d := taken(t)
	j := d.unique(0, "a", "x", 0)
	s.Receive(j)
	d.turn(t, s)
	s.Begin(j)
	d.turn(t, s)
	s.Conclude(j, s.jobs.events.New(j, schemas.KindState, schemas.Failed))
	r := d.records[d.counted]
	s.Appended(r.Stamp, int64(d.counted))
	s.Follow([]Entry{entry(t, int64(d.counted), r)}, int64(d.counted)+1)
	d.counted++
	if c, _ := s.CommitPoint(); c.Offset != 1 || c.Position != int64(d.counted)-1 {
		t.Errorf("%+v, want to pass the record and stay at %d", c, d.counted-1)
	}
	second := d.unique(1, "b", "x", time.Second)
	if s.Receive(second); second.stage != stageClaimWritten {
		t.Errorf("the next with its content is in stage %d, and the claim is free", second.stage)
	}
	d.turn(t, s)
	if c, _ := s.CommitPoint(); c.Position != int64(d.counted) || len(d.offered) != 2 {
		t.Errorf("%+v, want position %d once the tombstone counts", c, d.counted)
	}
}

// The same task again, long after the window has forgotten it, is a repeat.
func TestClaimRecognisesItsOwnTask(t *testing.T) {
	s, d := taken(t)
	first := works0(t, s, d, d.unique(0, "a", "x", 0))
	ends(t, s, d, first, schemas.Completed)
	for n := range int64(8) { // the window has 4 places
		ends(t, s, d, works(t, s, d, job(n+1, "other"+strconv.FormatInt(n, 10))), schemas.Completed)
	}
	again := d.unique(9, "a", "x", time.Second)
	s.Receive(again)
	d.turn(t, s)
	if e := d.last().Event; e.Kind != schemas.KindRepeat || e.Message != "Received before at offset 0; not run again" {
		t.Errorf("it ends with %+v", e)
	}
}

// works0 is works for a job whose claim has to count first.
func works0(t *testing.T, s *Shard, d *desk, j *Job) *Job {
	t.Helper()
	s.Receive(j)
	d.turn(t, s)
	if !s.Begin(j) {
		t.Fatal("the job cannot begin")
	}
	d.turn(t, s)
	return j
}

// A claim is swept when a record of its end's time is finished, and not before: the
// lane may hold duplicates. A sender's clock that is ahead of ours sweeps nothing.
func TestClaimIsSweptWhenItIsOutlived(t *testing.T) {
	s, d := taken(t)
	ends(t, s, d, works0(t, s, d, d.unique(0, "a", "x", 0)), schemas.Completed)
	held := works0(t, s, d, d.unique(1, "b", "y", time.Second))
	late := d.unique(2, "c", "x", time.Minute)
	ends(t, s, d, works0(t, s, d, late), schemas.Completed)
	d.now = d.now.Add(time.Hour)
	s.Tick()
	d.turn(t, s)
	if s.jobs.waits.claims.len() != 3 {
		t.Fatalf("%d claims while an earlier record is not finished, want 3", s.jobs.waits.claims.len())
	}
	d.now = d.now.Add(-time.Hour)
	ends(t, s, d, held, schemas.Completed)
	if s.jobs.waits.claims.len() != 3 {
		t.Fatalf("%d claims, by a sender's clock that is ahead, want 3", s.jobs.waits.claims.len())
	}
	d.now = d.now.Add(time.Minute)
	s.Tick()
	d.turn(t, s)
	if s.jobs.waits.claims.len() != 2 || s.jobs.waits.claims.byStamp[late.claim] == nil {
		t.Errorf("%d claims, want those of the last two", s.jobs.waits.claims.len())
	}
}

// What was started had its claim then, which may be over.
func TestStartedTaskIsNoDuplicate(t *testing.T) {
	s, d := taken(t)
	j := works0(t, s, d, d.unique(0, "a", "x", 0))
	s.jobs.waits.claims.remove(s.jobs.waits.claims.byStamp[j.claim])
	s.jobs.waits.claims.add(&claim{stamp: fold.State{Epoch: 1, Seq: 1}, content: j.Unique.Sum, taskID: "b", offset: 9,
		until: never})
	s.doubt("for the test")
	d.now = d.now.Add(lastRetake)
	s.Tick()
	d.reload(t, s)
	if s.HandOver(j); j.stage != stageHanded || isDuplicate(d.last(), "b") {
		t.Errorf("it is in stage %d, the last event is %+v", j.stage, d.last().Event)
	}
	j.stage, j.ran = stageReceived, fold.State{} // as another owner receives it
	s.jobs.sort(j)
	if j.stage != stageOffered {
		t.Errorf("the next owner puts it into stage %d", j.stage)
	}
}

// Beyond the bound a unique task is refused, and one that need not be is not.
func TestClaimsAreBounded(t *testing.T) {
	s, d := taken(t)
	s.config.MaxClaims = 2
	for n := range int64(3) {
		s.Receive(d.unique(n, "t"+strconv.FormatInt(n, 10), "x"+strconv.FormatInt(n, 10), 0))
	}
	s.Receive(job(3, "plain"))
	d.turn(t, s)
	if e := d.last().Event; len(d.offered) != 3 || e.ErrorCode != schemas.CodeOverLimit || e.Status != schemas.Failed ||
		e.TaskID != "t2" {
		t.Errorf("%d offered, the last event is %+v", len(d.offered), e)
	}
}

// A claim that stands in the log again behind its tombstone's append stays buried.
func TestBuriedClaimIsNotWrittenAgain(t *testing.T) {
	s, d := taken(t)
	j := works0(t, s, d, d.unique(0, "a", "x", 0))
	works0(t, s, d, d.unique(1, "b", "y", 0))
	old := d.waits[1]
	again := WaitEntry{Stamp: old.Stamp, Key: old.Key, Claim: old.Claim}
	d.landForeign(s, again)
	if len(d.waits) != 4 || d.waits[3].Claim == nil || string(d.waits[3].Key) != string(old.Key) {
		t.Fatalf("%d records in the waiting log, want fence, two claims and the first again", len(d.waits))
	}
	d.turn(t, s)
	s.Conclude(j, s.jobs.events.New(j, schemas.KindState, schemas.Failed))
	r := d.records[d.counted]
	s.Follow([]Entry{entry(t, int64(d.counted), r)}, int64(d.counted)+1)
	d.landForeign(s, again)
	if len(d.waits) != 5 || d.waits[4].Claim != nil {
		t.Errorf("%d records in the waiting log, want a tombstone beside those four", len(d.waits))
	}
}

// The same of a waiting task.
func TestBuriedWaitingRecordIsNotWrittenAgain(t *testing.T) {
	s, d := taken(t)
	w := letWait(t, s, d, works(t, s, d, job(0, "a")), d.now.Add(time.Hour))
	old := d.waits[len(d.waits)-1]
	letWait(t, s, d, works(t, s, d, job(1, "b")), d.now.Add(time.Hour))
	s.jobs.wakeTask(w)
	s.Conclude(w.job, s.jobs.events.New(w.job, schemas.KindState, schemas.Cancelled))
	r := d.records[d.counted]
	s.Follow([]Entry{entry(t, int64(d.counted), r)}, int64(d.counted)+1)
	before := len(d.waits)
	d.landForeign(s, WaitEntry{Stamp: old.Stamp, Key: old.Key, Wait: old.Wait, Payload: &Job{Task: old.Job.Task}})
	if len(d.waits) != before || d.waits[before-1].Wait != nil {
		t.Errorf("%d records in the waiting log, want %d and a tombstone at last", len(d.waits), before)
	}
}

// A tombstone of before a doubt may never count.
func TestRetakeBuriesFreeClaimsAgain(t *testing.T) {
	s, d := taken(t)
	j := works0(t, s, d, d.unique(0, "a", "x", 0))
	s.Conclude(j, s.jobs.events.New(j, schemas.KindState, schemas.Failed))
	r := d.records[d.counted]
	s.Follow([]Entry{entry(t, int64(d.counted), r)}, int64(d.counted)+1)
	d.counted++
	d.waits = d.waits[:len(d.waits)-1] // it is lost
	s.doubt("for the test")
	d.now = d.now.Add(lastRetake)
	s.Tick()
	d.reload(t, s)
	if s.jobs.waits.claims.len() != 0 || len(s.jobs.waits.claims.freed) != 0 {
		t.Errorf("%d claims, %d on their way out", s.jobs.waits.claims.len(), len(s.jobs.waits.claims.freed))
	}
}

// A duplicate was decided here and never counted. Another owner has freed the claim
// meanwhile and let the task have one.
func TestRetakeLooksAtDuplicatesAgain(t *testing.T) {
	s, d := taken(t)
	first := works0(t, s, d, d.unique(0, "a", "x", 0))
	second := d.unique(1, "b", "x", time.Second)
	s.Receive(second) // its end is on its way
	z := &zombie{t: t, s: s, epoch: s.jobs.journal.own.Epoch + 50}
	for n, r := range d.records[:d.counted] {
		z.logged = append(z.logged, entry(t, int64(n), r))
	}
	z.write(nil)
	z.write(event(s, first, 1, schemas.Failed))
	claimed := fold.State{Epoch: z.epoch, Seq: 3}
	z.waits = []WaitEntry{
		{Stamp: fold.Stamp{Shard: "fast/3", Epoch: z.epoch, Seq: 1},
			Key: fold.WaitFenceKey("fast", fold.State{Epoch: z.epoch, Seq: 1})},
		{Stamp: fold.Stamp{Shard: "fast/3", Epoch: z.epoch, Seq: 2}, Key: d.waits[1].Key},
		{Stamp: fold.Stamp{Shard: "fast/3", Epoch: z.epoch, Seq: 3},
			Key:   ClaimKey("fast", "u", second.Unique.Sum, claimed),
			Claim: &Claim{TaskID: "b", Offset: 1, UntilMS: never}},
	}
	z.retake(d)
	if second.stage != stageOffered || second.claim != claimed {
		t.Errorf("the second is in stage %d with the claim %v, the last event is %+v", second.stage, second.claim,
			d.last().Event)
	}
}

// TestClaimsetModel compares a claimset with a plain list.
func TestClaimsetModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs := newClaimset()
		var all []*claim
		for n := range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch {
			case len(all) == 0 || rapid.Bool().Draw(t, "add"):
				c := &claim{stamp: fold.State{Epoch: 1, Seq: int64(n + 1)},
					content: identity(rapid.IntRange(0, 2).Draw(t, "content")),
					until:   rapid.Int64Range(0, 5).Draw(t, "until")}
				cs.add(c)
				all = append(all, c)
			default:
				at := rapid.IntRange(0, len(all)-1).Draw(t, "at")
				if rapid.Bool().Draw(t, "bury") {
					cs.drop(all[at])
					continue
				}
				cs.remove(all[at])
				all = append(all[:at:at], all[at+1:]...)
			}
			if n == 15 {
				cs.keepAll()
				for _, c := range all {
					c.dropped = false
				}
			}
			checkClaimset(t, &cs, all)
		}
	})
}

func checkClaimset(t *rapid.T, cs *claimset, all []*claim) {
	found := 0
	for _, c := range cs.byContent {
		for ; c != nil; c = c.next {
			found++
		}
	}
	if cs.len() != len(all) || found != len(all) {
		t.Fatalf("%d by record and %d by content, want %d", cs.len(), found, len(all))
	}
	for by := range int64(6) {
		var first *claim
		for _, c := range all {
			if !c.dropped && c.until <= by && (first == nil || c.until < first.until || c.until == first.until &&
				c.stamp.Compare(first.stamp) < 0) {
				first = c
			}
		}
		if got := cs.endedBy(by); got != first {
			t.Fatalf("ended by %d: %+v, want %+v", by, got, first)
		}
	}
}

// Where no record comes any more, the lane's end outlives a claim, long after its time.
func TestIdleLaneOutlivesClaims(t *testing.T) {
	s, d := taken(t)
	ends(t, s, d, works0(t, s, d, d.unique(0, "a", "x", 0)), schemas.Completed)
	d.now = d.now.Add(time.Minute + idleTime - time.Second)
	if s.Tick(); d.measures != 0 {
		t.Fatal("asked for the lane's end although the claim has just ended")
	}
	d.now = d.now.Add(time.Second)
	for range 2 {
		if s.Tick(); d.measures != 1 {
			t.Fatalf("asked %d times for the lane's end, want once", d.measures)
		}
	}
	s.Measured(Bounds{0, 2}) // there is a record that has not come yet
	if d.turn(t, s); s.Claims() != 1 {
		t.Fatal("a claim is gone that the lane may hold a duplicate of")
	}
	s.Measured(Bounds{0, 1})
	if d.turn(t, s); s.Claims() != 0 {
		t.Error("the claim stays although all of the lane is finished")
	}
}
