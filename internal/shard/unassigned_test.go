package shard

import (
	"slices"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// log is a journal that the shard writes to alone, but for what a test puts there.
type log struct {
	t       *testing.T
	s       *Shard
	d       *desk
	entries []Entry
	written int // of the desk's records
}

// newLog is the journal of a shard that was just taken over.
func newLog(t *testing.T) *log {
	t.Helper()
	s, d := running(t)
	return &log{t: t, s: s, d: d, entries: []Entry{{Offset: 0, Stamp: d.records[0].Stamp}}, written: 1}
}

func (l *log) end() int64 { return int64(len(l.entries)) }

// write puts a record of somebody's into the journal, where the shard reads it.
func (l *log) write(stamp fold.Stamp, value string) {
	e := Entry{Offset: l.end(), Stamp: stamp, Value: []byte(value)}
	l.entries = append(l.entries, e)
	l.s.Follow([]Entry{e}, l.end())
}

// land lets everything land, be acknowledged and be read.
func (l *log) land() {
	l.t.Helper()
	for ; l.written < len(l.d.records); l.written++ {
		r := l.d.records[l.written]
		e := entry(l.t, l.end(), r)
		if r.Sign != nil {
			value, err := r.Sign.Encode()
			if err != nil {
				l.t.Fatal(err)
			}
			e.Value = value
		}
		l.entries = append(l.entries, e)
		l.s.Appended(r.Stamp, e.Offset)
		l.s.Follow([]Entry{e}, l.end())
	}
	l.d.landWaits(l.s)
}

// takeOver gives the shard the partition again.
func (l *log) takeOver() {
	l.t.Helper()
	l.s.TakeOver()
	l.s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, l.end()}, Bounds{0, l.d.waitsEnd()}))
	l.s.Follow(l.entries, l.end())
	l.land()
	if !l.s.Running() {
		l.t.Fatalf("not running after it was assigned again: phase %d", l.s.phase)
	}
}

func (l *log) running() (running int) {
	for _, r := range l.d.records {
		if r.Event != nil && r.Event.Status == schemas.Running && r.Event.Kind == schemas.KindState {
			running++
		}
	}
	return running
}

// A session is lost and the partition assigned again: work goes on as the same
// attempt, what it writes meanwhile counts, and nothing new begins in between.
func TestShardUnassignedKeepsItsWork(t *testing.T) {
	l := newLog(t)
	s, d := l.s, l.d
	one, two := begun(t, s, 0, "a"), begun(t, s, 1, "b")
	l.land()
	queued, untried := job(2, "c"), job(4, "e")
	s.Receive(queued)
	if _, changed := s.CommitPoint(); !changed {
		t.Fatal("nothing to commit")
	}
	s.Receive(untried)
	s.Unassign()
	late := job(5, "d")
	s.Receive(late)
	if s.Begin(queued) || s.Begin(late) {
		t.Error("a task begins though another may begin it too")
	}
	if _, changed := s.CommitPoint(); changed {
		t.Error("commits without a session")
	}
	if !s.Report(one, s.jobs.events.New(one, schemas.KindProgress, schemas.Running)) ||
		!s.Conclude(two, s.jobs.events.New(two, schemas.KindState, schemas.Completed)) {
		t.Error("running work is not listened to")
	}
	l.land()
	if !two.finished() || len(d.stopped) != 0 || s.Working() != 1 {
		t.Errorf("finished %v, stopped %d, working %d", two.finished(), len(d.stopped), s.Working())
	}
	offered := len(d.offered)
	l.takeOver()
	if l.running() != 2 || len(d.started) != 2 || len(d.stopped) != 0 || one.Attempt != 1 {
		t.Errorf("%d attempts written, %d started, %d stopped, attempt %d", l.running(), len(d.started), len(d.stopped),
			one.Attempt)
	}
	if len(d.offered) != offered+3 || !s.Begin(queued) || queued.Suspect() {
		t.Errorf("offered %d tasks again, want the three that could not begin", len(d.offered)-offered)
	}
	if !s.Conclude(one, s.jobs.events.New(one, schemas.KindState, schemas.Completed)) {
		t.Error("work that went on cannot end")
	}
	l.land()
	if c, _ := s.CommitPoint(); c.Offset != 2 {
		t.Errorf("commit %+v", c)
	}
}

