package demo

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/examples/reviews"
	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/schemas"
)

func someReviews() []reviews.Review {
	return []reviews.Review{
		{ID: "r1", User: "ann", Lang: "de", Sentiment: "positive", Text: "Sehr gut"},
		{ID: "r2", User: "bob", Lang: "en", Sentiment: "negative", Text: "Broken"},
	}
}

func ending(id, user string, status schemas.Status, result string) *schemas.Event {
	return &schemas.Event{
		TaskID: id, UserID: user, Kind: schemas.KindState, Status: status, Result: jsontext.Value(result), Error: "why",
	}
}

// allRight are the events of a demo in which everything goes well.
func allRight() []*schemas.Event {
	return []*schemas.Event{
		ending("r1:language", "ann", schemas.Completed, `{"language":"de"}`),
		ending("r1:sentiment", "ann", schemas.Completed, `{"sentiment":{"label":"positive","score":0.9}}`),
		ending("r2:language", "bob", schemas.Completed, `{"language":"fr"}`),
		ending("r2:sentiment", "bob", schemas.Completed, `{"sentiment":{"label":"neutral","score":0}}`),
	}
}

func TestEveryReviewMakesTwoTasks(t *testing.T) {
	jobs := newJobs(someReviews())
	if len(jobs) != 4 {
		t.Fatalf("%d tasks", len(jobs))
	}
	for _, j := range jobs {
		task, err := j.task()
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := task.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := schemas.DecodeTask(encoded); err != nil {
			t.Errorf("task %s: %v", j.id, err)
		}
	}
}

func TestTallyKnowsWhenAUserIsDone(t *testing.T) {
	tally := newTally(newJobs(someReviews()))
	var done []bool
	for _, e := range allRight() {
		done = append(done, tally.take(e))
	}
	if want := []bool{false, true, false, true}; !equal(done, want) {
		t.Errorf("done %v, want %v", done, want)
	}
	if err := tally.problems(); err != nil {
		t.Error(err)
	}
	if done, total := tally.laneCount("fast"); done != 2 || total != 2 || tally.ended() != 4 {
		t.Errorf("fast %d of %d, %d ended", done, total, tally.ended())
	}
}

func equal(a, b []bool) bool {
	for i := range a {
		if len(a) != len(b) || a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestTallyFindsWhatIsWrong(t *testing.T) {
	for want, change := range map[string]func([]*schemas.Event) []*schemas.Event{
		"1 of 4 tasks have no terminal event": func(e []*schemas.Event) []*schemas.Event { return e[1:] },
		"has ended twice":                     func(e []*schemas.Event) []*schemas.Event { return append(e, e[0]) },
		"r1:language: failed: why": func(e []*schemas.Event) []*schemas.Event {
			e[0].Status = schemas.Failed
			return e
		},
		"whose task it is not": func(e []*schemas.Event) []*schemas.Event {
			return append(e, ending("r1:language", "bob", schemas.Completed, `{}`))
		},
		"no answer": func(e []*schemas.Event) []*schemas.Event {
			e[1].Result = jsontext.Value(`{"language":"de"}`)
			return e
		},
		"read result": func(e []*schemas.Event) []*schemas.Event {
			e[0].Result = jsontext.Value(`[]`)
			return e
		},
	} {
		tally := newTally(newJobs(someReviews()))
		for _, e := range change(allRight()) {
			tally.take(e)
		}
		if err := tally.problems(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	tally := newTally(newJobs(someReviews()))
	for range 1000 {
		tally.take(ending("unknown", "ann", schemas.Completed, `{}`))
	}
	if lines := strings.Count(tally.problems().Error(), "\n"); lines > 12 {
		t.Errorf("%d lines", lines)
	}
}

func TestOutcomeCountsWhatWasWritten(t *testing.T) {
	tally := newTally(newJobs(someReviews()))
	for _, e := range allRight() {
		tally.take(e)
	}
	var out bytes.Buffer
	if err := printOutcome(&out, tally, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"de 1 1 1 0 0 1/1", "en 1 0 0 0 1 0/1", "all 2 1 1 0 1 1/2", "ann 2 2",
		"4 tasks and 4 events in 2.00 s: 2 tasks/s"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if printOutcome(brokenPipe{}, tally, time.Second) == nil {
		t.Error("no error of a broken pipe")
	}
}

func TestBarsPrintEveryTenthOnce(t *testing.T) {
	var out bytes.Buffer
	tally := newTally(newJobs(someReviews()))
	b := newBars(&out, false, tally)
	b.draw()
	for _, e := range allRight() {
		tally.take(e)
		b.draw()
	}
	b.draw()
	for _, lane := range []string{"fast", "heavy"} {
		if got := strings.Count(out.String(), "lane "+lane); got != 10 {
			t.Errorf("lane %s has %d lines:\n%s", lane, got, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("escape sequences for what is no terminal")
	}
}

func TestBarsAreRedrawnOnATerminalUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logtest.Buffer
		tally := newTally(newJobs(someReviews()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			<-time.After(990 * time.Millisecond) // after the last tick
			for _, e := range allRight() {
				tally.take(e)
			}
		}()
		newBars(&out, true, tally).run(ctx)
		if text := out.String(); !strings.HasSuffix(text, "2/2\n") || !strings.Contains(text, "\x1b[2A") {
			t.Errorf("drew %q", text)
		}
	})
}

func TestABarIsAlwaysAsWide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(0, 1000).Draw(t, "total")
		done := rapid.IntRange(0, total).Draw(t, "done")
		text := bar("fast", done, total)
		if inside := strings.IndexByte(text, ']') - strings.IndexByte(text, '['); inside != barWidth+1 {
			t.Fatalf("%q is %d wide", text, inside)
		}
	})
}

// brokenPipe takes nothing.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
