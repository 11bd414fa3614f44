package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// epoch is when the tests' clock starts.
var epoch = time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)

func after(seconds int) *schemas.Time {
	at := schemas.AtTime(epoch.Add(time.Duration(seconds) * time.Second))
	return &at
}

// someTargets are few, so that records meet.
func someTargets() []schemas.Target {
	return []schemas.Target{
		{Type: schemas.TargetTask, UserID: "ada", TaskID: "t1"}, {Type: schemas.TargetTask, UserID: "bob", TaskID: "t1"},
		{Type: schemas.TargetTaskName, TaskName: "answer"}, {Type: schemas.TargetService, Mode: "chat", Service: "assistant"},
		{Type: schemas.TargetUser, UserID: "ada"}, {Type: schemas.TargetLane, Lane: "fast"},
		{Type: schemas.TargetLane, Lane: "heavy"},
	}
}

func drawControl(t *rapid.T) *schemas.Control {
	c := &schemas.Control{
		Kind: rapid.SampledFrom([]schemas.ControlKind{
			schemas.ControlCancel, schemas.ControlPause, schemas.ControlPause, schemas.ControlResume, schemas.ControlLimits,
			schemas.ControlKillSwitch,
		}).Draw(t, "kind"),
		Target: rapid.SampledFrom(someTargets()).Draw(t, "target"), Time: schemas.AtTime(epoch),
	}
	if rapid.IntRange(0, 3).Draw(t, "expires") > 0 || c.Kind == schemas.ControlCancel {
		c.ExpiresAt = after(rapid.IntRange(-5, 60).Draw(t, "after"))
	}
	switch c.Kind {
	case schemas.ControlCancel:
		c.Target = rapid.SampledFrom(someTargets()[:2]).Draw(t, "task")
	case schemas.ControlLimits:
		c.Target = rapid.SampledFrom(someTargets()[2:]).Draw(t, "limited")
		c.Limits = new(schemas.Limits)
		if rapid.Bool().Draw(t, "limited at all") {
			running := rapid.Int64Range(0, 9).Draw(t, "running")
			c.Limits.MaxRunning = &running
		}
	case schemas.ControlKillSwitch:
		c.Off = rapid.IntRange(0, 3).Draw(t, "off") > 0 // or nothing else is ever the strictest
	}
	return c
}

// naive keeps the last record of each key and looks at all of them.
type naive map[string]*schemas.Control

func (n naive) inForce(now time.Time) map[string]*schemas.Control {
	all := map[string]*schemas.Control{}
	for key, c := range n {
		switch {
		case c == nil, c.Kind == schemas.ControlResume, c.Off, c.ExpiresAt != nil && !c.ExpiresAt.After(now):
		case c.Limits != nil && c.Limits.MaxRunning == nil && c.Limits.MaxStartsPerS == nil:
		default:
			all[key] = c
		}
	}
	return all
}

// verdict goes through everything in force and keeps what no other is stricter
// than.
func (n naive) verdict(task *schemas.Task, lane string, now time.Time) (Action, time.Time) {
	action, endless, until := Run, false, time.Time{}
	for _, c := range n.inForce(now) {
		touches := map[schemas.TargetType]bool{
			schemas.TargetTask:     c.Target.UserID == task.UserID && c.Target.TaskID == task.TaskID,
			schemas.TargetTaskName: c.Target.TaskName == task.TaskName,
			schemas.TargetService:  c.Target.Mode == task.Mode && c.Target.Service == task.Service,
			schemas.TargetUser:     c.Target.UserID == task.UserID,
			schemas.TargetLane:     c.Target.Lane == lane,
		}[c.Target.Type]
		asks := map[schemas.ControlKind]Action{schemas.ControlPause: Hold, schemas.ControlKillSwitch: Refuse}[c.Kind]
		if l := c.Limits; c.Kind == schemas.ControlLimits && l.MaxRunning != nil && *l.MaxRunning == 0 {
			asks = Hold
		}
		if !touches || asks == Run || asks < action {
			continue
		}
		if asks > action {
			action, endless, until = asks, false, time.Time{}
		}
		if c.ExpiresAt == nil {
			endless = true
		} else if c.ExpiresAt.After(until) {
			until = c.ExpiresAt.Time
		}
	}
	if endless {
		until = time.Time{}
	}
	return action, until
}

func TestFoldIsTheLastRecordOfEachKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, model, now := newState(), naive{}, epoch
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "pass")) * time.Second)
			case 1:
				s.expire(now)
			case 2:
				key := drawControl(t).Key()
				s.apply(key, nil, now)
				model[key] = nil
			default:
				c := drawControl(t)
				s.apply(c.Key(), c, now)
				model[c.Key()] = c
			}
			compare(t, s, model, now)
		}
		s.expire(now.Add(time.Hour))
		for key, c := range s.byKey {
			if c.control.ExpiresAt != nil {
				t.Fatalf("%s has expired and is still held", key)
			}
		}
	})
}

func compare(t *rapid.T, s *state, model naive, now time.Time) {
	checkHoldings(t, s)
	want := model.inForce(now)
	page, next := s.list("", "", 1000, now)
	got := map[string]*schemas.Control{}
	for _, c := range page {
		got[c.Key()] = c
	}
	if diff := cmp.Diff(want, got); diff != "" || next != "" {
		t.Fatalf("in force, want (-) got (+), next %q: %s", next, diff)
	}
	task := &schemas.Task{UserID: "ada", TaskID: "t1", TaskName: "answer", Mode: "chat", Service: "assistant"}
	action, until := model.verdict(task, "fast", now)
	v := s.verdict(TargetsOf(task, "fast"), now)
	if v.Action != action || !v.Until.Equal(until) || (v.Control == nil) != (action == Run) {
		t.Fatalf("verdict %+v, want %v until %v", v, action, until)
	}
	cancel := want["cancel/task/ada/t1"]
	if s.cancelled(schemas.TaskKey{UserID: "ada", TaskID: "t1"}, now) != cancel {
		t.Fatalf("cancelled %v, want %v", s.cancelled(schemas.TaskKey{UserID: "ada", TaskID: "t1"}, now), cancel)
	}
	limits := map[schemas.Target]schemas.Limits{}
	bytes, kinds := 0, map[schemas.ControlKind]int{}
	for _, c := range want {
		if c.Limits != nil {
			limits[c.Target] = *c.Limits
		}
	}
	if diff := cmp.Diff(limits, s.limits(now)); diff != "" {
		t.Fatalf("limits: %s", diff)
	}
	for _, e := range s.byKey {
		bytes += e.bytes
		kinds[e.control.Kind]++
	}
	if bytes != s.cancelBytes+s.ruleBytes || len(s.cancels)+len(s.rules) > len(s.byKey) {
		t.Fatalf("%d bytes are held, %d+%d are counted", bytes, s.cancelBytes, s.ruleBytes)
	}
	for kind, n := range kinds {
		if s.count(kind) != n {
			t.Fatalf("%d of kind %s, %d are counted", n, kind, s.count(kind))
		}
	}
}

func TestEffects(t *testing.T) {
	target := schemas.Target{Type: schemas.TargetLane, Lane: "fast"}
	task := schemas.Target{Type: schemas.TargetTask, UserID: "ada", TaskID: "t1"}
	pause := &schemas.Control{Kind: schemas.ControlPause, Target: target}
	cancel := &schemas.Control{Kind: schemas.ControlCancel, Target: task, ExpiresAt: after(10)}
	steps := []struct {
		name    string
		key     string
		control *schemas.Control
		want    effect
	}{
		{"a pause", pause.Key(), pause, effect{rules: true}},
		{"its resume", pause.Key(), &schemas.Control{Kind: schemas.ControlResume, Target: target}, effect{rules: true}},
		{"a resume of what is not paused", pause.Key(), &schemas.Control{Kind: schemas.ControlResume, Target: target},
			effect{}},
		{"a pause that has expired", pause.Key(), &schemas.Control{Kind: schemas.ControlPause, Target: target,
			ExpiresAt: after(0)}, effect{}},
		{"a cancel", cancel.Key(), cancel, effect{cancelled: &schemas.TaskKey{UserID: "ada", TaskID: "t1"}}},
		{"the same once more", cancel.Key(), cancel, effect{cancelled: &schemas.TaskKey{UserID: "ada", TaskID: "t1"}}},
		{"its tombstone", cancel.Key(), nil, effect{}},
		{"a tombstone of nothing", "no/such/key", nil, effect{}},
	}
	s := newState()
	for _, step := range steps {
		if diff := cmp.Diff(step.want, s.apply(step.key, step.control, epoch),
			cmp.AllowUnexported(effect{})); diff != "" {
			t.Errorf("%s, want (-) got (+): %s", step.name, diff)
		}
	}
}