// An attempt whose `running` is acknowledged after the loss starts when the partition
// is assigned again.
func TestShardUnassignedStartsNothing(t *testing.T) {
	l := newLog(t)
	j := begun(t, l.s, 0, "a")
	l.s.Unassign()
	l.land()
	if len(l.d.started) != 0 {
		t.Fatal("work starts without a session")
	}
	l.takeOver()
	if len(l.d.started) != 1 || l.running() != 1 || j.Attempt != 1 {
		t.Errorf("started %d, %d attempts written, attempt %d", len(l.d.started), l.running(), j.Attempt)
	}
}

// In doubt when the session is lost: the journal is followed on from where it was
// read, the shard's own fences are no other's, and another's ends it.
func TestShardUnassignedInDoubtFollowsTheJournal(t *testing.T) {
	l := newLog(t)
	s, d := l.s, l.d
	j := begun(t, s, 0, "a")
	l.land()
	s.AppendFailed(s.jobs.journal.stamp(s.name), timeout())
	d.now = d.now.Add(2 * lastRetake)
	s.Tick()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, l.end()}, Bounds{0, d.waitsEnd()}))
	s.Follow(l.entries, l.end())
	if s.phase != phaseFencing {
		t.Fatalf("phase %d", s.phase)
	}
	follows, loads := len(d.follows), d.loads
	s.Unassign()
	if len(d.follows) != follows+1 || d.follows[follows] != l.end() {
		t.Errorf("follows from %v, want from %d", d.follows[follows:], l.end())
	}
	l.land() // its fence
	d.now = d.now.Add(2 * stallTime)
	s.Tick()
	if s.Forgotten() || d.loads != loads || len(d.stopped) != 0 {
		t.Fatalf("forgotten %v, loads %d, stopped %d: it is to wait for the group", s.Forgotten(), d.loads-loads,
			len(d.stopped))
	}
	l.write(fold.Stamp{Shard: "fast/3", Epoch: s.jobs.journal.own.Epoch + 1, Seq: 1},
		`{"kind":"fence","worker":"another"}`)
	if !s.Forgotten() || len(d.stopped) != 1 || d.stopped[0] != j {
		t.Errorf("forgotten %v, stopped %d after another's fence", s.Forgotten(), len(d.stopped))
	}
}

// Another's fence ends it at once, and is not asked about: by the group's word the
// shard is the other's.
func TestShardUnassignedEndsAtAForeignFence(t *testing.T) {
	l := newLog(t)
	j := begun(t, l.s, 0, "a")
	l.land()
	l.s.Unassign()
	l.write(fold.Stamp{Shard: "fast/3", Epoch: l.s.jobs.journal.own.Epoch + 1, Seq: 1},
		`{"kind":"fence","worker":"another"}`)
	if !l.s.Forgotten() || len(l.d.stopped) != 1 || l.d.confirms != 0 {
		t.Errorf("forgotten %v, stopped %d, asked %d times", l.s.Forgotten(), len(l.d.stopped), l.d.confirms)
	}
	if l.s.Conclude(j, l.s.jobs.events.New(j, schemas.KindState, schemas.Completed)) {
		t.Error("an end is taken")
	}
}

func TestShardUnassignedBeforeItWasTakenOver(t *testing.T) {
	s, _ := newShard(t)
	s.TakeOver()
	if s.Unassign(); !s.Forgotten() {
		t.Error("a shard is kept in which there is nothing")
	}
}

