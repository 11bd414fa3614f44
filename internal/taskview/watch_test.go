package taskview

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

func piece(user, id string, n int) schemas.Event {
	e := state(user, id, schemas.Running, 1)
	e.Kind, e.Output = schemas.KindOutput, &schemas.Output{Index: int64(n), Text: fmt.Sprint(n)}
	return e
}

// follow reads a watch to the task's end and gives what it has seen.
func follow(ctx context.Context, w *Watch, pause func()) ([]string, error) {
	var seen []string
	last := int64(-1)
	for {
		events, err := w.Next(ctx)
		if err != nil {
			return seen, err
		}
		for _, e := range events {
			if e.Offset <= last {
				return seen, fmt.Errorf("offset %d after %d", e.Offset, last)
			}
			last = e.Offset
			switch {
			case e.Output != nil:
				seen = append(seen, e.Output.Text)
			default:
				seen = append(seen, string(e.Status))
			}
			if e.Terminal() {
				return seen, nil
			}
		}
		pause()
	}
}

// Whenever a watch begins, and however slowly it is read, it sees every event once and in
// order: those that are stored, those on their way to the database and those that come.
func TestWatchesSeeEverythingOnce(t *testing.T) {
	b := newBench(t)
	v, _ := b.start(b.config(t.TempDir()))
	const pieces = 700 // more than a page and more than a watch holds
	b.passed(v, b.task("fast", 0, taskJSON("ada", "t1")))
	task := b.get(v, "ada", "t1")

	type outcome struct {
		seen []string
		err  error
	}
	outcomes := make(chan outcome, 16)
	begun := 0
	begin := func(slow bool) {
		w, err := v.Watch(&task)
		if err != nil {
			t.Fatal(err)
		}
		begun++
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience) // all of the test's events
		t.Cleanup(cancel)
		go func() {
			gate := make(chan struct{})
			pause := func() {}
			if slow { // until the rest has been applied: its queue runs over
				go func() { defer close(gate); _, _ = v.Wait(ctx, task.Key()) }()
				pause = func() { <-gate }
			}
			seen, err := follow(ctx, w, pause)
			w.Close() // before it is told: what is left is counted then
			outcomes <- outcome{seen, err}
		}()
	}
	begin(false)
	begin(true)
	b.event("fast", 0, state("ada", "t1", schemas.Running, 1))
	want := []string{"running"}
	for n := range pieces {
		if n == pieces/3 || n == pieces/2 {
			begin(false)
			begin(true)
		}
		b.event("fast", 0, piece("ada", "t1", n))
		if n%50 == 0 {
			b.event("fast", 0, piece("ada", "other", n))
		}
		want = append(want, fmt.Sprint(n))
	}
	b.event("fast", 0, completed("ada", "t1", `{"ok":true}`))
	want = append(want, "completed")
	b.wait(v, "ada", "t1")
	begin(false)
	for range begun {
		got := <-outcomes
		if got.err != nil || len(got.seen) != len(want) {
			t.Fatalf("saw %d events, want %d: %v", len(got.seen), len(want), got.err)
		}
		for i := range want {
			if got.seen[i] != want[i] {
				t.Fatalf("event %d is %s, want %s", i, got.seen[i], want[i])
			}
		}
	}
	if n := v.watches.count.Load(); n != 0 || len(v.watches.byRun) != 0 {
		t.Errorf("%d watches are left", n)
	}
}

func TestWatchGoesOnAfterAnOffset(t *testing.T) {
	b := newBench(t)
	v, _ := b.start(b.config(""))
	b.passed(v, b.task("fast", 1, taskJSON("ada", "t1")))
	task := b.get(v, "ada", "t1")
	for n := range 10 {
		b.event("fast", 1, piece("ada", "t1", n))
	}
	b.event("fast", 1, completed("ada", "t1", `1`))
	b.wait(v, "ada", "t1")
	w, err := v.Watch(&task)
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.Next(bounded(t))
	w.Close()
	if err != nil || len(all) != 11 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	w, err = v.WatchAfter(&task, all[6].Offset)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	rest, err := follow(bounded(t), w, func() {})
	if err != nil || len(rest) != 4 || rest[0] != "7" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestWatchEndsWithItsCaller(t *testing.T) {
	b := newBench(t)
	v, _ := b.start(b.config(""))
	b.passed(v, b.task("fast", 0, taskJSON("ada", "t1")))
	task := b.get(v, "ada", "t1")
	w, err := v.Watch(&task)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	why := errors.New("the client is gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if events, err := w.Next(ctx); !errors.Is(err, why) || len(events) > 0 {
		t.Errorf("%v, %v", events, err)
	}
	w.fail(&LostError{Why: "deleted"})
	var lost *LostError
	if _, err := w.Next(bounded(t)); !errors.As(err, &lost) || lost.Why != "deleted" {
		t.Errorf("%v", err)
	}
}

// Offers, overflows and reads in any order leave nothing out and double nothing. The
// store is a list here.
func TestWatchQueueByProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &Watch{passed: -1, woken: make(chan struct{}, 1), behind: true}
		var stored []int64 // what has been applied
		var seen []int64
		take := func() {
			events, behind, err := w.take()
			if err != nil {
				t.Fatal(err)
			}
			if behind {
				for _, offset := range stored {
					if offset > w.passed {
						events = append(events, LoggedEvent{Offset: offset})
					}
				}
				if len(events) > 0 {
					w.passed = events[len(events)-1].Offset
				}
			}
			for _, e := range events {
				seen = append(seen, e.Offset)
			}
		}
		for next, steps := int64(0), rapid.IntRange(1, 40).Draw(t, "steps"); steps > 0; steps-- {
			switch rapid.SampledFrom([]string{"offer", "flood", "take", "behind"}).Draw(t, "step") {
			case "offer":
				stored = append(stored, next)
				w.offer(LoggedEvent{Offset: next}, rapid.IntRange(1, maxWatchBytes).Draw(t, "bytes"))
				next++
			case "flood":
				for range maxWatchEvents + 1 {
					stored = append(stored, next)
					w.offer(LoggedEvent{Offset: next}, 1)
					next++
				}
			case "take":
				take()
			case "behind":
				w.fallBehind()
			}
			if len(w.queue) > maxWatchEvents || w.bytes > maxWatchBytes {
				t.Fatalf("%d events and %d bytes are held", len(w.queue), w.bytes)
			}
		}
		take()
		if len(seen) != len(stored) {
			t.Fatalf("saw %d of %d", len(seen), len(stored))
		}
		for i := range seen {
			if seen[i] != stored[i] {
				t.Fatalf("place %d has %d, want %d", i, seen[i], stored[i])
			}
		}
	})
}
