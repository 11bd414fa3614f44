package taskview

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

var aRun = runKey{schemas.TaskKey{UserID: "ada", TaskID: "t1"}, "fast", 3}

func at(seconds int) schemas.Time {
	return schemas.AtTime(epoch0.Add(time.Duration(seconds) * time.Second))
}

func decoded(t testing.TB, value string) *schemas.Task {
	t.Helper()
	task, err := schemas.DecodeTask([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// step is something that happens to a task's picture.
type step struct {
	name  string
	do    func(t *Task) (taken bool)
	taken bool
}

// TestTaskIsWhatHasHappenedToIt: each life is told as records come, and what the picture
// says after it.
func TestTaskIsWhatHasHappenedToIt(t *testing.T) {
	record := func(offset int64, seconds int) step {
		return step{name: "record", taken: true, do: func(p *Task) bool {
			return p.takeRecord(decoded(t, taskJSON("ada", "t1")), offset, at(seconds).Time)
		}}
	}
	event := func(e schemas.Event, offset int64, seconds int) step {
		e.Time = at(seconds)
		return step{name: string(e.Kind) + " " + string(e.Status), taken: true,
			do: func(p *Task) bool { return p.takeEvent(&e, offset) }}
	}
	refused := func(s step) step { s.taken = false; return s }
	lost := step{name: "lost", taken: true, do: func(p *Task) bool { p.lose("gone", at(50)); return true }}
	running := state("ada", "t1", schemas.Running, 1)
	waits := state("ada", "t1", schemas.Pending, 1)
	waits.Waiting, waits.NextAttemptAt = &schemas.Waiting{For: schemas.WaitRetry}, new(schemas.Time)
	*waits.NextAttemptAt = at(99)
	progress := running
	progress.Kind, progress.Progress, progress.Message = schemas.KindProgress, &schemas.Progress{Percent: 30}, ""
	failed := state("ada", "t1", schemas.Failed, 2)
	failed.Error, failed.ErrorCode = "it broke", schemas.CodeServiceError
	later := running
	later.Status = "a status of a later version"
	sourced := running
	sourced.Source = &schemas.Source{Topic: "tasks.fast", Partition: 3, Offset: 41}
	for name, life := range map[string]struct {
		steps []step
		is    func(p *Task) bool
	}{
		"nothing yet": {nil, func(p *Task) bool {
			return p.Status == schemas.Pending && p.Offset == -1 && p.LastOffset == -1 && p.FirstEvent == -1 && p.open()
		}},
		"a record": {[]step{record(7, 1)}, func(p *Task) bool {
			return p.Offset == 7 && p.LastOffset == 7 && p.TaskName == "answer" && p.Service == "assistant" &&
				p.CreatedAt.Equal(at(1).Time)
		}},
		"a record twice": {[]step{record(7, 1), refused(record(9, 3))}, func(p *Task) bool {
			return p.Offset == 7 && p.LastOffset == 9 && p.CreatedAt.Equal(at(1).Time) && p.UpdatedAt.Equal(at(1).Time)
		}},
		"its events first": {[]step{event(sourced, 5, 2), record(7, 1)}, func(p *Task) bool {
			return p.Status == schemas.Running && p.Offset == 7 && p.LastOffset == 41 && p.CreatedAt.Equal(at(1).Time) &&
				p.UpdatedAt.Equal(at(2).Time)
		}},
		"it runs and ends": {[]step{record(7, 1), event(running, 5, 2), event(progress, 6, 3),
			event(completed("ada", "t1", `1`), 8, 4)}, func(p *Task) bool {
			return p.Status == schemas.Completed && p.StartedAt.Equal(at(2).Time) && p.EndedAt.Equal(at(4).Time) &&
				p.FirstEvent == 5 &&
				p.Progress.Percent == 30 && !p.open()
		}},
		"nothing counts after its end": {[]step{event(failed, 5, 2), refused(event(running, 6, 3)),
			refused(event(progress, 7, 4))}, func(p *Task) bool {
			return p.Status == schemas.Failed && p.Error == "it broke" && p.UpdatedAt.Equal(at(2).Time)
		}},
		"an attempt begins its progress anew": {[]step{event(running, 5, 2), event(progress, 6, 3), event(waits, 7, 4),
			event(running, 8, 5)}, func(p *Task) bool {
			return p.Progress == nil && p.Waiting == nil && p.NextAttemptAt == nil && p.StartedAt.Equal(at(5).Time)
		}},
		"it waits": {[]step{event(running, 5, 2), event(waits, 7, 4)}, func(p *Task) bool {
			return p.Status == schemas.Pending && p.Waiting.For == schemas.WaitRetry && p.NextAttemptAt.Equal(at(99).Time) &&
				!p.Deferred
		}},
		"it waits elsewhere for good": {[]step{record(7, 1), event(deferredEvent("ada", "t1", 7), 4, 2),
			event(running, 5, 3)}, func(p *Task) bool {
			return p.Deferred && p.Status == schemas.Running && p.LastOffset == 7
		}},
		"a status nobody knows": {[]step{event(running, 5, 2), refused(event(later, 6, 3))}, func(p *Task) bool {
			return p.Status == schemas.Running && p.UpdatedAt.Equal(at(2).Time)
		}},
		"it is lost": {[]step{record(7, 1), event(waits, 5, 2), lost}, func(p *Task) bool {
			return p.Status == schemas.Lost && p.Error == "gone" && p.EndedAt.Equal(at(50).Time) && p.Waiting == nil && !p.open()
		}},
		"it was not lost after all": {[]step{record(7, 1), lost, event(progress, 5, 2)}, func(p *Task) bool {
			return p.Status == schemas.Pending && p.Error == "" && p.EndedAt == nil && p.Progress.Percent == 30
		}},
		"it ends though it was lost": {[]step{record(7, 1), lost, event(failed, 5, 2)}, func(p *Task) bool {
			return p.Status == schemas.Failed && p.Error == "it broke" && p.EndedAt.Equal(at(2).Time)
		}},
		"it is sent again when it was lost": {[]step{record(7, 1), event(running, 5, 2), lost, record(9, 60)},
			func(p *Task) bool {
				return p.Status == schemas.Pending && p.Offset == 9 && p.LastOffset == 9 && p.Attempt == 0 && p.FirstEvent == 5 &&
					p.StartedAt == nil &&
					p.CreatedAt.Equal(at(60).Time)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTask(aRun)
			for i, s := range life.steps {
				if taken := s.do(&p); taken != s.taken {
					t.Fatalf("step %d, %s: taken %v", i, s.name, taken)
				}
			}
			if !life.is(&p) {
				t.Errorf("%+v", p)
			}
			if p.run() != aRun {
				t.Errorf("it is %+v now", p.run())
			}
		})
	}
}

// TestWhoSpeaksForATaskWhoseRecordIsGone: its owner once it has started, its record in
// tasks.scheduled if it waits there, and nobody else.
func TestWhoSpeaksForATaskWhoseRecordIsGone(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Task)
		why    string
		lost   bool
	}{
		"nobody":           {func(*Task) {}, "gone", true},
		"it is not gone":   {func(*Task) {}, "", false},
		"its owner":        {func(p *Task) { p.Status, p.Attempt = schemas.Running, 1 }, "gone", false},
		"its next attempt": {func(p *Task) { p.Attempt = 1 }, "gone", false},
		"where it waits":   {func(p *Task) { p.Deferred = true }, "gone", false},
		"its end":          {func(p *Task) { p.Status = schemas.Cancelled }, "gone", false},
		"lost already":     {func(p *Task) { p.Status, p.Error = schemas.Lost, "before" }, "gone", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTask(aRun)
			test.change(&p)
			before := p
			if why := p.loseUnheld(test.why, at(9)); (why != "") != test.lost {
				t.Errorf("lost for %q", why)
			}
			if diff := cmp.Diff(before, p, cmpopts.EquateEmpty()); (diff != "") != test.lost {
				t.Errorf("changed: %s", diff)
			}
		})
	}
}

