package shard

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
)

// fences lets the shard's fences land at a time of the broker's, and be read.
func fences(s *Shard, d *desk, at int64, broker time.Time) {
	r, w := d.last(), d.waits[len(d.waits)-1]
	s.WaitAppended(w.Stamp, at)
	s.FollowWaits([]WaitEntry{{Offset: at, Stamp: w.Stamp, Key: w.Key, Appended: broker.UnixMilli()}}, at+1)
	s.Appended(r.Stamp, at)
	s.Follow([]Entry{{Offset: at, Stamp: r.Stamp, Appended: broker.UnixMilli()}}, at+1)
}

// takesOverAgain lets the shard load a commit after a doubt and read what stands
// in both logs before its next fence.
func takesOverAgain(s *Shard, d *desk, c fold.Commit, end int64, journal ...Entry) {
	d.now = d.now.Add(2 * lastRetake)
	s.Tick()
	s.Loaded(c, logs(Bounds{0, end}, Bounds{0, end}))
	s.FollowWaits(nil, end)
	s.Follow(journal, end)
}

// An owner whose clock is years ahead fences once more, by the broker's time, and
// remembers that for later.
func TestShardWhoseClockIsAheadFencesByTheBrokersTime(t *testing.T) {
	s, d := newShard(t)
	broker := time.UnixMilli(1_700_000_000_000)
	d.now = broker.Add(5 * 365 * 24 * time.Hour)
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{}, Bounds{}))
	fences(s, d, 0, broker)
	if s.Running() || len(d.aheads) > 0 {
		t.Fatalf("runs: %v, told of %v", s.Running(), d.aheads)
	}
	takesOverAgain(s, d, fold.Commit{Offset: -1}, 1,
		Entry{Offset: 0, Stamp: d.last().Stamp, Appended: broker.UnixMilli()})
	fences(s, d, 1, broker)
	if !s.Running() || s.jobs.journal.own.Epoch != broker.UnixMilli() {
		t.Fatalf("runs: %v, under epoch %d, want %d", s.Running(), s.jobs.journal.own.Epoch, broker.UnixMilli())
	}
	s.AppendFailed(s.jobs.journal.stamp(s.name), timeout())
	takesOverAgain(s, d, fold.Commit{Offset: -1}, 2,
		Entry{Offset: 1, Stamp: d.last().Stamp, Appended: broker.UnixMilli()})
	if got := d.last().Stamp.Epoch; got != broker.UnixMilli()+1 {
		t.Errorf("the next fence has epoch %d, want %d", got, broker.UnixMilli()+1)
	}
}

// Forged records in either log are no epoch to go above.
func TestShardGoesNotAboveForgedEpochs(t *testing.T) {
	s, d := newShard(t)
	forged := fold.Stamp{Shard: "fast/3", Epoch: 999_999_999_999_999_999, Seq: 1}
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{0, 1}, Bounds{0, 1}))
	s.FollowWaits([]WaitEntry{{Offset: 0, Stamp: forged, Key: []byte("x")}}, 1)
	s.Follow([]Entry{{Offset: 0, Stamp: forged}}, 1)
	fences(s, d, 1, d.now)
	if !s.Running() || s.jobs.journal.own.Epoch != d.now.UnixMilli() || len(d.aheads) != 2 {
		t.Fatalf("runs: %v, under epoch %d, told of %v", s.Running(), s.jobs.journal.own.Epoch, d.aheads)
	}
	s.Follow([]Entry{{Offset: 2, Stamp: forged}}, 3)
	s.FollowWaits([]WaitEntry{{Offset: 2, Stamp: forged, Key: []byte("x")}}, 3)
	if !s.Running() || len(d.aheads) != 4 {
		t.Errorf("after two more it runs: %v, told of %d", s.Running(), len(d.aheads))
	}
}

// A forged commit costs a reading of the journal from its start.
func TestShardDoesNotBelieveAForgedCommit(t *testing.T) {
	for name, forged := range map[string]fold.Commit{
		"owner": {Offset: 3, Position: 1, Before: fold.State{Epoch: 50, Seq: 1}, Own: 999_999_999_999_999_999},
		"state": {Offset: 3, Position: 1, Before: fold.State{Epoch: 999_999_999_999_999_999, Seq: 1}, Own: 50},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := newShard(t)
			s.TakeOver()
			s.Loaded(forged, logs(Bounds{0, 1}, Bounds{}))
			s.Follow(nil, 1)
			fences(s, d, 1, d.now)
			if s.Running() {
				t.Fatal("runs under an epoch that does not count")
			}
			takesOverAgain(s, d, forged, 2)
			if !slices.Contains(d.follows, 0) {
				t.Errorf("reads the journal from %v, want from its start", d.follows)
			}
			fences(s, d, 2, d.now)
			if !s.Running() || s.jobs.commit.Offset != 3 {
				t.Errorf("runs: %v, from %+v", s.Running(), s.jobs.commit)
			}
		})
	}
}

// A broker whose clock was set back has shards that nobody can own before it has
// caught up. That is told, costs a fence a minute, and ends by itself.
func TestShardIsOwnedAgainOnceTheBrokersClockHasCaughtUp(t *testing.T) {
	s, d := newShard(t)
	before := fold.State{Epoch: 1_700_000_000_000, Seq: 7}
	commit := fold.Commit{Offset: 3, Position: 0, Before: before, Own: before.Epoch}
	broker := time.UnixMilli(before.Epoch).Add(-3 * time.Hour)
	d.now = broker
	s.TakeOver()
	s.Loaded(commit, logs(Bounds{0, 1}, Bounds{}))
	owner := Entry{Offset: 0, Stamp: fold.Stamp{Shard: "fast/3", Epoch: before.Epoch, Seq: 1}, Appended: before.Epoch}
	s.Follow([]Entry{owner}, 1)
	end := int64(1)
	fences(s, d, end, broker)
	for range 5 {
		end++
		d.now = d.now.Add(longestRetake)
		takesOverAgain(s, d, commit, end, owner)
		fences(s, d, end, broker)
		if s.Running() {
			t.Fatal("runs under an epoch that does not count")
		}
	}
	if err := s.Unowned(); err == nil || !strings.Contains(err.Error(), "beyond the broker's clock") {
		t.Errorf("says %v", err)
	}
	if pause := s.doubts.until.Sub(d.now); pause != longestRetake {
		t.Errorf("tries again in %v, want %v", pause, longestRetake)
	}
	broker = time.UnixMilli(before.Epoch)
	d.now = d.now.Add(longestRetake)
	takesOverAgain(s, d, commit, end+1, owner)
	fences(s, d, end+1, broker)
	if !s.Running() || s.Unowned() != nil {
		t.Errorf("runs: %v, says %v", s.Running(), s.Unowned())
	}
}

// A shard that cannot be taken over is told of, whatever the reason, and no longer
// once it is.
func TestShardThatCannotBeTakenOverSaysWhy(t *testing.T) {
	s, d := newShard(t)
	s.TakeOver()
	for range 4 {
		if s.Unowned() != nil {
			t.Fatal("told of at once")
		}
		s.LoadFailed(timeout())
		d.now = d.now.Add(unownedPatience / 4)
		s.Tick()
	}
	if err := s.Unowned(); err == nil || !strings.Contains(err.Error(), "take-over failed, error timed out") {
		t.Errorf("says %v", err)
	}
	s.Loaded(fold.Commit{Offset: -1}, logs(Bounds{}, Bounds{}))
	fences(s, d, 0, d.now)
	if err := s.Unowned(); !s.Running() || err != nil {
		t.Errorf("runs: %v, says %v", s.Running(), err)
	}
}
