package journal

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// waitersModel is waiters as one would write them without a care for size.
type waitersModel struct {
	t       *rapid.T
	ws      waiters
	all     []*waiter
	resting map[*waiter]bool
}

func (m *waitersModel) any() *waiter {
	if len(m.all) == 0 {
		m.t.Skip("there is none")
	}
	return rapid.SampledFrom(m.all).Draw(m.t, "waiter")
}

func (m *waitersModel) Add(*rapid.T) {
	w := &waiter{
		stamp: State{1, int64(len(m.all) + 1)}, identity: identity(rapid.IntRange(0, 3).Draw(m.t, "identity")),
		due: rapid.Int64Range(0, 5).Draw(m.t, "due"), at: -1,
	}
	for slices.ContainsFunc(m.all, func(o *waiter) bool { return o.stamp == w.stamp }) {
		w.stamp.Seq++
	}
	m.ws.add(w)
	m.all = append(m.all, w)
}

func (m *waitersModel) Remove(*rapid.T) {
	w := m.any()
	m.ws.remove(w)
	m.all = slices.DeleteFunc(m.all, func(o *waiter) bool { return o == w })
	delete(m.resting, w)
}

func (m *waitersModel) Rest(*rapid.T) {
	w := m.any()
	m.ws.rest(w)
	m.resting[w] = true
}

func (m *waitersModel) Disturb(*rapid.T) {
	w := m.any()
	m.ws.disturb(w)
	delete(m.resting, w)
}

// Check compares what can be asked of both.
func (m *waitersModel) Check(t *rapid.T) {
	if m.ws.count != len(m.all) || len(m.ws.all()) != len(m.all) || len(m.ws.resting) != len(m.resting) {
		t.Fatalf("%d waiters and %d resting, want %d and %d", m.ws.count, len(m.ws.resting), len(m.all), len(m.resting))
	}
	for _, w := range m.all {
		if m.ws.find(w.identity, w.stamp) != w || w.at >= 0 != m.resting[w] {
			t.Fatalf("%v is not found, or rests: %d", w.stamp, w.at)
		}
	}
	for by := range int64(6) {
		var first *waiter
		for w := range m.resting {
			if w.due <= by && (first == nil || w.due < first.due || w.due == first.due && w.stamp.compare(first.stamp) < 0) {
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
		m := &waitersModel{t: t, ws: waiters{byIdentity: map[Identity]*waiter{}}, resting: map[*waiter]bool{}}
		actions := rapid.StateMachineActions(m)
		t.Repeat(actions)
		for _, w := range slices.Clone(m.all) {
			m.ws.remove(w)
		}
		if m.ws.count != 0 || len(m.ws.byIdentity) != 0 || len(m.ws.resting) != 0 {
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
	ws := waiters{byIdentity: map[Identity]*waiter{}}
	one, other := &waiter{stamp: State{1, 1}, at: -1}, &waiter{stamp: State{1, 2}, at: -1}
	ws.add(one)
	ws.add(other)
	ws.remove(one)
	ws.remove(one)
	if ws.count != 1 || ws.find(Identity{}, other.stamp) != other {
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
	s.Loaded(Commit{Offset: 2}, Bounds{}, Bounds{0, 4})
	d.landForeign(s, z.waits...)
	d.landForeign(s, z.waits[1])
	d.turn(t, s)
	if len(d.waits) != 2 || string(d.waits[1].Key) != string(z.waits[1].Key) || d.waits[1].Wait == nil || !s.Running() {
		t.Fatalf("writes %+v after the fence, want the first record again", d.waits[1:])
	}
	if s.waits.waiters.count != 2 || !s.Quiet() {
		t.Fatalf("%d waiters, quiet %v", s.waits.waiters.count, s.Quiet())
	}
}

func TestWaitlogIsReadAnewWhenItWasReplaced(t *testing.T) {
	s, d := taken(t)
	j := job(0, "a")
	w := letWait(t, s, d, works(t, s, d, j), d.now.Add(time.Hour))
	if gone := s.waits.begin(0, s.waits.next); gone != nil || s.waits.waiters.count != 1 {
		t.Fatal("what is known is read again")
	}
	gone := s.waits.begin(0, s.waits.next-1)
	if !slices.Equal(gone, []*waiter{w}) || s.waits.waiters.count != 0 || s.waits.next != 0 {
		t.Fatalf("of a shorter log: %d gone, %d known, next %d", len(gone), s.waits.waiters.count, s.waits.next)
	}
}

// Another owner's fence stands above the own one in the waiting log, though not
// in the journal: whose the shard is, is for the coordinator to say.
func TestShardAsksWhenItsFenceRaisedOnlyTheJournal(t *testing.T) {
	s, d := newShard(t)
	s.TakeOver()
	s.Loaded(Commit{Offset: -1}, Bounds{}, Bounds{})
	s.Appended(d.last().Stamp, 0)
	s.Follow([]Entry{{Offset: 0, Stamp: d.last().Stamp}}, 1)
	above := State{s.own.Epoch + 50, 1}
	d.landForeign(s, WaitEntry{Stamp: Stamp{"fast/3", above.Epoch, 1}, Key: waitFenceKey("fast", above)})
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
	s.Loaded(Commit{Offset: -1}, Bounds{}, Bounds{0, 3})
	d.landForeign(s, z.waits...)
	d.turn(t, s)
	if resting := s.waits.waiters.resting; len(resting) != 1 || resting[0].identity != IdentityOf("u", "old") {
		t.Fatalf("%d rest", len(resting))
	}
	s.Receive(job(0, "new"))
	d.turn(t, s)
	if len(s.waits.waiters.resting) != 2 || len(s.blocked) != 0 || s.tracker.prefix != 1 {
		t.Fatalf("%d rest, %d blocked, prefix %d", len(s.waits.waiters.resting), len(s.blocked), s.tracker.prefix)
	}
}