// drawEvents are events of one run in the order of their journal.
func drawEvents(t *rapid.T) (events []schemas.Event) {
	for range rapid.IntRange(0, 8).Draw(t, "events") {
		e := state("ada", "t1", rapid.SampledFrom(schemas.Statuses()).Draw(t, "status"),
			rapid.IntRange(1, 3).Draw(t, "attempt"))
		e.Kind = rapid.SampledFrom([]schemas.Kind{schemas.KindState, schemas.KindState, schemas.KindProgress,
			schemas.KindOutput, schemas.KindLog}).Draw(t, "kind")
		if e.Kind == schemas.KindProgress {
			e.Progress = &schemas.Progress{Percent: float64(rapid.IntRange(0, 100).Draw(t, "percent"))}
		}
		e.Deferred = e.Kind == schemas.KindState && e.Status == schemas.Pending && rapid.Bool().Draw(t, "deferred")
		e.Time = at(rapid.IntRange(0, 100).Draw(t, "time"))
		events = append(events, e)
	}
	return events
}

// TestRecordMayComeAnyTime: partitions are read independently, so that a task's record
// may be read before its events, among them or after them. The picture is the same.
func TestRecordMayComeAnyTime(t *testing.T) {
	task := decoded(t, taskJSON("ada", "t1"))
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t)
		picture := func(place int) Task {
			p := newTask(aRun)
			for i := range len(events) + 1 {
				if i == place {
					p.takeRecord(task, 7, epoch0)
				}
				if i < len(events) {
					p.takeEvent(&events[i], int64(i))
				}
			}
			return p
		}
		want := picture(0)
		for place := 1; place <= len(events); place++ {
			if diff := cmp.Diff(want, picture(place)); diff != "" {
				t.Fatalf("with the record at %d: %s", place, diff)
			}
		}
	})
}