// A take-over waits while another is at work on what would be taken over, if there is
// reason to believe that it lives, and no longer than it was told.
func TestShardYields(t *testing.T) {
	const patience = 10 * time.Second
	take := func(t *testing.T, by string) (*Shard, *desk) {
		t.Helper()
		s, d := newShard(t)
		s.config.YieldUntil = d.now.Add(patience)
		before := fold.Stamp{Shard: "fast/3", Epoch: d.now.UnixMilli() - 50, Seq: 1}
		e := event(s, job(0, "a"), 1, schemas.Running)
		e.Worker = by
		s.TakeOver()
		s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 2}, Bounds{}))
		s.Follow([]Entry{{Offset: 0, Stamp: before},
			entry(t, 1, Record{Stamp: fold.Stamp{Shard: before.Shard, Epoch: before.Epoch, Seq: 2}, Event: e})}, 2)
		return s, d
	}
	t.Run("until it hands over", func(t *testing.T) {
		s, d := take(t, "another")
		if len(d.records) != 0 {
			t.Fatal("fences")
		}
		s.Follow([]Entry{entry(t, 2, Record{Stamp: fold.Stamp{Shard: "fast/3", Epoch: d.now.UnixMilli() - 50, Seq: 3},
			Event: event(s, job(0, "a"), 1, schemas.Pending)})}, 3)
		if len(d.records) != 1 {
			t.Error("does not fence when nothing is at work any more")
		}
	})
	t.Run("for so long", func(t *testing.T) {
		s, d := take(t, "another")
		d.now = d.now.Add(patience - time.Millisecond)
		if s.Tick(); len(d.records) != 0 {
			t.Fatal("fences")
		}
		d.now = d.now.Add(time.Millisecond)
		if s.Tick(); len(d.records) != 1 {
			t.Error("waits on")
		}
	})
	t.Run("not for itself", func(t *testing.T) {
		if _, d := take(t, "w"); len(d.records) != 1 {
			t.Error("waits for what it has dropped itself")
		}
	})
}

// TestShardYieldsToWhoWasHeard: a member that is new to the group takes nothing from
// another that the group cannot have missed: it has forgotten that one.
func TestShardYieldsToWhoWasHeard(t *testing.T) {
	const session = 10 * time.Second
	take := func(t *testing.T, runner, last string, silent time.Duration) (*Shard, *desk) {
		t.Helper()
		s, d := newShard(t)
		s.config.Session = session
		epoch := d.now.UnixMilli() - 50
		e, mark := event(s, job(0, "a"), 1, schemas.Running), event(s, job(1, "b"), 1, schemas.Running)
		e.Worker, mark.Worker, mark.Kind = runner, last, schemas.KindProgress
		s.TakeOver()
		s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 3}, Bounds{}))
		entries := []Entry{
			{Offset: 0, Stamp: fold.Stamp{Shard: "fast/3", Epoch: epoch, Seq: 1}},
			entry(t, 1, Record{Stamp: fold.Stamp{Shard: "fast/3", Epoch: epoch, Seq: 2}, Event: e}),
			entry(t, 2, Record{Stamp: fold.Stamp{Shard: "fast/3", Epoch: epoch, Seq: 3}, Event: mark}),
		}
		for i := range entries {
			entries[i].Appended = d.now.Add(-silent).UnixMilli()
		}
		s.Follow(entries, 3)
		return s, d
	}
	for name, test := range map[string]struct {
		runner, last string
		silent       time.Duration
		waits        time.Duration
	}{
		"heard a moment ago":           {"another", "another", 4 * time.Second, 6 * time.Second},
		"by a clock that is ahead":     {"another", "another", -time.Hour, session},
		"silent for a session":         {"another", "another", session, 0},
		"at work for itself":           {"w", "another", 0, 0},
		"taken over from it long ago":  {"another", "w", 0, 0},
		"or by another, who is silent": {"another", "a third", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := take(t, test.runner, test.last, test.silent)
			if fenced := len(d.records) > 0; fenced != (test.waits == 0) {
				t.Fatalf("fences at once: %v", fenced)
			}
			d.now = d.now.Add(test.waits - time.Millisecond)
			if s.Tick(); test.waits > 0 && len(d.records) != 0 {
				t.Error("does not wait for as long as that")
			}
			d.now = d.now.Add(time.Millisecond)
			if s.Tick(); len(d.records) != 1 {
				t.Error("waits on")
			}
		})
	}
}