func TestOfEqualControlsTheNarrowerIsNamed(t *testing.T) {
	s := newState()
	for _, target := range slices.Backward(someTargets()) {
		c := &schemas.Control{Kind: schemas.ControlKillSwitch, Target: target, Reason: "because"}
		s.apply(c.Key(), c, epoch)
	}
	task := &schemas.Task{UserID: "ada", TaskID: "t1", TaskName: "answer", Mode: "chat", Service: "assistant"}
	v := s.verdict(TargetsOf(task, "fast"), epoch)
	if v.Action != Refuse || v.Control.Target.Type != schemas.TargetTask || v.Control.Reason != "because" {
		t.Errorf("verdict %+v of %+v", v, v.Control)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := newState()
	s.maxCancelBytes, s.maxRuleBytes = 20_000, 20_000
	dropped := 0
	for i := range 100 {
		cancel := &schemas.Control{
			Kind: schemas.ControlCancel, Target: schemas.Target{Type: schemas.TargetTask, UserID: "ada", TaskID: fmt.Sprint(i)},
			ExpiresAt: after(1 + i),
		}
		dropped += s.apply(cancel.Key(), cancel, epoch).dropped
	}
	if s.cancelBytes > s.maxCancelBytes || len(s.cancels) < 10 || len(s.cancels)+dropped != 100 {
		t.Errorf("%d cancels of %d bytes are held, %d were dropped", len(s.cancels), s.cancelBytes, dropped)
	}
	if s.cancelled(schemas.TaskKey{UserID: "ada", TaskID: "99"}, epoch) == nil ||
		s.cancelled(schemas.TaskKey{UserID: "ada", TaskID: "0"}, epoch) != nil {
		t.Error("not those that expire soonest were dropped")
	}
	dropped = 0
	for i := range 100 {
		pause := &schemas.Control{Kind: schemas.ControlPause,
			Target: schemas.Target{Type: schemas.TargetUser, UserID: fmt.Sprint(i)}}
		dropped += s.apply(pause.Key(), pause, epoch).dropped
	}
	if s.ruleBytes > s.maxRuleBytes || len(s.rules) < 10 || len(s.rules)+dropped != 100 ||
		s.rules[schemas.Target{Type: schemas.TargetUser, UserID: "0"}] == nil {
		t.Errorf("%d rules of %d bytes are held, %d were dropped", len(s.rules), s.ruleBytes, dropped)
	}
}

func TestListPages(t *testing.T) {
	s := newState()
	for i := range 7 {
		kind := schemas.ControlPause
		if i%2 == 0 {
			kind = schemas.ControlKillSwitch
		}
		c := &schemas.Control{Kind: kind, Target: schemas.Target{Type: schemas.TargetUser, UserID: fmt.Sprint(i)}}
		s.apply(c.Key(), c, epoch)
	}
	seen, place := map[string]bool{}, ""
	for pages := 0; pages == 0 || place != ""; pages++ {
		page, next := s.list("", place, 3, epoch)
		for _, c := range page {
			if c.Key() <= place || seen[c.Key()] {
				t.Errorf("%s comes again or out of order", c.Key())
			}
			seen[c.Key()] = true
		}
		place = next
	}
	if len(seen) != 7 {
		t.Errorf("listed %v", slices.Sorted(maps.Keys(seen)))
	}
	page, next := s.list(schemas.ControlPause, "", 3, epoch)
	if len(page) != 3 || next != "" || slices.ContainsFunc(page,
		func(c *schemas.Control) bool { return !strings.HasPrefix(c.Key(), "pause/") }) {
		t.Errorf("pauses: %v, next %q", page, next)
	}
}
