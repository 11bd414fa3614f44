package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/examples/reviews"
	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/schemas"
)

// analyzer answers as its reviewer wrote, by the text.
type analyzer map[string]reviews.Review

func newAnalyzer(t *testing.T) analyzer {
	t.Helper()
	all, err := reviews.All()
	if err != nil {
		t.Fatal(err)
	}
	a := make(analyzer, len(all))
	for _, r := range all {
		a[r.Text] = r
	}
	return a
}

func (a analyzer) review(task *clienttest.Task) (reviews.Review, error) {
	var input struct {
		Text string `json:"text"`
	}
	err := task.Input(&input)
	return a[input.Text], err
}

func (a analyzer) language(_ context.Context, task *clienttest.Task) (any, error) {
	r, err := a.review(task)
	return map[string]any{"language": r.Lang}, err
}

func (a analyzer) sentiment(_ context.Context, task *clienttest.Task) (any, error) {
	r, err := a.review(task)
	label := r.Sentiment
	if label == "" {
		label = "neutral"
	}
	return map[string]any{"sentiment": map[string]any{"label": label, "score": 0.5}}, err
}

// installation is one in memory with such an analyzer.
func installation(t *testing.T) (*clienttest.Server, analyzer) {
	t.Helper()
	s, a := clienttest.New(t), newAnalyzer(t)
	s.Handle("detect_language", a.language)
	s.Handle("analyze_sentiment", a.sentiment)
	return s, a
}

func TestRunIsComplete(t *testing.T) {
	s, a := installation(t)
	var out logtest.Buffer
	if err := Run(t.Context(), s.Client(), &out, false); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Tasks()); n != 2*len(a) {
		t.Errorf("%d tasks of %d reviews", n, len(a))
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"lane fast 100%", "lane heavy 100%", fmt.Sprintf("all %d %d ", len(a), len(a)), fmt.Sprintf("%d tasks and", 2*len(a)),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	lanes := make(map[string]int)
	for _, task := range s.Tasks() {
		if task.UserID == "" || task.Mode != "chat" || task.Service != "text_analyzer" {
			t.Fatalf("task %+v", task)
		}
		lanes[task.TaskName]++
	}
	if lanes["detect_language"] != len(a) || lanes["analyze_sentiment"] != len(a) {
		t.Errorf("tasks %v", lanes)
	}
}

// On a terminal the bars are redrawn in place, and stand complete in the end.
func TestRunOnATerminal(t *testing.T) {
	s, a := installation(t)
	release := make(chan struct{})
	s.Handle("analyze_sentiment", func(ctx context.Context, task *clienttest.Task) (any, error) {
		<-release
		return a.sentiment(ctx, task)
	})
	var out logtest.Buffer
	ended := make(chan error, 1)
	go func() { ended <- Run(t.Context(), s.Client(), &out, true) }()
	out.Await(t, time.Minute, "\x1b[2A") // drawn twice
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, lane := range []string{"fast ", "heavy"} {
		full := fmt.Sprintf("lane %s  [%s] %4d/%d\n", lane, strings.Repeat("#", barWidth), len(a), len(a))
		if !strings.Contains(out.String(), full) {
			t.Errorf("no %q in %q", full, out.String())
		}
	}
}

// What goes wrong is named, and ends the demo with an error, after the outcome.
func TestRunTellsWhatWentWrong(t *testing.T) {
	for want, answer := range map[string]clienttest.Handler{
		"out of memory": func(context.Context, *clienttest.Task) (any, error) {
			return nil,
				errors.New("out of memory")
		},
		"its result has no answer": func(context.Context, *clienttest.Task) (any, error) { return map[string]any{}, nil },
		"read result":              func(context.Context, *clienttest.Task) (any, error) { return []int{1}, nil },
		"the service panicked":     func(context.Context, *clienttest.Task) (any, error) { panic("broken") },
	} {
		s, _ := installation(t)
		s.Handle("detect_language", answer)
		var out logtest.Buffer
		err := Run(t.Context(), s.Client(), &out, false)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "more") {
			t.Errorf("error %v, want %q", err, want)
		}
		if !strings.Contains(out.String(), "tasks/s") {
			t.Errorf("no outcome:\n%s", out.String())
		}
	}
}