// TestTaskInvariants: whatever happens, an end stays, times only grow, a lost task says
// why, and one that is open has not ended.
func TestTaskInvariants(t *testing.T) {
	task := decoded(t, taskJSON("ada", "t1"))
	rapid.Check(t, func(t *rapid.T) {
		p := newTask(aRun)
		events := drawEvents(t)
		for i := range events {
			before := p
			switch rapid.IntRange(0, 5).Draw(t, "then") {
			case 0:
				p.takeRecord(task, int64(rapid.IntRange(0, 20).Draw(t, "offset")), epoch0)
			case 1:
				if p.open() {
					p.lose("gone", at(rapid.IntRange(0, 100).Draw(t, "lost at")))
				}
			case 2:
				p.takeRepeat(at(rapid.IntRange(0, 100).Draw(t, "repeat at")))
				if p.Repeats != before.Repeats+1 {
					t.Fatalf("a repeat is not counted: %+v", p)
				}
			default:
				p.takeEvent(&events[i], int64(i))
				if p.keepEvent(events[i].Kind); p.Events != before.Events+1 {
					t.Fatalf("an event is not counted: %+v", p)
				}
			}
			switch {
			case before.Status.Terminal() && (p.Status != before.Status || !p.EndedAt.Equal(before.EndedAt.Time)):
				t.Fatalf("an end does not stay: %+v became %+v", before, p)
			case p.UpdatedAt.Before(before.UpdatedAt.Time):
				t.Fatalf("the last change moves back: %v to %v", before.UpdatedAt, p.UpdatedAt)
			case p.Status == schemas.Lost && (p.Error == "" || p.EndedAt == nil):
				t.Fatalf("lost without a reason: %+v", p)
			case p.open() != (p.EndedAt == nil):
				t.Fatalf("open %v, ended at %v: %+v", p.open(), p.EndedAt, p)
			case p.LastOffset < p.Offset:
				t.Fatalf("its record is behind the last place it stands at: %+v", p)
			}
		}
	})
}

// TestKeptEventsAreBounded: those that change no state, and they are counted.
func TestKeptEventsAreBounded(t *testing.T) {
	p := newTask(aRun)
	for range MaxEventsPerTask + 5 {
		p.keepEvent(schemas.KindOutput)
	}
	if p.Events != MaxEventsPerTask || p.EventsOmitted != 5 {
		t.Errorf("%d kept, %d omitted", p.Events, p.EventsOmitted)
	}
	if !p.keepEvent(schemas.KindState) || p.Events != MaxEventsPerTask+1 {
		t.Error("a change of state is not kept")
	}
}

// TestTheNewestRunIsShown: by creation, then by name, in any order of looking.
func TestTheNewestRunIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := map[runKey]found{}
		for range rapid.IntRange(1, 6).Draw(t, "runs") {
			run := runKey{schemas.TaskKey{UserID: "ada", TaskID: "t1"},
				rapid.SampledFrom([]string{"fast", "heavy"}).Draw(t, "lane"),
				int32(rapid.IntRange(0, 3).Draw(t, "partition"))}
			p := newTask(run)
			p.CreatedAt = at(rapid.IntRange(0, 2).Draw(t, "created"))
			runs[run] = found{task: p}
		}
		best, err := choose(runs, aRun.TaskKey)
		if err != nil || best.task.Runs != len(runs) {
			t.Fatalf("%d runs of %d: %v", best.task.Runs, len(runs), err)
		}
		for run, f := range runs {
			if run != best.task.run() && (f.task.newer(&best.task) || !best.task.newer(&f.task)) {
				t.Fatalf("%+v is newer than %+v", f.task, best.task)
			}
		}
	})
}

// TestTimesAreWithinRFC3339, whatever a sender's clock says.
func TestTimesAreWithinRFC3339(t *testing.T) {
	for _, ms := range []int64{-1 << 62, -1, 0, 1, maxTimeMS, maxTimeMS + 1, 1 << 62} {
		got := atMilli(ms)
		if got.Year() < 1970 || got.Year() > 9999 {
			t.Errorf("%d is in the year %d", ms, got.Year())
		}
		if text, err := got.MarshalText(); err != nil || len(text) == 0 {
			t.Errorf("%d cannot be written: %v", ms, err)
		}
	}
}
