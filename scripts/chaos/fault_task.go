package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/badtasks"
	"github.com/aiecs/tasklane/scripts/program"
)

func taskFaults() []fault {
	return []fault{
		{
			name: "poison", does: "records that are not JSON, of wrong types, too large, too deep, bad UTF-8, tombstones",
			evidence: "dead letters", run: runPoison,
		},
		{
			name: "unknown", does: "tasks of services that nobody has",
			evidence: "tasks that failed with unknown_service",
			run:      burst("failed unknown_service", task{name: "x", service: "nobody"}),
		},
		{
			name: "expired", does: "tasks that have expired",
			evidence: "tasks that were cancelled with expired",
			run:      burst("cancelled expired", task{name: "echo", more: map[string]any{"expires_at": "2020-01-01T00:00:00Z"}}),
		},
		{
			name: "hang", does: "services that ignore their context",
			evidence: "tasks that timed out at the hard limit",
			run: burst("timed_out time_limit", task{name: "hang", input: map[string]any{"ms": 3000},
				more: map[string]any{"time_limit_ms": 300}}),
		},
		{
			name: "panic", does: "services that panic",
			evidence: "tasks that failed with panic", run: burst("failed panic", task{name: "panic"}),
		},
		{
			name: "flood", does: "services that flood their output",
			evidence: "output events that count", run: burst("output",
				task{name: "stream", input: map[string]any{"pieces": 500}}),
		},
		{
			name: "fail", does: "services that fail and say that another attempt may help",
			evidence: "tasks that failed, or wait for another attempt", run: runFail,
		},
		{
			name: "exit", does: "a service that ends its process, once or at every attempt",
			evidence: "processors that ended by themselves", run: runExit,
		},
		{
			name: "clocks", does: "records whose senders' clocks are years off, in both directions",
			evidence: "such tasks that ended", run: runClocks,
		},
		{
			name: "twice", does: "tasks that are sent twice",
			evidence: "tasks that were recorded as received before", run: runTwice,
		},
		{
			name: "unique", does: "tasks with the same content: at once, and when the first has been completed or has failed",
			evidence: "tasks that ended as duplicates", run: runUnique,
		},
		{
			name: "waits", does: "tasks that must not run before their time",
			evidence: "tasks that waited for their time", run: runWaits,
			needs: func(c *config) string { return unless(c.delays, "-delays") },
		},
		{
			name: "cancel", does: "cancellations before, while and after a task runs",
			evidence: "tasks that were cancelled", run: runCancel,
			needs: func(c *config) string { return unless(c.cancels, "-cancels") },
		},
	}
}

// burst sends some tasks of a kind, waits until they have ended and counts what
// the book has seen of them.
func burst(evidence string, of task) func(context.Context, *arena, *rand.Rand) (int, error) {
	return func(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
		before := a.book.count(evidence)
		if err := a.sendAndWait(ctx, several(random, 10+random.IntN(20), of)); err != nil {
			return 0, err
		}
		return a.book.count(evidence) - before, nil
	}
}

// sendAndWait sends tasks and waits for their ends.
func (a *arena) sendAndWait(ctx context.Context, tasks []task) error {
	a.load.send(tasks...)
	return a.waitEnds(ctx, tasks, time.Minute)
}

func (a *arena) waitEnds(ctx context.Context, tasks []task, within time.Duration) error {
	left := 0
	if program.Until(ctx, within, func() bool {
		left = 0
		for _, t := range tasks {
			if !a.book.ended(t.key()) {
				left++
			}
		}
		return left == 0
	}) {
		return nil
	}
	return fmt.Errorf("%d of %d tasks %s have not ended after %v", left, len(tasks), tasks[0].name, within)
}

func runPoison(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	before := a.book.count("letters")
	cases := badtasks.All()
	random.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	user := fmt.Sprintf("bad-%08x", random.Uint32())
	for i, bad := range cases[:min(len(cases), 150)] {
		// Users and ids of their own: a second burst is no repeat of the first, which
		// may have left the window in which repeats are recognised.
		names := strings.NewReplacer(badtasks.UserID, user, badtasks.TaskID(bad.Name)+`"`,
			badtasks.TaskID(bad.Name)+"-"+user+`"`)
		a.load.raw(lanes()[i%2], []byte(names.Replace(string(bad.Value))))
	}
	a.load.raw("fast", nil)
	a.load.raw("heavy", []byte{})
	if !program.Until(ctx, 20*time.Second, func() bool { return a.book.count("letters") > before+20 }) {
		a.note("of 150 poisonous records %d came to the dead letters within 20 s", a.book.count("letters")-before)
	}
	return a.book.count("letters") - before, a.sendAndWait(ctx, several(random, 10, task{name: "echo"}))
}

