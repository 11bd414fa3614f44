package shard

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// targetsOfA are the targets of the task "a" that job makes, the narrowest first.
func targetsOfA() []schemas.Target {
	return []schemas.Target{
		{Type: schemas.TargetTask, UserID: "u", TaskID: "a"},
		{Type: schemas.TargetTaskName, TaskName: "echo"},
		{Type: schemas.TargetService, Mode: "debug", Service: "echo"},
		{Type: schemas.TargetUser, UserID: "u"},
		{Type: schemas.TargetLane, Lane: "fast"},
	}
}

// A hold that lasts longer than the one a task waits for, or as long and is narrower, takes its place: the task goes to
// the run queue, which lets it wait for that one. So it does for an owner that has read of the task in the log. One of
// other tasks changes nothing.
func TestAnotherHoldTakesTheFirstsPlace(t *testing.T) {
	others := []schemas.Target{
		{Type: schemas.TargetTask, UserID: "u", TaskID: "b"}, {Type: schemas.TargetTask, UserID: "v", TaskID: "a"},
		{Type: schemas.TargetTaskName, TaskName: "debug"}, {Type: schemas.TargetService, Mode: "echo", Service: "debug"},
		{Type: schemas.TargetUser, UserID: "a"}, {Type: schemas.TargetLane, Lane: "heavy"},
	}
	for i, first := range targetsOfA() {
		for k, second := range slices.Concat(targetsOfA(), others) {
			if k == i {
				continue
			}
			for _, lasts := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour, 0} {
				s, d := taken(t)
				until := func(lasts time.Duration) time.Time {
					if lasts == 0 {
						return time.Time{}
					}
					return d.now.Add(lasts)
				}
				one := Hold{Name: "one", Target: first, Until: until(2 * time.Hour)}
				other := Hold{Name: "other", Target: second, Until: until(lasts)}
				s.SetHolds(NewHolds([]Hold{one}))
				j := job(0, "a")
				s.Receive(j)
				s.Postpone(j, Postponement{For: schemas.WaitPause, Hold: "one", Until: one.Until})
				d.turn(t, s)
				next := New(*s.config, Port{d, d, d, d})
				takes := k < len(targetsOfA()) && (lasts == 0 || lasts > 2*time.Hour || lasts == 2*time.Hour && k < i)
				check := func(s *Shard, owner string) {
					offered := len(d.offered)
					s.SetHolds(NewHolds([]Hold{one, other}))
					if went := len(d.offered) > offered; went != takes {
						t.Errorf("%s: held by %v, and by %v for %v: goes on %v", owner, first, second, lasts, went)
					}
				}
				check(s, "its owner")
				s.Forget()
				next.TakeOver()
				next.SetHolds(NewHolds([]Hold{one}))
				d.reload(t, next)
				check(next, "the next")
			}
		}
	}
}

// A record of before tasks said what they are waits until its hold is looked at. What holds it is not known then: it
// goes on, and the run queue lets it wait as one that says so. A user's pause is known from its key.
func TestHeldRecordWithoutNames(t *testing.T) {
	for _, tt := range []struct {
		target schemas.Target
		stays  bool
	}{{targetsOfA()[0], true}, {targetsOfA()[1], false}, {targetsOfA()[2], false}, {targetsOfA()[3], true},
		{targetsOfA()[4], true}} {
		holds := NewHolds([]Hold{{Name: "one", Target: tt.target}})
		key := waitKey("fast", job(0, "a").Task, fold.State{Epoch: 1, Seq: 1})
		if by := holds.on(targetsOf(key, &Wait{Hold: "one"})); (by == "one") != tt.stays {
			t.Errorf("%v: held by %q", tt.target, by)
		}
	}
}

