package shard

import (
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// laneOf are the logs with such a lane.
func laneOf(start, end, until int64, journal, waits Bounds) Logs {
	return Logs{Lane: Bounds{start, end}, Journal: journal, Waits: waits, Until: until}
}

// again lets a shard take over with a commit and a lane.
func again(t *testing.T, s *Shard, d *desk, c fold.Commit, lane Bounds, until int64) {
	t.Helper()
	d.now = d.now.Add(lastRetake)
	if s.Tick(); s.phase != phaseLoading {
		s.TakeOver()
	}
	at := int64(d.counted)
	s.Loaded(c, Logs{Lane: lane, Until: until, Journal: Bounds{0, at}, Waits: Bounds{0, d.waitsEnd()}})
	entries := make([]Entry, 0, at)
	for i := range at {
		entries = append(entries, entry(t, i, d.records[i]))
	}
	s.Follow(entries, at)
	d.turn(t, s)
	if !s.Running() {
		t.Fatalf("not taken over: phase %d, notes %v", s.phase, d.notes)
	}
}

func lastNote(d *desk, part string) bool {
	for _, note := range d.notes {
		if strings.Contains(note, part) {
			return true
		}
	}
	return false
}

// Whatever a commit says beyond the lane's end, the lane is received again and is
// warned of, from where it is known to be the same or else from its start.
func TestShardTrustsNoCommitBeyondTheLanesEnd(t *testing.T) {
	for name, test := range map[string]struct {
		commit     fold.Commit
		start, end int64
		until      int64
		offset     int64   // what is believed
		rewinds    []int64 // where the lane is received from
	}{
		"within":                     {fold.Commit{Offset: 5, Own: 7}, 0, 5, 5, 5, nil},
		"below the start":            {fold.Commit{Offset: 1, Own: 7}, 3, 5, 5, 1, nil},
		"none":                       {fold.Commit{Offset: -1}, 0, 0, 0, -1, nil},
		"beyond, our own":            {fold.Commit{Offset: 6, Own: 7}, 2, 5, 5, -1, []int64{2}},
		"beyond, a tool's":           {fold.Commit{Offset: 900}, 0, 5, 5, -1, []int64{0}},
		"filled up again, our own":   {fold.Commit{Offset: 6, Own: 7}, 0, 9, 4, 4, []int64{4}},
		"cut below what is retained": {fold.Commit{Offset: 6, Own: 7}, 5, 9, 4, 4, []int64{5}},
		"filled up again, a tool's":  {fold.Commit{Offset: 6}, 1, 9, 4, -1, []int64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := newShard(t)
			s.TakeOver()
			s.Loaded(test.commit, laneOf(test.start, test.end, test.until, Bounds{0, 9}, Bounds{}))
			if s.jobs.commit.Offset != test.offset || len(d.rewinds) != len(test.rewinds) || len(d.rewinds) > 0 &&
				d.rewinds[0] != test.rewinds[0] {
				t.Errorf("believes %d and receives from %v, want %d and %v", s.jobs.commit.Offset, d.rewinds,
					test.offset, test.rewinds)
			}
			if lastNote(d, "the lane ends before what was committed") != (test.rewinds != nil) {
				t.Errorf("notes %v", d.notes)
			}
			if s.takeover.known != test.commit.Own {
				t.Errorf("knows epoch %d, want the commit's: the fence has to be above it", s.takeover.known)
			}
		})
	}
}

// What comes while the lane is asked for its end may lie behind the answer.
func TestShardTrustsWhatComesMeanwhile(t *testing.T) {
	s, d := newShard(t)
	s.TakeOver()
	s.Receive(job(0, "a"))
	s.Receive(job(1, "b"))
	s.Loaded(fold.Commit{Offset: -1}, laneOf(0, 1, 1, Bounds{0, 9}, Bounds{}))
	if len(d.rewinds) > 0 || lastNote(d, "the lane ends before what was committed") {
		t.Errorf("the lane is received again from %v: %v", d.rewinds, d.notes)
	}
}