// The demo lives through a server that is away for a moment.
func TestRunThroughTrouble(t *testing.T) {
	s, _ := installation(t)
	s.Refuse(503, 502, 503, 504, 503)
	var out logtest.Buffer
	if err := Run(t.Context(), s.Client(), &out, false); err != nil {
		t.Error(err)
	}
}

// Whoever ends it hears how far it was; nothing goes on afterwards.
func TestRunIsInterrupted(t *testing.T) {
	s, a := installation(t)
	errLate := errors.New("the demo took too long")
	s.Handle("analyze_sentiment", func(ctx context.Context, _ *clienttest.Task) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, errLate)
	defer cancel()
	var out logtest.Buffer
	err := Run(ctx, s.Client(), &out, false)
	if !errors.Is(err, errLate) || !strings.Contains(err.Error(), fmt.Sprintf("of %d tasks have ended", 2*len(a))) {
		t.Errorf("error %v", err)
	}
	if strings.Contains(out.String(), "tasks/s") {
		t.Error("an outcome of half a demo")
	}
}

// A server that refuses for good ends it at once.
func TestRunIsRefused(t *testing.T) {
	s, _ := installation(t)
	s.Refuse(slices.Repeat([]int{403}, 1000)...)
	var out logtest.Buffer
	if err := Run(t.Context(), s.Client(), &out, false); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("error %v", err)
	}
}

// In whatever order events come: what is counted is what ended, each task once.
func TestTallyCountsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.Permutation(allRight()).Draw(t, "order")
		lost := rapid.IntRange(0, len(events)).Draw(t, "lost")
		tally := newTally(newJobs(someReviews()))
		done := make(map[string]bool)
		for _, e := range events[lost:] {
			tally.take(&schemas.Event{TaskID: e.TaskID, UserID: e.UserID, Kind: schemas.KindState, Status: schemas.Running})
			done[e.UserID] = tally.take(e)
		}
		if tally.ended() != len(events)-lost || tally.events != 2*(len(events)-lost) {
			t.Fatalf("%d ended of %d, %d events", tally.ended(), len(events)-lost, tally.events)
		}
		if (tally.problems() == nil) != (lost == 0) || (done["ann"] && done["bob"]) != (lost == 0) {
			t.Fatalf("%d lost: %v, done %v", lost, tally.problems(), done)
		}
		sum := 0
		for _, lane := range tally.lanes() {
			ended, total := tally.laneCount(lane)
			if sum += ended; ended > total {
				t.Fatalf("lane %s has %d of %d", lane, ended, total)
			}
		}
		if sum != tally.ended() {
			t.Fatalf("the lanes have %d, all %d", sum, tally.ended())
		}
	})
}

// A lane is at a tenth when so many tasks have ended that the bar's line says, and
// not one earlier.
func TestTenthsAreReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 100_000).Draw(t, "total")
		tenth := rapid.IntRange(1, 10).Draw(t, "tenth")
		least := tenthOf(total, tenth)
		if 10*least < tenth*total || 10*(least-1) >= tenth*total || least > total {
			t.Fatalf("%d tenths of %d are %d", tenth, total, least)
		}
	})
}

// Every user of the reviews is watched, each once, and every lane has a bar.
func TestTallyNamesUsersAndLanes(t *testing.T) {
	tally := newTally(newJobs(append(someReviews(), someReviews()[0])))
	if users, lanes := tally.users(), tally.lanes(); !slices.Equal(users, []string{"ann", "bob"}) ||
		!slices.Equal(lanes, []string{"fast", "heavy"}) {
		t.Errorf("users %v, lanes %v", users, lanes)
	}
}