// The lane is delivered again from the commit on: what was received before is not taken
// for a lane that was cut short, and what comes behind it is received.
func TestShardUnassignedIsDeliveredFromTheCommit(t *testing.T) {
	l := newLog(t)
	s, d := l.s, l.d
	first, second := begun(t, s, 0, "a"), begun(t, s, 1, "b")
	l.land()
	s.Conclude(first, s.jobs.events.New(first, schemas.KindState, schemas.Completed))
	l.land() // and is passed, without a commit
	s.Unassign()
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, l.end()}, Bounds{0, d.waitsEnd()}))
	s.Follow(l.entries, l.end())
	l.land()
	notes, loads := len(d.notes), d.loads
	for at, id := range []string{"a", "b", "c"} {
		s.Receive(job(int64(at), id))
	}
	if len(d.notes) != notes || d.loads != loads || len(d.rewinds) > 0 {
		t.Errorf("notes %v, loads %d, rewinds %v", d.notes[notes:], d.loads-loads, d.rewinds)
	}
	if held, _ := s.Held(); held != 2 || second.finished() || !s.Running() {
		t.Errorf("holds %d, want the second and the third", held)
	}
	s.Receive(job(1, "d")) // now it is another lane
	if len(d.notes) == notes {
		t.Error("a lane that was made anew is not noticed")
	}
}

// What another owner has left before the loss was heard of ends the shard at once: its
// fence, or its commit.
func TestShardUnassignedFindsThatItWasTakenOver(t *testing.T) {
	for _, by := range []string{"fence", "commit"} {
		t.Run(by, func(t *testing.T) {
			l := newLog(t)
			s, d := l.s, l.d
			begun(t, s, 0, "a")
			l.land()
			other, c := s.jobs.journal.own.Epoch+1, fold.Commit{Offset: -1}
			s.AppendFailed(s.jobs.journal.stamp(s.name), timeout())
			d.now = d.now.Add(2 * lastRetake)
			s.Tick()
			if by == "commit" {
				c = fold.Commit{Position: l.end(), Before: fold.State{Epoch: other, Seq: 1}, Own: other,
					Window: l.end()}
			}
			s.Loaded(c, logs(Bounds{0, l.end() + 2}, Bounds{0, d.waitsEnd()}))
			if by == "fence" {
				s.Follow(append(l.entries, Entry{Offset: l.end(),
					Stamp: fold.Stamp{Shard: "fast/3", Epoch: other, Seq: 1}, Value: []byte(`{"worker":"another"}`)}),
					l.end()+1)
			}
			if s.phase != phaseReading || s.Forgotten() {
				t.Fatalf("phase %d", s.phase)
			}
			if s.Unassign(); !s.Forgotten() || len(d.stopped) != 1 {
				t.Errorf("forgotten %v, stopped %d", s.Forgotten(), len(d.stopped))
			}
		})
	}
}

// A client that still has the partition delivers it from where it was: the shard asks for
// what comes before, and has each record once.
func TestShardAstrayGoesBackToTheCommit(t *testing.T) {
	s, d := newShard(t)
	s.takeover.astray = true
	s.TakeOver()
	s.Receive(job(7, "h"))
	s.Loaded(fold.Commit{Offset: 5, LaneEpoch: -1}, logs(Bounds{0, 0}, Bounds{}))
	if !slices.Equal(d.rewinds, []int64{5}) {
		t.Fatalf("rewinds to %v, want 5", d.rewinds)
	}
	d.landWaits(s)
	s.Appended(d.last().Stamp, 0)
	s.Follow([]Entry{{Offset: 0, Stamp: d.last().Stamp}}, 1)
	for n := int64(5); n < 8; n++ {
		s.Receive(job(n, string(rune('a'+n))))
	}
	if got := d.offers(0); len(got) != 3 || !slices.Contains(got, 5) || !slices.Contains(got, 6) ||
		!slices.Contains(got, 7) {
		t.Errorf("offered %v, want 5, 6 and 7 once", got)
	}
}