// A lane that goes on at an earlier offset under a running shard is taken over again.
// What is held is done all the same, beside what stands at its offset now.
func TestShardOutlivesALaneThatIsCut(t *testing.T) {
	s, d := taken(t)
	done := works(t, s, d, job(0, "z"))
	ends(t, s, d, done, schemas.Completed)
	held := works(t, s, d, job(1, "a"))
	waiting := job(2, "b")
	s.Receive(waiting)
	next := job(1, "c") // another task at the offset of the first
	s.Receive(next)
	if s.Running() || !lastNote(d, "the lane goes on at an earlier offset") {
		t.Fatalf("phase %d, notes %v", s.phase, d.notes)
	}
	again(t, s, d, fold.Commit{
		Offset: 1, Own: s.jobs.journal.own.Epoch, Before: fold.State{}, Position: 0}, Bounds{0, 2}, 1)
	if len(d.rewinds) != 1 || d.rewinds[0] != 1 {
		t.Fatalf("the lane is received from %v, want 1", d.rewinds)
	}
	s.Receive(job(1, "c"))
	d.turn(t, s)
	next = s.jobs.tracker.find(1)
	if next == nil || next.Task.TaskID != "c" || !s.Begin(next) || !s.Begin(waiting) {
		t.Fatalf("what stands on the lane, or what is held of before, cannot begin")
	}
	d.turn(t, s)
	for _, j := range []*Job{held, waiting, next} {
		ends(t, s, d, j, schemas.Completed)
	}
	if c, ok := s.CommitPoint(); !ok || c.Offset != 2 || len(s.jobs.missing.jobs) != 0 {
		t.Errorf("commits %+v, %v, with %d held of before", c, ok, len(s.jobs.missing.jobs))
	}
	for _, id := range []string{"a", "b", "c"} {
		s.Receive(job(s.jobs.tracker.received, id))
		d.turn(t, s)
		if e := d.last().Event; e == nil || e.Kind != schemas.KindRepeat {
			t.Errorf("%s sent again is no repeat: %+v", id, e)
		}
	}
}

// A task that was started and whose record is gone ends with a reason when that is
// measured, keeps commits back until that counts, and is not ended twice.
func TestShardEndsWhatIsGone(t *testing.T) {
	for name, lane := range map[string]Bounds{"behind the end": {0, 0}, "before the start": {1, 4}} {
		t.Run(name, func(t *testing.T) {
			s, d := taken(t)
			works(t, s, d, job(0, "a"))
			next, nd := newShard(t)
			nd.records, nd.counted, nd.now = d.records, d.counted, d.now
			next.TakeOver()
			again(t, next, nd, fold.Commit{Offset: -1}, lane, lane.End)
			if nd.measures != 1 {
				t.Fatalf("asked %d times what the lane holds, want once", nd.measures)
			}
			next.Measured(Bounds{0, 1}) // it is there, and comes
			if e := nd.last().Event; e != nil && e.Terminal() {
				t.Fatalf("ended although its record is there: %+v", e)
			}
			next.Measured(lane)
			e := nd.last().Event
			if e == nil || e.Status != schemas.Failed || e.ErrorCode != schemas.CodeWorkerLost || e.TaskID != "a" ||
				e.UserID != "u" ||
				e.Mode != "debug" || e.Service != "echo" || e.Attempt != 1 || e.Source.Offset != 0 ||
				!strings.Contains(e.Error, "not on the lane any more") {
				t.Fatalf("it ends as %+v", e)
			}
			next.Receive(job(3, "b"))
			if c, ok := next.CommitPoint(); ok {
				t.Errorf("%+v leaves it behind before its end counts", c)
			}
			nd.turn(t, next)
			before := len(nd.records)
			next.Measured(lane)
			if _, ok := next.CommitPoint(); !ok || len(nd.records) != before || len(next.jobs.missing.jobs) != 0 {
				t.Errorf("%d records more, %d still held", len(nd.records)-before, len(next.jobs.missing.jobs))
			}
		})
	}
}

