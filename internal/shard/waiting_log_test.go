package shard

import (
	"maps"
	"slices"
	"testing"
	"time"
	"unique"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// waitersModel is waiters as one would write them without a care for size.
type waitersModel struct {
	t       *rapid.T
	ws      delayedTasks
	all     []*delayedTask
	resting map[*delayedTask]bool
}

func (m *waitersModel) any() *delayedTask {
	if len(m.all) == 0 {
		m.t.Skip("there is none")
	}
	return rapid.SampledFrom(m.all).Draw(m.t, "waiter")
}

func (m *waitersModel) Add(*rapid.T) {
	w := &delayedTask{
		stamp:    fold.State{Epoch: 1, Seq: int64(len(m.all) + 1)},
		identity: identity(rapid.IntRange(0, 3).Draw(m.t, "identity")),
		due:      rapid.Int64Range(0, 5).Draw(m.t, "due"),
		created:  rapid.Int64Range(1, 9).Draw(m.t, "created"),
		why: unique.Make(waitReason{
			For: rapid.SampledFrom([]string{schemas.WaitTime, schemas.WaitPause}).Draw(m.t, "for"),
		}),
	}
	for slices.ContainsFunc(m.all, func(o *delayedTask) bool { return o.stamp == w.stamp }) {
		w.stamp.Seq++
	}
	m.ws.add(w)
	m.all = append(m.all, w)
}

func (m *waitersModel) Remove(*rapid.T) {
	w := m.any()
	m.ws.remove(w)
	m.all = slices.DeleteFunc(m.all, func(o *delayedTask) bool { return o == w })
	delete(m.resting, w)
}

func (m *waitersModel) Rest(*rapid.T) {
	w := m.any()
	m.ws.schedule(w)
	m.resting[w] = true
}

func (m *waitersModel) Disturb(*rapid.T) {
	w := m.any()
	m.ws.unschedule(w)
	delete(m.resting, w)
}

// Check compares what can be asked of both.
func (m *waitersModel) Check(t *rapid.T) {
	if m.ws.count != len(m.all) || len(m.ws.all()) != len(m.all) || m.ws.scheduled.Len() != len(m.resting) {
		t.Fatalf("%d waiters and %d resting, want %d and %d", m.ws.count, m.ws.scheduled.Len(), len(m.all),
			len(m.resting))
	}
	for _, w := range m.all {
		if m.ws.find(w.identity, w.stamp) != w || w.at > 0 != m.resting[w] {
			t.Fatalf("%v is not found, or rests: %d", w.stamp, w.at)
		}
	}
	want := map[string]WaitStats{}
	for w := range m.resting {
		sum, created := want[w.why.Value().For], time.UnixMilli(w.created)
		if sum.Count == 0 || created.Before(sum.Oldest) {
			sum.Oldest = created
		}
		sum.Count++
		want[w.why.Value().For] = sum
	}
	if got := (&Shard{jobs: jobs{waits: waitlog{tasks: m.ws}}}).Waiting(); !maps.Equal(got, want) {
		t.Fatalf("waiting are %v, want %v", got, want)
	}
	for by := range int64(6) {
		var first *delayedTask
		for w := range m.resting {
			if w.due <= by && (first == nil || w.due < first.due || w.due == first.due &&
				w.stamp.Compare(first.stamp) < 0) {
				first = w
			}
		}
		if got := m.ws.dueBy(by); got != first {
			t.Fatalf("due by %d: %+v, want %+v", by, got, first)
		}
	}
}

func TestWaitersModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &waitersModel{t: t, ws: newDelayedTasks(), resting: map[*delayedTask]bool{}}
		actions := rapid.StateMachineActions(m)
		t.Repeat(actions)
		for _, w := range slices.Clone(m.all) {
			m.ws.remove(w)
		}
		if m.ws.count != 0 || len(m.ws.byIdentity) != 0 || m.ws.scheduled.Len() != 0 {
			t.Fatal("something is left of waiters that are gone")
		}
	})
}

// landForeign puts another owner's records into the waiting log.
func (d *desk) landForeign(s *Shard, entries ...WaitEntry) {
	for _, e := range entries {
		e.Offset = d.waitsEnd()
		d.foreign++
		s.FollowWaits([]WaitEntry{e}, d.waitsEnd())
	}
}

