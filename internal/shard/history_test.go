package shard

import (
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// tell is what the letter of a job says that ends as failed.
func tell(t *testing.T, s *Shard, j *Job) historyHeader {
	t.Helper()
	b, err := encodeHistory(j, s.jobs.events.Failed(j, schemas.CodePanic, "at last"))
	var h historyHeader
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func endsOf(h historyHeader) (ends []string) {
	for _, e := range h.History {
		ends = append(ends, string(e.End)+" by "+e.Worker)
	}
	return ends
}

// What became of an attempt is told of a queue's wait, of another owner's attempts
// found at a take-over, and of a wait in the waiting log after them.
func TestHistorySurvivesWaitsAndTakeOvers(t *testing.T) {
	s, d := taken(t)
	j := works(t, s, d, job(0, "a"))
	s.Postpone(j, Postponement{For: schemas.WaitRetry, Until: d.now.Add(time.Second), Error: "busy",
		ErrorCode: schemas.CodeServiceError})
	d.turn(t, s)
	z := &zombie{t: t, s: s, epoch: s.jobs.journal.own.Epoch + 50}
	for n, r := range d.records[:d.counted] {
		z.logged = append(z.logged, entry(t, int64(n), r))
	}
	z.write(nil)
	z.write(event(s, j, 2, schemas.Running)) // lost
	z.write(event(s, j, 3, schemas.Running))
	z.write(event(s, j, 3, schemas.Pending)) // handed over
	z.retake(d)
	if got, want := endsOf(tell(t, s, j)), []string{"failed by w", "lost by zombie",
		"handed_over by zombie"}; !slices.Equal(got, want) {
		t.Fatalf("after the take-over: %q, want %q", got, want)
	}
	if e := j.history.earlier[0]; e.Attempt != 1 || e.Error != "busy" || e.Code != schemas.CodeServiceError ||
		e.Started.IsZero() || e.Ended.IsZero() {
		t.Errorf("the first is %+v", e)
	}
	if e := j.history.earlier[1]; e.Attempt != 2 || !e.Ended.IsZero() {
		t.Errorf("the lost one is %+v", e)
	}
	j.postponed = &Postponement{For: schemas.WaitRetry, Error: "again", ErrorCode: schemas.CodeServiceError}
	b, err := s.jobs.waitOf(j).Encode()
	if err != nil {
		t.Fatal(err)
	}
	wait, err := DecodeWait(b)
	if err != nil || len(wait.History) != 3 {
		t.Fatalf("the waiting record has the history %+v, %v", wait.History, err)
	}
	next := job(0, "a")
	next.Earlier, next.delayed = wait.History, newDelayedTask(fold.State{Epoch: 9, Seq: 9}, next.Identity, wait, nil)
	next.history = next.base()
	next.history.see(fold.Place{}, factsOf(event(s, next, 4, schemas.Running)))
	h := tell(t, s, next)
	if got, want := endsOf(h), []string{"failed by w", "lost by zombie", "handed_over by zombie",
		"lost by zombie"}; !slices.Equal(got, want) || h.Lost != 2 {
		t.Errorf("after the wait: %q and %d lost, want %q", got, h.Lost, want)
	}
}

// The attempt that ends is told with its end, and one that was put off is there too.
func TestHistoryTellsOfTheEnd(t *testing.T) {
	s, d := taken(t)
	j := works(t, s, d, job(0, "a"))
	s.Postpone(j, Postponement{For: schemas.WaitTime, Until: d.now.Add(time.Second)})
	d.turn(t, s)
	if got := endsOf(tell(t, s, j)); !slices.Equal(got, []string{"put_off by w"}) {
		t.Errorf("while it waits: %q", got)
	}
	works0Again(t, s, d, j)
	h := tell(t, s, j)
	if got := endsOf(h); !slices.Equal(got, []string{"put_off by w", "failed by w"}) || h.Attempts != 1 || h.Lost != 0 {
		t.Fatalf("%q of %+v", got, h)
	}
	if last := h.History[1]; last.Attempt != 1 || last.Code != schemas.CodePanic || last.Error != "at last" {
		t.Errorf("the last is %+v", last)
	}
}

// works0Again starts a job that is queued.
func works0Again(t *testing.T, s *Shard, d *desk, j *Job) {
	t.Helper()
	if !s.Begin(j) {
		t.Fatal("the job cannot begin")
	}
	d.turn(t, s)
}

// However many attempts there were and whatever they said, a history is bounded,
// valid, and its last attempt is in it.
func TestHistoryIsBounded(t *testing.T) {
	s, _ := taken(t)
	rapid.Check(t, func(rt *rapid.T) {
		j := job(0, "a")
		text := rapid.OneOf(rapid.StringN(0, 300, -1),
			rapid.SampledFrom([]string{string(make([]byte, 5000)), "\xff\xfe", "é"}))
		for n := range rapid.IntRange(1, 40).Draw(rt, "attempts") {
			e := event(s, j, n+1, schemas.Running)
			e.Worker = text.Draw(rt, "worker")
			j.history.see(fold.Place{}, factsOf(e))
			if rapid.Bool().Draw(rt, "lost") {
				continue
			}
			e.Status, e.Error = schemas.Pending, text.Draw(rt, "error")
			e.Waiting = &schemas.Waiting{For: schemas.WaitRetry}
			j.history.see(fold.Place{}, factsOf(e))
		}
		if len(j.history.earlier) > maxAttempts {
			rt.Fatalf("%d are remembered", len(j.history.earlier))
		}
		j.ran, j.history.ran = fold.State{Epoch: 1, Seq: 1}, fold.State{Epoch: 1, Seq: 1}
		b, err := encodeHistory(j, s.jobs.events.Failed(j, schemas.CodePanic, text.Draw(rt, "end")))
		var h historyHeader
		if err == nil {
			err = json.Unmarshal(b, &h)
		}
		if err != nil || len(b) > maxHistoryBytes || len(h.History) == 0 ||
			h.History[len(h.History)-1].Code != schemas.CodePanic {
			rt.Fatalf("%d bytes, %v: %s", len(b), err, b)
		}
	})
}

// Attempts are counted in a history as everywhere: those that failed and those that
// were lost, and nothing else, whatever the task went through before, in its record of
// the lane and in those of the waiting log, and the same after a take-over.
func TestHistoryCountsWhatFailedAndWasLost(t *testing.T) {
	s, _ := taken(t)
	rapid.Check(t, func(rt *rapid.T) {
		l := &life{s: s, j: job(0, "a")}
		for range rapid.IntRange(0, 60).Draw(rt, "attempts") {
			l.attempt(rt)
		}
		if rapid.Bool().Draw(rt, "ends an attempt") {
			l.record(schemas.Running, "")
			l.j.ran = l.j.history.ran
		}
		l.check(rt, l.j.history)
		again := attemptHistory{}
		for i, e := range l.since {
			again.see(placeOf(i+1), factsOf(e))
		}
		if l.j.delayed != nil {
			again = again.after(l.j.base())
		}
		l.check(rt, again)
	})
}

// placeOf is the place of a record in the journal of one owner.
func placeOf(n int) fold.Place { return fold.Place{After: fold.State{Epoch: 1, Seq: int64(n)}} }

// life is a job and what the journal says of it.
type life struct {
	s      *Shard
	j      *Job
	since  []*schemas.Event // its latest record
	handed int
}

func (l *life) record(status schemas.Status, waits string) {
	number := l.j.history.attempts
	if status == schemas.Running {
		number++
	}
	e := event(l.s, l.j, number, status)
	if waits != "" {
		e.Waiting = &schemas.Waiting{For: waits}
	}
	l.since = append(l.since, e)
	l.j.history.see(placeOf(len(l.since)), factsOf(e))
}

func (l *life) attempt(rt *rapid.T) {
	l.record(schemas.Running, "")
	switch rapid.SampledFrom([]string{"failed", "handed over", "put off", "lost", "waits on"}).Draw(rt, "end") {
	case "failed":
		l.record(schemas.Pending, schemas.WaitRetry)
	case "put off":
		l.record(schemas.Pending, schemas.WaitTime)
	case "handed over":
		l.record(schemas.Pending, "")
		l.handed++
	case "waits on":
		l.j.postponed = &Postponement{For: schemas.WaitTime}
		wait := l.s.jobs.waitOf(l.j)
		next := job(0, "a")
		next.Earlier, next.delayed = wait.History,
			newDelayedTask(fold.State{Epoch: 9, Seq: 9}, next.Identity, wait, nil)
		next.history = next.base()
		l.j, l.since = next, nil
	}
}

func (l *life) check(rt *rapid.T, p attemptHistory) {
	j := *l.j
	j.history, j.Attempt = p, p.attempts
	var h historyHeader
	if b, err := encodeHistory(&j, l.s.jobs.events.Failed(&j, schemas.CodePanic, "at last")); err != nil ||
		json.Unmarshal(b, &h) != nil {
		rt.Fatal(err)
	}
	if h.Attempts != h.Failed+h.Lost || h.HandedOver != min(l.handed, maxHandOvers) {
		rt.Fatalf("%+v after %d hand-overs", h, l.handed)
	}
}