// The markers of transactions are passed, and nothing that is unfinished with them.
func TestShardPassesMarkers(t *testing.T) {
	s, d := taken(t)
	s.Passed(1, 3)
	if c, ok := s.CommitPoint(); !ok || c.Offset != 1 || c.LaneEpoch != 3 {
		t.Fatalf("commits %+v, %v", c, ok)
	}
	j := works(t, s, d, job(1, "a"))
	s.Passed(5, 3)
	if c, _ := s.CommitPoint(); c.Offset != 1 {
		t.Fatalf("commits %+v past what runs", c)
	}
	ends(t, s, d, j, schemas.Completed)
	if c, _ := s.CommitPoint(); c.Offset != 5 {
		t.Errorf("commits %+v, want all that was received", c)
	}
}

// What is held of a lane that is received again, and has ended before its record comes
// once more, is known then.
func TestShardKnowsWhatHasEndedWhenItsRecordComesAgain(t *testing.T) {
	s, d := taken(t)
	j := works(t, s, d, job(0, "a"))
	again(t, s, d, fold.Commit{Offset: 5}, Bounds{0, 1}, 1)
	ends(t, s, d, j, schemas.Completed)
	offered, records := len(d.offered), len(d.records)
	if c, ok := s.CommitPoint(); !ok || c.Offset != 0 || c.Position > 1 {
		t.Errorf("commits %+v, %v: a successor receives the record and has to learn of its end", c, ok)
	}
	s.Receive(job(0, "a"))
	if len(d.offered) != offered || len(d.records) != records {
		t.Errorf("it is offered again, or written about: %+v", d.last())
	}
	if c, _ := s.CommitPoint(); c.Offset != 1 {
		t.Errorf("commits %+v, want the record passed", c)
	}
}

// successor is another owner of the same logs.
func successor(t *testing.T, d *desk) (*Shard, *desk) {
	t.Helper()
	s, next := newShard(t)
	next.records, next.counted, next.now = d.records, d.counted, d.now
	s.TakeOver()
	return s, next
}

// A started task whose record is gone, and that was sent again, goes on as what was
// sent again.
func TestShardEndsNothingThatStandsElsewhere(t *testing.T) {
	s, d := taken(t)
	works(t, s, d, job(1, "a"))
	s, d = successor(t, d)
	s.Receive(job(0, "a"))
	again(t, s, d, fold.Commit{Offset: -1}, Bounds{0, 1}, 1)
	s.Measured(Bounds{0, 1})
	d.turn(t, s)
	for _, r := range d.records {
		if r.Event != nil && r.Event.Terminal() {
			t.Fatalf("it is ended: %+v", r.Event)
		}
	}
	if len(d.offered) != 1 || d.offered[0].Offset != 0 {
		t.Errorf("offered %v, want what was sent again", d.offered)
	}
}

// A started task whose record is gone goes on as what it waits as: its owner was lost
// before it could say so.
func TestShardLetsWhatIsGoneGoOnWhereItWaits(t *testing.T) {
	s, d := taken(t)
	j := works(t, s, d, job(0, "a"))
	begun := d.counted
	letWait(t, s, d, j, d.now.Add(time.Hour))
	next, nd := successor(t, d)
	nd.records, nd.counted, nd.waits, nd.landed = d.records[:begun:begun], begun, d.waits, d.landed
	nd.reload(t, next)
	next.Measured(Bounds{1, 4})
	nd.turn(t, next)
	if e := nd.last().Event; e == nil || !e.Deferred || e.TaskID != "a" {
		t.Errorf("it is told as %+v, want that it waits", e)
	}
	if w := next.jobs.waits.tasks.byIdentity[j.Identity]; w == nil || !w.settled || len(next.jobs.missing.jobs) != 0 {
		t.Errorf("it waits as %+v", w)
	}
}

// A task that was running when an operator set the group's offset beyond it ends, and
// the text says why.
func TestShardEndsWhatWasSkipped(t *testing.T) {
	s, d := taken(t)
	works(t, s, d, job(0, "a"))
	s, d = successor(t, d)
	again(t, s, d, fold.Commit{Offset: 2}, Bounds{0, 2}, 2)
	if e := d.last().Event; e == nil || e.ErrorCode != schemas.CodeWorkerLost ||
		!strings.Contains(e.Error, "group was set beyond it") {
		t.Errorf("it ends as %+v", e)
	}
}