// A waiter that was removed already is left alone.
func TestWaiterIsRemovedOnce(t *testing.T) {
	ws := delayedTasks{byIdentity: map[fold.Identity]*delayedTask{}}
	one, other := &delayedTask{stamp: fold.State{Epoch: 1, Seq: 1}},
		&delayedTask{stamp: fold.State{Epoch: 1, Seq: 2}}
	ws.add(one)
	ws.add(other)
	ws.remove(one)
	ws.remove(one)
	if ws.count != 1 || ws.find(fold.Identity{}, other.stamp) != other {
		t.Fatalf("%d waiters are left", ws.count)
	}
}

// When a broker forgets what it has acknowledged, a record is appended twice. The
// later one does not count, and is what compaction would keep.
func TestRecordThatStandsTwiceIsWrittenAgain(t *testing.T) {
	s, d := newShard(t)
	z := &zombie{t: t, s: s, epoch: d.now.UnixMilli() - 50}
	z.lets(job(0, "a"), Wait{For: "time"})
	z.lets(job(1, "b"), Wait{For: "time"})
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: 2}, logs(Bounds{}, Bounds{0, 4}))
	d.landForeign(s, z.waits...)
	d.landForeign(s, z.waits[1])
	d.turn(t, s)
	if len(d.waits) != 2 || string(d.waits[1].Key) != string(z.waits[1].Key) || d.waits[1].Wait == nil || !s.Running() {
		t.Fatalf("writes %+v after the fence, want the first record again", d.waits[1:])
	}
	if s.jobs.waits.tasks.count != 2 || !s.Quiet() {
		t.Fatalf("%d waiters, quiet %v", s.jobs.waits.tasks.count, s.Quiet())
	}
}

func TestWaitlogIsReadAnewWhenItWasReplaced(t *testing.T) {
	s, d := taken(t)
	j := job(0, "a")
	w := letWait(t, s, d, works(t, s, d, j), d.now.Add(time.Hour))
	if gone := s.jobs.waits.begin(0, s.jobs.waits.next); gone != nil || s.jobs.waits.tasks.count != 1 {
		t.Fatal("what is known is read again")
	}
	gone := s.jobs.waits.begin(0, s.jobs.waits.next-1)
	if !slices.Equal(gone, []*delayedTask{w}) || s.jobs.waits.tasks.count != 0 || s.jobs.waits.next != 0 {
		t.Fatalf("of a shorter log: %d gone, %d known, next %d", len(gone), s.jobs.waits.tasks.count, s.jobs.waits.next)
	}
}

// Another owner's fence stands above the own one in the waiting log, though not
// in the journal: whose the shard is, is for the coordinator to say.
func TestShardAsksWhenItsFenceRaisedOnlyTheJournal(t *testing.T) {
	s, d := newShard(t)
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{}, Bounds{}))
	s.Appended(d.last().Stamp, 0)
	s.Follow([]Entry{{Offset: 0, Stamp: d.last().Stamp}}, 1)
	above := fold.State{Epoch: s.jobs.journal.own.Epoch + 50, Seq: 1}
	d.landForeign(s, WaitEntry{Stamp: fold.Stamp{Shard: "fast/3", Epoch: above.Epoch, Seq: 1},
		Key: fold.WaitFenceKey("fast", above)})
	d.landWaits(s)
	if s.Running() || d.confirms != 1 {
		t.Fatalf("phase %d, asked %d times", s.phase, d.confirms)
	}
}

// A lane was deleted and made anew: two tasks wait that had the same offset. The
// older one's lane record will never come.
func TestWaiterOfADeletedLaneIsNotForgotten(t *testing.T) {
	s, d := newShard(t)
	z := &zombie{t: t, s: s, epoch: d.now.UnixMilli() - 50}
	z.lets(job(0, "old"), Wait{For: "time"})
	z.lets(job(0, "new"), Wait{For: "time"})
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{}, Bounds{0, 3}))
	d.landForeign(s, z.waits...)
	d.turn(t, s)
	if resting := s.jobs.waits.tasks.scheduled.All(); len(resting) != 1 ||
		resting[0].identity != fold.IdentityOf("u", "old") {
		t.Fatalf("%d rest", len(resting))
	}
	s.Receive(job(0, "new"))
	d.turn(t, s)
	if s.jobs.waits.tasks.scheduled.Len() != 2 || len(s.jobs.waits.blocked) != 0 || s.jobs.tracker.prefix != 1 {
		t.Fatalf("%d rest, %d blocked, prefix %d", s.jobs.waits.tasks.scheduled.Len(),
			len(s.jobs.waits.blocked), s.jobs.tracker.prefix)
	}
}
