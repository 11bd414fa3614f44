package processor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// crowd counts how many handlers run at once, by whatever key.
type crowd struct {
	mu       sync.Mutex
	now, max map[string]int
	order    []string
}

func newCrowd() *crowd { return &crowd{now: map[string]int{}, max: map[string]int{}} }

func (c *crowd) handler(key func(*schemas.Task) string) processor.Handler {
	return func(ctx context.Context, pc *processor.Context) (any, error) {
		k := key(pc.Task())
		c.mu.Lock()
		c.now[k]++
		c.max[k] = max(c.max[k], c.now[k])
		c.order = append(c.order, pc.Task().TaskID)
		c.mu.Unlock()
		err := pc.Log(ctx, "info", "here") // gives others the time to run as well
		c.mu.Lock()
		c.now[k]--
		c.mu.Unlock()
		return nil, err
	}
}

func taskOf(user, id string, members ...string) []byte {
	return bytes.Replace(task(id, "run", members...), []byte("user-1"), []byte(user), 1)
}

func TestCapsOfUsersHold(t *testing.T) {
	w, c := newWorld(t), newCrowd()
	w.start(func(config *processor.Config) {
		config.Lanes[0].Slots, config.Lanes[0].MaxPerUser = 20, 2
	}, handlers(map[string]processor.Handler{"run": c.handler(func(t *schemas.Task) string { return t.UserID })}))
	var values [][]byte
	for n := range 300 {
		values = append(values, taskOf(fmt.Sprint("user-", n%3), fmt.Sprint("t", n)))
	}
	w.send(schemas.LaneFast, values...)
	w.allEnd("t", 300)
	for user, n := range c.max {
		if n > 2 {
			t.Errorf("%d tasks of %s ran at once", n, user)
		}
	}
}

func TestCapsOfServicesAndCostsHold(t *testing.T) {
	w, c := newWorld(t), newCrowd()
	all := func(*schemas.Task) string { return "all" }
	capped := handlers(map[string]processor.Handler{"run": c.handler(func(t *schemas.Task) string { return t.Service })})
	big := processor.Service{Mode: "debug", Name: "big", Execute: c.handler(all), Slots: 5}
	w.start(func(config *processor.Config) {
		config.Lanes[0].Slots, config.Lanes[0].MaxPerService = 12, 3
	}, capped, big)
	var values [][]byte
	for n := range 200 {
		value := taskOf(fmt.Sprint("user-", n%3), fmt.Sprint("t", n))
		if n%2 == 0 {
			value = bytes.Replace(value, []byte(`"service":"test"`), []byte(`"service":"big"`), 1)
		}
		values = append(values, value)
	}
	w.send(schemas.LaneFast, values...)
	w.allEnd("t", 200)
	if c.max["test"] > 3 || c.max["all"] > 2 {
		t.Errorf("ran at once: %v; want at most 3 of test, and 2 of the big ones in 12 slots", c.max)
	}
}

func TestOrderedLaneKeepsTheOrderOfAUser(t *testing.T) {
	w, c := newWorld(t), newCrowd()
	w.start(func(config *processor.Config) { config.Lanes[0].Ordering = processor.OrderingUser },
		handlers(map[string]processor.Handler{"run": c.handler(func(t *schemas.Task) string { return t.UserID })}))
	for n := range 40 {
		w.sendKeyed("key-0", taskOf("user-1", fmt.Sprint("t", n), fmt.Sprintf(`"priority":%d`, n%11)))
	}
	w.allEnd("t", 40)
	for n, id := range c.order {
		if id != fmt.Sprint("t", n) {
			t.Fatalf("ran %v", c.order)
		}
	}
	if c.max["user-1"] != 1 {
		t.Errorf("%d ran at once", c.max["user-1"])
	}
}

