package echo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/schemas"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

// bench runs tasks of the service and keeps what they report.
type bench struct {
	service processor.Service
	attempt int
	events  []*schemas.Event
	report  error // what reports answer
}

func newBench(opts Options) *bench { return &bench{service: New(opts), attempt: 1} }

func (b *bench) run(ctx context.Context, name, input string) (any, error) {
	handler, ok := b.service.Methods[name]
	if !ok {
		handler = b.service.Execute
	}
	task := &schemas.Task{TaskID: "t", UserID: "u", TaskName: name, Mode: Mode, Service: Name,
		InputData: jsontext.Value(input)}
	return handler(ctx, processor.NewContext(task, "fast", b.attempt, func(_ context.Context, e *schemas.Event) error {
		b.events = append(b.events, e)
		return b.report
	}))
}

func TestEchoReturnsItsInput(t *testing.T) {
	for input, want := range map[string]string{
		`{"a": [1, {"b": null}], "ü": "\u00fc"}`: `{"a": [1, {"b": null}], "ü": "\u00fc"}`,
		`{}`:                             `{}`,
		``:                               `{}`,
		`null`:                           `{}`,
		`{"n":12345678901234567890.123}`: `{"n":12345678901234567890.123}`,
	} {
		got, err := newBench(Options{}).run(t.Context(), "echo", input)
		if err != nil || string(got.(jsontext.Value)) != want {
			t.Errorf("%s: got %s, %v", input, got, err)
		}
	}
}

func TestOtherNamesAreAnswered(t *testing.T) {
	got, err := newBench(Options{}).run(t.Context(), "dance", `{"a":1}`)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(wire), `{"echo":{"a":1},"note":"there is no task \"dance\"`) ||
		!strings.Contains(string(wire), "echo, exit, fail, hang, panic, progress, sleep, stream") {
		t.Errorf("got %s", wire)
	}
}

func TestTimesAreKept(t *testing.T) {
	for _, c := range []struct {
		name, input string
		want        time.Duration
	}{
		{"sleep", `{"ms": 1500}`, 1500 * time.Millisecond},
		{"sleep", `{"ms": 0}`, 0},
		{"sleep", `{"ms": 86400000}`, 24 * time.Hour},
		{"hang", `{"ms": 90000}`, 90 * time.Second},
		{"hang", `{}`, time.Hour},
		{"progress", `{"steps": 4, "step_ms": 250}`, time.Second},
		{"stream", `{"pieces": 3, "piece_ms": 100}`, 300 * time.Millisecond},
		{"progress", `{}`, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			if _, err := newBench(Options{}).run(t.Context(), c.name, c.input); err != nil {
				t.Errorf("%s %s: %v", c.name, c.input, err)
			}
			if took := time.Since(start); took != c.want {
				t.Errorf("%s %s took %v, want %v", c.name, c.input, took, c.want)
			}
		})
	}
}

