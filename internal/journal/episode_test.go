package journal

import (
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// tell is what the letter of a job says that ends as failed.
func tell(t *testing.T, s *Shard, j *Job) attempts {
	t.Helper()
	if j.Payload == nil {
		j.Payload = &Delivery{}
	}
	b, err := history(j, s.FailedEvent(j, schemas.CodePanic, "at last"))
	var h attempts
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func endsOf(h attempts) (ends []string) {
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
	s.Postpone(j, Postponement{For: schemas.WaitRetry, Until: d.now.Add(time.Second), Error: "busy", ErrorCode: schemas.CodeServiceError})
	d.turn(t, s)
	z := &zombie{t: t, s: s, epoch: s.own.Epoch + 50}
	for n, r := range d.records[:d.counted] {
		z.logged = append(z.logged, entry(t, int64(n), r))
	}
	z.write(nil)
	z.write(event(s, j, 2, schemas.Running)) // lost
	z.write(event(s, j, 3, schemas.Running))
	z.write(event(s, j, 3, schemas.Pending)) // handed over
	z.retake(d)
	if got, want := endsOf(tell(t, s, j)), []string{"failed by w", "lost by zombie", "handed_over by zombie"}; !slices.Equal(got, want) {
		t.Fatalf("after the take-over: %q, want %q", got, want)
	}
	if e := j.past.episodes[0]; e.Attempt != 1 || e.Error != "busy" || e.Code != schemas.CodeServiceError || e.Started.IsZero() || e.Ended.IsZero() {
		t.Errorf("the first is %+v", e)
	}
	if e := j.past.episodes[1]; e.Attempt != 2 || !e.Ended.IsZero() {
		t.Errorf("the lost one is %+v", e)
	}
	j.postponed = &Postponement{For: schemas.WaitRetry, Error: "again", ErrorCode: schemas.CodeServiceError}
	b, err := s.waitOf(j).encode()
	if err != nil {
		t.Fatal(err)
	}
	wait, err := decodeWait(b)
	if err != nil || len(wait.History) != 3 {
		t.Fatalf("the waiting record has the history %+v, %v", wait.History, err)
	}
	next := job(0, "a")
	next.earlier, next.waiter = wait.History, newWaiter(State{9, 9}, next.Identity, wait, nil)
	next.past = next.base()
	next.past.see(place{}, factsOf(event(s, next, 4, schemas.Running)))
	h := tell(t, s, next)
	if got, want := endsOf(h), []string{"failed by w", "lost by zombie", "handed_over by zombie", "lost by zombie"}; !slices.Equal(got, want) || h.Lost != 2 {
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
		j.Payload = &Delivery{}
		text := rapid.OneOf(rapid.StringN(0, 300, -1), rapid.SampledFrom([]string{string(make([]byte, 5000)), "\xff\xfe", "é"}))
		for n := range rapid.IntRange(1, 40).Draw(rt, "attempts") {
			e := event(s, j, n+1, schemas.Running)
			e.Worker = text.Draw(rt, "worker")
			j.past.see(place{}, factsOf(e))
			if rapid.Bool().Draw(rt, "lost") {
				continue
			}
			e.Status, e.Error = schemas.Pending, text.Draw(rt, "error")
			e.Waiting = &schemas.Waiting{For: schemas.WaitRetry}
			j.past.see(place{}, factsOf(e))
		}
		if len(j.past.episodes) > maxEpisodes {
			rt.Fatalf("%d are remembered", len(j.past.episodes))
		}
		j.begun = true
		b, err := history(j, s.FailedEvent(j, schemas.CodePanic, text.Draw(rt, "end")))
		var h attempts
		if err == nil {
			err = json.Unmarshal(b, &h)
		}
		if err != nil || len(b) > maxHistoryBytes || len(h.History) == 0 || h.History[len(h.History)-1].Code != schemas.CodePanic {
			rt.Fatalf("%d bytes, %v: %s", len(b), err, b)
		}
	})
}
