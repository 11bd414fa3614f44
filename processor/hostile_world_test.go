package processor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// faulty is what a service makes that does something bad in one of its methods,
// whoever asks: an error, a result, a value to panic with.
type faulty struct {
	in string // the method
	do func()
}

func (f *faulty) at(method string) {
	if f.in == method {
		f.do()
	}
}

func (f *faulty) Error() string                { f.at("Error"); return "faulty" }
func (f *faulty) String() string               { f.at("String"); return "faulty" }
func (f *faulty) Unwrap() error                { f.at("Unwrap"); return nil }
func (f *faulty) Is(error) bool                { f.at("Is"); return false }
func (f *faulty) As(any) bool                  { f.at("As"); return false }
func (f *faulty) MarshalJSON() ([]byte, error) { f.at("MarshalJSON"); return []byte("1"), nil }
func (f *faulty) MarshalText() ([]byte, error) { f.at("MarshalText"); return []byte("1"), nil }

// joined is an error with several inside, which it may not want to show.
type joined struct{ *faulty }

func (j *joined) Unwrap() []error { j.at("Unwrap"); return nil }

// TestNothingOfAServiceIsAskedOutside: whatever a service makes, and whatever that does
// when it is asked for its text, its marks or its JSON, is the end of one attempt: in
// the time limit, with its neighbours alive, and never again after.
func TestNothingOfAServiceIsAskedOutside(t *testing.T) {
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	does := map[string]func(){
		"panics": func() { panic("oh no") }, "exits": runtime.Goexit, "blocks": func() { <-forever },
		"panics badly":        func() { panic(&faulty{in: "Error", do: func() { panic("again") }}) },
		"panics with an exit": func() { panic(&faulty{in: "Error", do: runtime.Goexit}) },
	}
	returns := map[string]func(f *faulty) (any, error){
		"error":           func(f *faulty) (any, error) { return nil, f },
		"joined":          func(f *faulty) (any, error) { return nil, &joined{f} },
		"wrapped":         func(f *faulty) (any, error) { return nil, fmt.Errorf("wrapped: %w", f) },
		"retryable":       func(f *faulty) (any, error) { return nil, processor.Retryable(f) },
		"permanent":       func(f *faulty) (any, error) { return nil, processor.Permanent(f) },
		"errors":          func(f *faulty) (any, error) { return nil, errors.Join(errors.New("one"), f) },
		"panic":           func(f *faulty) (any, error) { panic(f) },
		"panicked":        func(f *faulty) (any, error) { return nil, &processor.PanicError{Value: f} },
		"result":          func(f *faulty) (any, error) { return f, nil },
		"result in a map": func(f *faulty) (any, error) { return map[string]any{"a": []any{f}}, nil },
		"key of a map":    func(f *faulty) (any, error) { return map[*faulty]int{f: 1}, nil },
	}
	methods := map[string]processor.Handler{"double": double}
	var names []string
	for what, made := range returns {
		for how, do := range does {
			for _, method := range []string{"Error", "String", "Unwrap", "Is", "As", "MarshalJSON", "MarshalText"} {
				name := fmt.Sprintf("%s %s in %s", what, how, method)
				names = append(names, name)
				methods[name] = func(context.Context, *processor.Context) (any, error) { return made(&faulty{method, do}) }
			}
		}
	}
	w := newWorld(t)
	stop := w.start(func(c *processor.Config) { c.Lanes[0].Slots = 64 }, handlers(methods))
	var tasks [][]byte
	for n, name := range names {
		tasks = append(tasks, task(fmt.Sprint("n", n), name, `"time_limit_ms":1000`, `"retry":{"max_attempts":1}`),
			task(fmt.Sprint("d", n), "double"))
	}
	w.send(schemas.LaneFast, tasks...)
	for n, name := range names {
		checkHostile(t, name, w.end(fmt.Sprint("n", n)))
		if end := w.end(fmt.Sprint("d", n)); end.Status != schemas.Completed {
			t.Errorf("beside %q a task ended %s: %s", name, end.Status, end.Error)
		}
	}
	stop()
	if runs := strings.Count(strings.Join(names, "\n"), "\n") + 1; runs != len(returns)*len(does)*7 {
		t.Errorf("%d were tried", runs)
	}
}