// TestExpiryAndRefusalNeedNoSlot: with every slot taken, tasks that expire or
// that nothing can run end all the same.
func TestExpiryAndRefusalNeedNoSlot(t *testing.T) {
	w := newWorld(t)
	began, release := make(chan struct{}), make(chan struct{})
	w.start(func(c *processor.Config) { c.Lanes[0].Slots = 1 }, handlers(map[string]processor.Handler{
		"blocks": func(context.Context, *processor.Context) (any, error) { close(began); <-release; return nil, nil },
		"echo":   func(context.Context, *processor.Context) (any, error) { return nil, nil },
	}))
	w.send(schemas.LaneFast, task("blocks", "blocks"))
	<-began
	soon := time.Now().Add(300 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	w.send(schemas.LaneFast, task("expires", "echo", fmt.Sprintf(`"expires_at":%q`, soon)), task("unknown", "nothing"))
	if end := w.end("expires"); end.ErrorCode != schemas.CodeExpired {
		t.Errorf("ended %s %s", end.Status, end.ErrorCode)
	}
	if end := w.end("unknown"); end.ErrorCode != schemas.CodeUnknownService {
		t.Errorf("ended %s %s", end.Status, end.ErrorCode)
	}
	close(release)
	if end := w.end("blocks"); end.Status != schemas.Completed {
		t.Errorf("ended %s", end.Status)
	}
}

// TestLimitsOfAService: a handler may still finish after the soft limit, a silent
// one is ended, one that reports is not.
func TestLimitsOfAService(t *testing.T) {
	w := newWorld(t)
	const beat = time.Second
	finishes := func(ctx context.Context, _ *processor.Context) (any, error) {
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), processor.ErrTimeLimit) {
			return nil, context.Cause(ctx)
		}
		return "in time", nil
	}
	silent := func(ctx context.Context, _ *processor.Context) (any, error) { <-ctx.Done(); return nil, ctx.Err() }
	lively := func(ctx context.Context, c *processor.Context) (any, error) {
		tick := time.NewTicker(beat / 10)
		defer tick.Stop()
		for range 13 {
			<-tick.C
			if err := c.Progress(ctx, schemas.Progress{}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	w.start(nil,
		processor.Service{Mode: "debug", Name: "soft", Execute: finishes, SoftTimeLimit: beat / 4},
		processor.Service{Mode: "debug", Name: "test", HeartbeatLimit: beat,
			Methods: map[string]processor.Handler{"silent": silent, "lively": lively}})
	w.send(schemas.LaneFast, bytes.Replace(task("soft", "any"), []byte(`"test"`), []byte(`"soft"`), 1),
		task("silent", "silent"), task("lively", "lively"))
	if end := w.end("soft"); end.Status != schemas.Completed || string(end.Result) != `"in time"` {
		t.Errorf("soft ended %s %s", end.Status, end.Error)
	}
	end := w.end("silent")
	if end.Status != schemas.TimedOut || end.ErrorCode != schemas.CodeTimeLimit ||
		end.Error != "heartbeat limit reached: the service reported nothing for 1s" {
		t.Errorf("silent ended %s %s %s", end.Status, end.ErrorCode, end.Error)
	}
	if end := w.end("lively"); end.Status != schemas.Completed {
		t.Errorf("lively ended %s %s", end.Status, end.Error)
	}
}

// TestRunawayIsReportedWithItsStack, and counted for as long as it runs.
func TestRunawayIsReportedWithItsStack(t *testing.T) {
	w := newWorld(t)
	var log logtest.Buffer
	release := make(chan struct{})
	p, stop := w.startProcessor(func(c *processor.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	}, handlers(map[string]processor.Handler{"ignores": func(context.Context, *processor.Context) (any, error) {
		runAway(release)
		return nil, nil
	}}))
	w.send(schemas.LaneFast, task("r", "ignores", `"time_limit_ms":200`))
	w.end("r")
	log.Await(t, deadline, "processor_test.runAway")
	metrics := func() string {
		var b bytes.Buffer
		p.WritePrometheus(&b)
		return b.String()
	}
	for _, want := range []string{"tasklane_runaway_tasks 1\n", "tasklane_runaway_tasks_total 1\n",
		`tasklane_queue_slots_free{lane="fast"} 4` + "\n", `tasklane_queue_parked{lane="fast",reason="user"} 0`} {
		if !strings.Contains(metrics(), want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
	close(release)
	stop()
	if !strings.Contains(metrics(), "tasklane_runaway_tasks 0\n") {
		t.Error("a runaway that has returned is still counted")
	}
}

func runAway(release <-chan struct{}) { <-release }