func runFail(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	seen := func() int { return a.book.count("waiting retry") + a.book.count("failed service_error") }
	before := seen()
	input := map[string]any{"retryable": true, "times": 1 + random.IntN(4)}
	more := map[string]any{"retry": map[string]any{"max_attempts": 3, "backoff_ms": 200}}
	err := a.sendAndWait(ctx, several(random, 20, task{name: "fail", input: input, more: more}))
	return seen() - before, err
}

// runExit sends one task that ends its process once and one that always does. Tasks
// that lost attempts to what was done before have fewer left, and are not looked at.
func runExit(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	before, again := a.unasked(), a.book.startedAgain()
	convicted := a.book.convicted(again)
	tasks := several(random, 1, task{name: "exit", input: map[string]any{"times": 1}})
	tasks = append(tasks, several(random, 1, task{name: "exit"})...)
	a.load.send(tasks...)
	done := program.Until(ctx, 20*a.config.session,
		func() bool { return a.book.ended(tasks[0].key()) && a.book.ended(tasks[1].key()) })
	if !done {
		a.note("tasks that end their process have not ended after %v", 20*a.config.session)
	}
	if n := a.book.convicted(again) - convicted; n > 1 {
		a.note("%d tasks were given up as worker_lost, and one of them at most ends its process", n)
	}
	return a.unasked() - before, nil
}

func (a *arena) unasked() int {
	count := 0
	for _, w := range a.workers {
		count += w.ended()
	}
	return count
}

func runClocks(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	tasks := several(random, 40, task{name: "echo"})
	for i := range tasks {
		days := 365 * (1 + random.IntN(40)) * (2*(i%2) - 1)
		tasks[i].clock = time.Duration(days) * 24 * time.Hour
	}
	return len(tasks), a.sendAndWait(ctx, tasks)
}

func runTwice(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	before := a.book.count("repeat")
	tasks := several(random, 20, task{name: "sleep", input: map[string]any{"ms": 200}})
	a.load.send(tasks...)
	a.load.send(tasks[:10]...) // while they wait or run
	if err := a.sendAndWait(ctx, tasks[10:]); err != nil {
		return 0, err
	}
	a.load.send(tasks...) // after their end
	program.Until(ctx, 10*time.Second, func() bool { return a.book.count("repeat") >= before+40 })
	return a.book.count("repeat") - before, nil
}

// runUnique sends two tasks of each content at once and a third when those have
// ended. Half of the first ones fail, which lets another run.
func runUnique(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	before := a.book.count("cancelled duplicate")
	first := several(random, 20, task{name: "sleep", input: map[string]any{"ms": 300}})
	rivals := [3][]task{}
	for i, t := range first {
		t.more = map[string]any{"unique": unique("content")}
		for n := range rivals {
			t.id = fmt.Sprint(first[i].id, "-", n)
			rivals[n] = append(rivals[n], t)
		}
		if i%2 == 0 {
			rivals[0][i].name, rivals[0][i].input = "fail", map[string]any{"message": "as told"}
		}
	}
	for _, batch := range [][]task{append(rivals[0], rivals[1]...), rivals[2]} {
		if err := a.sendAndWait(ctx, batch); err != nil {
			return 0, err
		}
	}
	return a.book.count("cancelled duplicate") - before, nil
}

func runWaits(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	before := a.book.count("waiting time")
	tasks := several(random, 100, task{name: "echo"})
	for i := range tasks {
		tasks[i].more = map[string]any{}
		delay(&tasks[i], time.Duration(500+random.IntN(6000))*time.Millisecond)
	}
	err := a.sendAndWait(ctx, tasks)
	return a.book.count("waiting time") - before, err
}

func runCancel(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	before := a.book.count("cancelled cancelled")
	tasks := several(random, 60, task{name: "sleep", input: map[string]any{"ms": 800}})
	for _, t := range tasks[:15] {
		a.load.cancel(t) // before the task is there
	}
	a.load.send(tasks...)
	for _, t := range tasks[15:] {
		program.Pause(ctx, 20*time.Millisecond)
		a.load.cancel(t)
	}
	err := a.waitEnds(ctx, tasks, time.Minute)
	return a.book.count("cancelled cancelled") - before, err
}