// checkHostile wants an end that says what happened. Which methods are asked is not
// looked at; only that what happens there has an end.
func checkHostile(t *testing.T, name string, end *schemas.Event) {
	t.Helper()
	switch {
	case end.Status == schemas.Completed:
	case end.Status == schemas.TimedOut && end.ErrorCode == schemas.CodeTimeLimit && strings.Contains(name, "blocks"):
	case end.Status == schemas.Failed && end.Error != "" &&
		(end.ErrorCode == schemas.CodePanic || end.ErrorCode == schemas.CodeServiceError):
	default:
		t.Errorf("%q ended %s %s %q", name, end.Status, end.ErrorCode, end.Error)
	}
}

// brokenError is an error whose text needs its pointer.
type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }

// A nil pointer in an error's place is told as what it is.
func TestTypedNilError(t *testing.T) {
	w := newWorld(t)
	w.start(nil, handlers(map[string]processor.Handler{
		"nil":       func(context.Context, *processor.Context) (any, error) { var e *brokenError; return 4, e },
		"retryable": func(context.Context, *processor.Context) (any, error) { var e *processor.RetryableError; return 4, e },
		"empty":     func(context.Context, *processor.Context) (any, error) { return 4, &processor.RetryableError{} },
	}))
	w.send(schemas.LaneFast, task("n", "nil"), task("r", "retryable"), task("e", "empty", `"retry":{"max_attempts":1}`))
	if end := w.end("n"); end.ErrorCode != schemas.CodePanic ||
		!strings.Contains(end.Error, "*processor_test.brokenError") || !strings.Contains(end.Error, "return nil") {
		t.Errorf("ended %s %s %q", end.Status, end.ErrorCode, end.Error)
	}
	if end := w.end("r"); end.ErrorCode != schemas.CodePanic {
		t.Errorf("ended %s %s %q", end.Status, end.ErrorCode, end.Error)
	}
	if end := w.end("e"); end.ErrorCode != schemas.CodeServiceError || !strings.Contains(end.Error, "no text") {
		t.Errorf("ended %s %s %q", end.Status, end.ErrorCode, end.Error)
	}
}

// What a handler does to its task reaches nothing: not the events, nor the dead letter, nor the
// next attempt.
func TestAHandlerCannotChangeWhatItGaveAway(t *testing.T) {
	w := newWorld(t)
	w.start(nil, handlers(map[string]processor.Handler{
		"spoils": func(_ context.Context, c *processor.Context) (any, error) {
			given := c.Task()
			if string(given.InputData) != `{"a":1}` || given.Labels["k"] != "v" {
				return nil, processor.Permanent(fmt.Errorf("it was given %s and %v", given.InputData, given.Labels))
			}
			copy(given.InputData, `{"b":666}`)
			given.UserID, given.TaskID, given.TaskName = "mallory", "other", "other"
			given.Labels["k"] = "spoilt"
			*given.Retry.MaxAttempts = 100
			return nil, processor.Retryable(errors.New("again"))
		},
	}))
	w.send(schemas.LaneFast, task("s", "spoils", `"input_data":{"a":1}`, `"labels":{"k":"v"}`,
		`"retry":{"max_attempts":3,"backoff_ms":1}`))
	if end := w.end("s"); end.UserID != "user-1" || end.Task != "spoils" || end.Attempt != 3 ||
		!strings.Contains(end.Error, "again") {
		t.Errorf("ended %+v", end)
	}
	w.until("the letter", func() bool { return len(w.letters) == 1 })
	if letter := string(w.letters[0].Value); !strings.Contains(letter, `"input_data":{"a":1}`) {
		t.Errorf("the dead letter is %s", letter)
	}
}

// An attempt that is over reports nothing, also while the next one runs.
func TestAnOldAttemptReportsNothing(t *testing.T) {
	w := newWorld(t)
	second, told := make(chan struct{}), make(chan error, 1)
	w.start(nil, handlers(map[string]processor.Handler{"twice": func(_ context.Context, c *processor.Context) (any,
		error) {
		if c.Attempt() == 1 {
			go func() {
				<-second
				told <- c.Output(context.Background(), "from the first")
			}()
			return nil, processor.Retryable(errors.New("again"))
		}
		close(second)
		select {
		case err := <-told:
			return fmt.Sprint(err), nil
		case <-time.After(deadline):
			return nil, errors.New("it reports for ever")
		}
	}}))
	w.send(schemas.LaneFast, task("t", "twice", `"retry":{"backoff_ms":1}`))
	if end := w.end("t"); !strings.Contains(string(end.Result), "ended") {
		t.Errorf("ended %s with %s: %s", end.Status, end.Result, end.Error)
	}
	for _, e := range w.history("t") {
		if e.Kind == schemas.KindOutput {
			t.Errorf("the first attempt's output counts as attempt %d's", e.Attempt)
		}
	}
}