// What is told of many holds does not depend on their order, but for equals of one target.
func TestHoldsInAnyOrder(t *testing.T) {
	key := waitKey("fast", job(0, "a").Task, fold.State{Epoch: 1, Seq: 1})
	targets := targetsOf(key, &Wait{Mode: "debug", Service: "echo", TaskName: "echo"})
	rapid.Check(t, func(t *rapid.T) {
		var all []Hold
		for i, target := range targetsOfA() {
			for n := range rapid.IntRange(0, 2).Draw(t, "holds") {
				h := Hold{Name: string(rune('a'+i)) + string(rune('0'+n)), Target: target}
				if hours := 2*rapid.IntRange(0, 3).Draw(t, "hours") + n; hours > 1 {
					h.Until = time.Unix(0, 0).Add(time.Duration(hours) * time.Hour)
				} else if n > 0 {
					continue
				}
				all = append(all, h)
			}
		}
		// The reference: longest first, then narrowest.
		want := ""
		sorted := slices.Clone(all)
		slices.SortStableFunc(sorted, func(a, b Hold) int {
			switch {
			case a.outlasts(b):
				return -1
			case b.outlasts(a):
				return 1
			}
			return 0
		})
		if len(sorted) > 0 {
			want = sorted[0].Name
		}
		shuffled := rapid.Permutation(all).Draw(t, "order")
		if got := NewHolds(shuffled).on(targets); got != want {
			t.Fatalf("%+v: held by %q, want %q", shuffled, got, want)
		}
	})
}

// What a cap has put into the waiting log hears of whatever else holds it, though the cap has no room: each way in
// which one can come after the other, and for an owner that reads of it in the log.
func TestWhatACapHoldsIsToldOfAPause(t *testing.T) {
	const room, bytes = CapHold + "user/u", 1 << 20
	none := func(string) int { return 0 }
	hold := Hold{Name: "pause", Target: schemas.Target{Type: schemas.TargetUser, UserID: "u"}}
	inForce, nothing := NewHolds([]Hold{hold}), NewHolds(nil)
	for name, prepare := range map[string]func(*Shard, *desk) *Shard{
		"the pause begins later": func(s *Shard, d *desk) *Shard {
			s.SetHolds(nothing)
			shed(t, s, d, room, queuedJobs(s, 3)...)
			s.SetHolds(inForce)
			return s
		},
		"the pause began before": func(s *Shard, d *desk) *Shard {
			s.SetHolds(inForce)
			shed(t, s, d, room, queuedJobs(s, 3)...)
			return s
		},
		"another owner reads of both": func(s *Shard, d *desk) *Shard {
			s.SetHolds(nothing)
			shed(t, s, d, room, queuedJobs(s, 3)...)
			next := New(*s.config, Port{d, d, d, d})
			s.Forget()
			next.TakeOver()
			d.reload(t, next)
			next.SetHolds(inForce)
			return next
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := taken(t)
			s = prepare(s, d)
			since := len(d.offered)
			s.Readmit(none, bytes)
			s.Readmit(none, bytes)
			if got := d.offers(since); !slices.Equal(got, []int64{0, 1, 2}) {
				t.Fatalf("let out %v, want each once, in the lane's order", got)
			}
			for _, j := range d.offered[since:] {
				s.Postpone(j, Postponement{For: schemas.WaitPause, Hold: hold.Name, Reason: "why"})
			}
			d.turn(t, s)
			told := 0
			for _, r := range d.records {
				if r.Event == nil {
					continue
				}
				if w := r.Event.Waiting; w != nil && w.For == schemas.WaitPause && w.Reason == "why" {
					told++
				}
			}
			since = len(d.offered)
			s.SetHolds(inForce)
			s.Readmit(none, bytes)
			if told != 3 || len(d.offered) != since {
				t.Errorf("told of the pause %d times, and %v let out again", told, d.offers(since))
			}
		})
	}
}

// Those that hear of a pause take as much memory as they may, whatever has come back from caps; a pause that ends
// before leaves the others to their cap.
func TestWhatACapHoldsIsToldAFewAtATime(t *testing.T) {
	const room = CapHold + "user/u"
	none := func(string) int { return 0 }
	s, d := taken(t)
	s.SetHolds(NewHolds(nil))
	jobs := queuedJobs(s, 6)
	shed(t, s, d, room, jobs...)
	since := len(d.offered)
	s.Readmit(func(string) int { return 1 }, 2*jobs[0].Bytes)
	s.SetHolds(NewHolds([]Hold{{Name: "pause", Target: schemas.Target{Type: schemas.TargetLane, Lane: "fast"}}}))
	for range 3 {
		s.Readmit(none, 2*jobs[0].Bytes)
	}
	if got := d.offers(since); !slices.Equal(got, []int64{0, 1, 2}) {
		t.Errorf("let out %v, want one of the cap and two to be told", got)
	}
	s.SetHolds(NewHolds(nil))
	since = len(d.offered)
	s.Readmit(none, 1<<20)
	if got := d.offers(since); got != nil {
		t.Errorf("let out %v of a cap without room when the pause was over", got)
	}
}