// An offset that was beyond the end stays refused when the lane has grown to there, and
// the lane is received from its start by whoever is given it again.
func TestShardRefusesAnOffsetForGood(t *testing.T) {
	s, d := taken(t)
	again(t, s, d, fold.Commit{Offset: 5}, Bounds{0, 1}, 1)
	s.doubt("for the test")
	again(t, s, d, fold.Commit{Offset: 5}, Bounds{0, 6}, 6)
	if s.jobs.commit.Offset != -1 || len(d.rewinds) != 1 {
		t.Fatalf("believes %d, rewound %d times", s.jobs.commit.Offset, len(d.rewinds))
	}
	s.Unassign()
	again(t, s, d, fold.Commit{Offset: 5}, Bounds{0, 6}, 6)
	if s.jobs.commit.Offset != -1 || len(d.rewinds) != 2 {
		t.Errorf("believes %d, rewound %d times", s.jobs.commit.Offset, len(d.rewinds))
	}
}

// A task whose end had counted, and is not in the journal any more because the broker
// has lost its tail, goes on from what is left: it neither stays as it is for ever nor
// holds up the lane. What had been passed by then is left alone.
func TestShardGoesOnFromWhatTheJournalHasLeft(t *testing.T) {
	for name, test := range map[string]struct {
		left    int // records about the task: its `running`, its end
		attempt int // the one that it runs as then
	}{
		"its end is gone":            {left: 1, attempt: 2},
		"all that was said of it is": {left: 0, attempt: 1},
		"nothing of it is":           {left: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := taken(t)
			passed := works(t, s, d, job(0, "z"))
			ends(t, s, d, passed, schemas.Completed)
			slow := works(t, s, d, job(1, "slow"))
			before := d.counted
			quick := works(t, s, d, job(2, "quick"))
			ends(t, s, d, quick, schemas.Completed)
			d.records, d.counted = d.records[:before+test.left], before+test.left
			again(t, s, d, fold.Commit{Offset: 1, Own: s.jobs.journal.own.Epoch}, Bounds{0, 3}, 3)
			if test.attempt > 0 {
				if !s.Begin(quick) || quick.Attempt != test.attempt {
					t.Fatalf("it cannot begin, or as attempt %d: %+v", quick.Attempt, quick)
				}
				d.turn(t, s)
				ends(t, s, d, quick, schemas.Completed)
			}
			ends(t, s, d, slow, schemas.Completed)
			if c, ok := s.CommitPoint(); !ok || c.Offset != 3 {
				t.Errorf("commits %+v, %v: the lane is held up", c, ok)
			}
		})
	}
}

// The same for a task that waited in tasks.scheduled.
func TestShardGoesOnFromWhatTheJournalHasLeftOfAWait(t *testing.T) {
	s, d := taken(t)
	j := works(t, s, d, job(0, "a"))
	letWait(t, s, d, j, d.now.Add(time.Minute))
	w := s.jobs.waits.tasks.byIdentity[j.Identity]
	d.now = d.now.Add(2 * time.Minute)
	s.jobs.wake(d.now)
	if w == nil || w.job == nil || !s.Begin(w.job) {
		t.Fatalf("it does not begin when its time has come: %+v", w)
	}
	d.turn(t, s)
	before := d.counted
	s.jobs.conclude(w.job, s.jobs.events.New(w.job, schemas.KindState, schemas.Completed))
	tombstones := len(d.waits)
	s.Appended(d.last().Stamp, int64(before))
	s.Follow([]Entry{entry(t, int64(before), d.last())}, int64(before)+1)
	if len(d.waits) != tombstones+1 {
		t.Fatalf("%d records of the waiting log more, want the tombstone", len(d.waits)-tombstones)
	}
	d.records, d.counted, d.waits = d.records[:before], before, d.waits[:tombstones] // neither has survived
	again(t, s, d, fold.Commit{Offset: 1, Own: s.jobs.journal.own.Epoch}, Bounds{0, 1}, 1)
	if j = w.job; j == nil || j.stage != stageOffered || !s.Begin(j) {
		t.Fatalf("it cannot begin again: %+v", j)
	}
}
