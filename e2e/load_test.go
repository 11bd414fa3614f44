package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// load submits tasks over HTTP from several users at once, through restarts of
// the server, and remembers what was accepted.
type load struct {
	api *api

	mu       sync.Mutex
	accepted []string          // "user/task"
	answers  map[string]string // how each was accepted
}

// run submits until stop is closed. A request that fails is sent again with
// the same id, as the SDKs do: its outcome is unknown. So every task that was
// sent has been accepted when it returns, unless the test has ended.
func (l *load) run(ctx context.Context, stop <-chan struct{}, workers int) {
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			user := fmt.Sprint("user-", worker)
			for n := 0; ctx.Err() == nil; n++ {
				select {
				case <-stop:
					return
				default:
					l.submit(ctx, user, fmt.Sprintf("load-%d-%d", worker, n))
				}
			}
		})
	}
	all.Wait()
}

func (l *load) submit(ctx context.Context, user, id string) {
	lane := []string{"fast", "heavy"}[rand.IntN(2)]
	task := newTask(lane, user, id, "echo", map[string]any{"n": id})
	switch rand.IntN(10) {
	case 0:
		task["task_name"], task["input_data"] = "sleep", map[string]any{"ms": 20}
	case 1:
		task["task_name"], task["input_data"] = "progress", map[string]any{"steps": 3, "step_ms": 5}
	}
	for others := 0; ctx.Err() == nil; others++ {
		status, answer, err := l.api.call(ctx, "POST", "/v1/tasks", task)
		if err == nil && status == 202 {
			l.accept(user+"/"+id, fmt.Sprintf("202 at %s on lane %s as %v, after %d other answers",
				time.Now().Format(time.TimeOnly), lane, answer["status"], others))
			return
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func (l *load) accept(task, answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted = append(l.accepted, task)
	if l.answers == nil {
		l.answers = map[string]string{}
	}
	l.answers[task] = answer
}

// pause waits; an end of the context cuts it short.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// count is how many tasks were accepted so far.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

// background starts the load; stop ends it and waits.
func (l *load) background(t *testing.T, workers int) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		l.run(t.Context(), quit, workers)
	}()
	stop = sync.OnceFunc(func() { close(quit); <-done })
	t.Cleanup(stop)
	return stop
}

// allEnd waits until every accepted task has ended, once each.
func (l *load) allEnd(b *logbook) {
	b.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	missing := map[string]bool{}
	for _, key := range l.accepted {
		missing[key] = true
	}
	if !b.waits(deadline, func() bool {
		for _, all := range b.tasks {
			if last := all[len(all)-1]; last.terminal() {
				delete(missing, last.UserID+"/"+last.TaskID)
			}
		}
		return len(missing) == 0
	}) {
		b.t.Fatalf("waited %v: %s", deadline, l.diagnose(b, slices.Collect(maps.Keys(missing))))
	}
	b.check()
	b.t.Logf("%d accepted tasks ended once each; %d stale and %d repeated records did not count", len(l.accepted), b.stale,
		b.repeats)
}