func TestWaitingStopsWithTheContext(t *testing.T) {
	why := errors.New("somebody needs the slot")
	for name, input := range map[string]string{
		"sleep": `{"ms": 60000}`, "progress": `{"steps": 600, "step_ms": 100}`, "stream": `{"pieces": 600, "piece_ms": 100}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(1050*time.Millisecond, func() { cancel(why) })
			start := time.Now()
			b := newBench(Options{})
			_, err := b.run(ctx, name, input)
			if !errors.Is(err, why) || time.Since(start) != 1050*time.Millisecond {
				t.Errorf("%s: got %v after %v", name, err, time.Since(start))
			}
			if name != "sleep" && len(b.events) != 10 {
				t.Errorf("%s: %d reports before the end", name, len(b.events))
			}
		})
	}
}

// Even without any time to wait a task that was cancelled does not go on.
func TestNoWaitStillStops(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(processor.ErrHandedOver)
	for name, input := range map[string]string{"sleep": `{"ms":0}`, "progress": `{"steps":1000000}`,
		"stream": `{"pieces":1000000}`} {
		b := newBench(Options{})
		if _, err := b.run(ctx, name, input); !errors.Is(err, processor.ErrHandedOver) || len(b.events) > 0 {
			t.Errorf("%s: got %v and %d reports", name, err, len(b.events))
		}
	}
}

func TestHangIgnoresTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		got, err := newBench(Options{}).run(ctx, "hang", `{"ms": 5000}`)
		if err != nil || got != (Slept{5000}) || time.Since(start) != 5*time.Second {
			t.Errorf("got %v, %v after %v", got, err, time.Since(start))
		}
	})
}

func TestProgressCountsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.Int64Range(1, 300).Draw(t, "steps")
		b := newBench(Options{})
		got, err := b.run(t.Context(), "progress", fmt.Sprintf(`{"steps": %d}`, steps))
		if err != nil || got != (Progressed{steps}) || int64(len(b.events)) != steps {
			t.Fatalf("got %v, %v and %d reports", got, err, len(b.events))
		}
		last := 0.0
		for i, e := range b.events {
			p := e.Progress
			if e.Kind != schemas.KindProgress || p.Current != int64(i+1) || p.Total != steps || p.Unit != "steps" ||
				p.Percent <= last {
				t.Fatalf("report %d: %+v", i, p)
			}
			last = p.Percent
		}
		if last != 100 {
			t.Fatalf("the last report says %v%%", last)
		}
	})
}

func TestStreamSendsWhatItReturns(t *testing.T) {
	for _, pieces := range []int{1, 7, 10_000} {
		b := newBench(Options{})
		got, err := b.run(t.Context(), "stream", fmt.Sprintf(`{"pieces": %d}`, pieces))
		if err != nil {
			t.Fatal(err)
		}
		var sent strings.Builder
		for i, e := range b.events {
			if e.Kind != schemas.KindOutput || e.Output.Index != int64(i) {
				t.Fatalf("report %d: %+v", i, e.Output)
			}
			sent.WriteString(e.Output.Text)
		}
		r := got.(Streamed)
		if r.Pieces != int64(pieces) || len(b.events) != pieces || len(r.Text) > maxStreamed ||
			!strings.HasPrefix(sent.String(), r.Text) {
			t.Errorf("%d pieces: result %d, %d reports, %d bytes", pieces, r.Pieces, len(b.events), len(r.Text))
		}
		if r.Truncated != (sent.Len() > len(r.Text)) || r.Truncated != (pieces == 10_000) {
			t.Errorf("%d pieces: truncated is %v", pieces, r.Truncated)
		}
	}
}

func TestReportsThatFailEndTheTask(t *testing.T) {
	for _, name := range []string{"progress", "stream"} {
		b := newBench(Options{})
		b.report = errors.New("journal closed")
		if _, err := b.run(t.Context(), name, `{}`); !errors.Is(err, b.report) || len(b.events) != 1 {
			t.Errorf("%s: got %v after %d reports", name, err, len(b.events))
		}
	}
}

func TestFailCountsAttempts(t *testing.T) {
	for _, c := range []struct {
		input     string
		attempt   int
		want      string // "" succeeds
		retryable bool
	}{
		{`{}`, 1, "failed as told", false},
		{`{}`, 99, "failed as told", false},
		{`{"message": "no luck"}`, 1, "no luck", false},
		{`{"message": "no luck", "times": 2, "retryable": true}`, 1, "no luck", true},
		{`{"message": "no luck", "times": 2, "retryable": true}`, 2, "no luck", true},
		{`{"message": "no luck", "times": 2, "retryable": true}`, 3, "", false},
		{`{"times": 0}`, 1, "", false},
		{`{"message": ""}`, 1, "", false},
	} {
		b := newBench(Options{})
		b.attempt = c.attempt
		got, err := b.run(t.Context(), "fail", c.input)
		var retryable *processor.RetryableError
		if errors.As(err, &retryable) != c.retryable {
			t.Errorf("%s, attempt %d: %v, retryable should be %v", c.input, c.attempt, err, c.retryable)
		}
		switch {
		case c.input == `{"message": ""}`:
			if err == nil || err.Error() != "failed as told" {
				t.Errorf("an empty message: got %v", err)
			}
		case c.want == "" && (err != nil || got != (Recovered{c.attempt})),
			c.want != "" && (err == nil || err.Error() != c.want):
			t.Errorf("%s, attempt %d: got %v, %v", c.input, c.attempt, got, err)
		}
	}
}

// TestFailAsAnUpstream: what a provider would have answered, retryable or not.
func TestFailAsAnUpstream(t *testing.T) {
	for _, input := range []string{`{"upstream":{"name":"p","status":429,"kind":"rate_limited"}}`,
		`{"upstream":{"name":"p","status":429,"kind":"rate_limited"},"retryable":true}`} {
		b := newBench(Options{})
		b.attempt = 1
		_, err := b.run(t.Context(), "fail", input)
		var upstream *processor.UpstreamError
		want := schemas.Upstream{Name: "p", Status: 429, Kind: "rate_limited"}
		if !errors.As(err, &upstream) || upstream.Upstream != want || err.Error() != "failed as told" {
			t.Errorf("%s: %+v, %v", input, upstream, err)
		}
	}
}

// TestFailIsRetried as a processor would.
func TestFailIsRetried(t *testing.T) {
	for _, c := range []struct {
		input    map[string]any
		attempts int
		status   schemas.Status
	}{
		{map[string]any{"times": 2, "retryable": true}, 3, schemas.Completed},
		{map[string]any{"times": 2}, 1, schemas.Failed},
		{map[string]any{"retryable": true}, 3, schemas.Failed},
	} {
		o := processortest.Run(t, New(Options{}), processortest.Task("fail", c.input))
		if len(o.Attempts) != c.attempts || o.Status() != c.status {
			t.Errorf("%v: %s after %d attempts", c.input, o.Status(), len(o.Attempts))
		}
	}
}

func TestPanicPanics(t *testing.T) {
	for input, want := range map[string]string{`{}`: "panicked as told", `{"message": "boom"}`: "boom"} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("%s: recovered %v", input, got)
				}
			}()
			_, err := newBench(Options{}).run(t.Context(), "panic", input)
			t.Errorf("%s: no panic, %v", input, err)
		}()
	}
}

func TestExitEndsTheProcess(t *testing.T) {
	for _, c := range []struct {
		input   string
		attempt int
		want    []int
	}{
		{`{}`, 1, []int{1}}, {`{}`, 7, []int{1}}, {`{"code": 0}`, 1, []int{0}}, {`{"code": 137, "times": 2}`, 2, []int{137}},
		{`{"times": 2}`, 3, nil},
	} {
		var codes []int
		b := newBench(Options{Exit: func(code int) { codes = append(codes, code) }})
		b.attempt = c.attempt
		got, err := b.run(t.Context(), "exit", c.input)
		if !slices.Equal(codes, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s, attempt %d: exits %v, result %v, %v", c.input, c.attempt, codes, got, err)
		}
	}
}

func TestWrongInputSaysWhatToSend(t *testing.T) {
	for _, c := range []struct{ name, input, want string }{
		{"sleep", `{}`, "input_data.ms is missing"},
		{"sleep", `{"ms": -1}`, "input_data.ms is -1; send a whole number from 0 to 86400000"},
		{"sleep", `{"ms": 86400001}`, "from 0 to 86400000"},
		{"sleep", `{"ms": "1"}`, "ms"},
		{"sleep", `{"ms": 1.5}`, "ms"},
		{"sleep", `{"ms": 1e30}`, "ms"},
		{"hang", `{"ms": -1}`, "from 0"},
		{"progress", `{"steps": 0}`, "input_data.steps is 0; send a whole number from 1 to 1000000"},
		{"progress", `{"steps": 1000001}`, "from 1"},
		{"progress", `{"step_ms": -5}`, "input_data.step_ms"},
		{"stream", `{"pieces": 0}`, "input_data.pieces"},
		{"stream", `{"piece_ms": 99999999}`, "input_data.piece_ms"},
		{"fail", `{"times": -1}`, "input_data.times"},
		{"fail", `{"message": 5}`, "message"},
		{"fail", `{"retryable": "yes"}`, "retryable"},
		{"panic", `{"message": []}`, "message"},
		{"exit", `{"code": 256}`, "input_data.code is 256; send a whole number from 0 to 255"},
		{"exit", `[1]`, "input_data"},
	} {
		b := newBench(Options{Exit: func(int) { t.Error("exit was called") }})
		got, err := b.run(t.Context(), c.name, c.input)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "for example {") {
			t.Errorf("%s %s: got %v, %v, want %q in it", c.name, c.input, got, err, c.want)
		}
	}
}

func FuzzInput(f *testing.F) {
	for _, s := range []string{`{}`, `{"ms": 5, "steps": 1}`, `{"times": -1}`, `{"ms": 1e999}`, `[`, `{"code": null}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		task := &schemas.Task{InputData: jsontext.Value(s)}
		var in input
		handler := method(`{}`, func(_ context.Context, _ *processor.Context, decoded input) (int, error) {
			in = decoded
			return 0, nil
		})
		_, err := handler(t.Context(), processor.NewContext(task, "fast", 1, nil))
		if err == nil && (or(in.MS, 0) < 0 || or(in.Steps, 1) < 1 || or(in.Pieces, 1) > maxCount || or(in.Code, 0) > 255) {
			t.Fatalf("%s was taken: %+v", s, in)
		}
	})
}
