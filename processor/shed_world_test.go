package processor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// TestCappedTasksKeepNobodyFromBeingRead: slow tasks of a user at their cap fill the
// partition's read-ahead; another user's task behind them is read and runs at once, and
// theirs run after that, each once, and those that waited elsewhere in order.
func TestCappedTasksKeepNobodyFromBeingRead(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	var mu sync.Mutex
	var order []string
	note := func(id string) { mu.Lock(); defer mu.Unlock(); order = append(order, id) }
	w.start(func(c *processor.Config) {
		c.Lanes[0].Slots, c.Lanes[0].MaxPerUser, c.Dir = 4, 1, t.TempDir()
	}, handlers(map[string]processor.Handler{
		"slow": func(ctx context.Context, c *processor.Context) (any, error) {
			note(c.Task().TaskID)
			select {
			case <-release:
				return nil, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		},
		"quick": func(context.Context, *processor.Context) (any, error) { return nil, nil },
	}))
	const slow = 90
	large := strings.Repeat("x", 900<<10)
	for n := range slow {
		w.sendTo(0, task(fmt.Sprintf("slow-%02d", n), "slow", fmt.Sprintf(`"input_data":{"text":%q}`, large)))
	}
	w.until("the first to run", func() bool { return len(w.history("slow-00")) > 0 })
	w.sendTo(0, []byte(strings.Replace(string(task("other", "quick")), "user-1", "user-2", 1)))
	began := time.Now()
	if end := w.end("other"); end.Status != schemas.Completed {
		t.Errorf("the other user's task ended as %s", end.Status)
	}
	t.Logf("it ended after %v", time.Since(began).Round(time.Millisecond))
	shed := map[string]bool{}
	for n := range slow {
		id := fmt.Sprintf("slow-%02d", n)
		shed[id] = slices.ContainsFunc(w.history(id),
			func(e *schemas.Event) bool { return e.Waiting != nil && e.Waiting.For == schemas.WaitLimit })
	}
	close(release)
	for n := range slow {
		id := fmt.Sprintf("slow-%02d", n)
		if end := w.end(id); end.Status != schemas.Completed || end.Attempt != 1 {
			t.Errorf("%s ended as %s %s at attempt %d", id, end.Status, end.ErrorCode, end.Attempt)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(order) != slow {
		t.Errorf("%d executions of %d tasks", len(order), slow)
	}
	back := slices.DeleteFunc(order, func(id string) bool { return !shed[id] })
	if !slices.IsSorted(back) || len(back) == 0 || len(back) > slow/2 {
		t.Errorf("%d tasks went to the waiting log and came back as %v", len(back), back)
	}
}

// TestWhatACapHoldsHearsOfAPause: tasks that a cap has put into the waiting log hear of a pause while the cap lets none
// of them start, and run once each when it is over.
func TestWhatACapHoldsHearsOfAPause(t *testing.T) {
	w, ran := newWorld(t), newCounts()
	release := make(chan struct{})
	w.start(func(c *processor.Config) {
		c.Lanes[0].Slots, c.Lanes[0].MaxPerUser, c.Dir = 4, 1, t.TempDir()
	}, handlers(map[string]processor.Handler{
		"slow": func(ctx context.Context, c *processor.Context) (any, error) {
			ran.start(c.Task().TaskID)
			select {
			case <-release:
				return nil, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		},
	}))
	const slow = 90
	large := strings.Repeat("x", 900<<10)
	for n := range slow {
		w.sendTo(0, task(fmt.Sprintf("slow-%02d", n), "slow", fmt.Sprintf(`"input_data":{"text":%q}`, large)))
	}
	var shed []string
	w.until("tasks to wait for the cap", func() bool {
		shed = nil
		for n := range slow {
			if id := fmt.Sprintf("slow-%02d", n); w.waitsFor(id) == schemas.WaitLimit {
				shed = append(shed, id)
			}
		}
		return len(shed) > 5
	})
	user := schemas.Target{Type: schemas.TargetUser, UserID: "user-1"}
	w.pause(user)
	for _, id := range shed {
		w.untilHeld(id)
	}
	for n := range slow {
		if id := fmt.Sprintf("slow-%02d", n); (n == 0) != (len(ran.of(id)) == 1) {
			t.Errorf("%s ran %d times while the cap and the pause held all but the first", id, len(ran.of(id)))
		}
	}
	w.resume(user)
	close(release)
	for n := range slow {
		id := fmt.Sprintf("slow-%02d", n)
		if end := w.end(id); end.Status != schemas.Completed || end.Attempt != 1 || len(ran.of(id)) != 1 {
			t.Errorf("%s ended as %s %s at attempt %d", id, end.Status, end.ErrorCode, end.Attempt)
		}
	}
}

// TestManyCappedTasksKeepNobodyFromBeingRead: what waits elsewhere takes room in the
// read-ahead too, until all before it has ended. Of small ones more have to move than too
// many are held, and of tiny ones all of them.
func TestManyCappedTasksKeepNobodyFromBeingRead(t *testing.T) {
	for name, test := range map[string]struct {
		count, bytes int
		takes        time.Duration
	}{
		"small ones, of which the first never ends": {6000, 15 << 10, time.Hour},
		"tiny ones": {50_000, 0, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var ran sync.Map
			w.start(func(c *processor.Config) {
				c.Lanes[0].Slots, c.Lanes[0].MaxPerUser, c.Dir = 4, 1, t.TempDir()
			}, handlers(map[string]processor.Handler{
				"slow": func(ctx context.Context, c *processor.Context) (any, error) {
					if _, twice := ran.LoadOrStore(c.Task().TaskID, true); twice {
						t.Errorf("%s is run twice", c.Task().TaskID)
					}
					select {
					case <-time.After(test.takes):
						return nil, nil
					case <-ctx.Done():
						return nil, context.Cause(ctx)
					}
				},
				"quick": func(context.Context, *processor.Context) (any, error) { return nil, nil },
			}))
			text := fmt.Sprintf(`"input_data":{"text":%q}`, strings.Repeat("x", test.bytes))
			values := make([][]byte, test.count)
			for n := range values {
				values[n] = task(fmt.Sprint("slow-", n), "slow", text)
			}
			w.sendTo(0, values...)
			w.sendTo(0, []byte(strings.Replace(string(task("other", "quick")), "user-1", "user-2", 1)))
			began := time.Now()
			if end := w.end("other"); end.Status != schemas.Completed {
				t.Errorf("the other user's task ended as %s", end.Status)
			}
			t.Logf("it ended after %v", time.Since(began).Round(time.Millisecond))
		})
	}
}
