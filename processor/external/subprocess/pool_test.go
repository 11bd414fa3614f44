//go:build unix

package subprocess

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// world is a pool that runs, and tasks for it.
type world struct {
	t    *testing.T
	pool *Pool
	stop func()
}

// patience is far longer than anything takes.
const patience = 2 * time.Minute

// runPool runs a pool whose children are this test binary.
func runPool(t *testing.T, kind string, change func(*Config)) *world {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Mode: "test", Name: "child", Command: []string{program}, Env: []string{childVariable + "=" + kind},
		StopTimeout: patience, Lookup: os.LookupEnv,
	}
	if change != nil {
		change(&c)
	}
	pool, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := pool.run(ctx, processor.Cluster{}); err != nil {
			t.Error(err)
		}
	}()
	w := &world{t: t, pool: pool}
	w.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(w.stop)
	return w
}

// asked is a task that is run once.
type asked struct {
	name, id string
	input    string
	attempt  int
	hard     time.Duration
	report   processor.Reporter
	options  []processor.ContextOption
}

// do runs a task once it is let in.
func (w *world) do(ctx context.Context, a asked) (string, error) {
	w.t.Helper()
	if a.input == "" {
		a.input = "{}"
	}
	if a.id == "" {
		a.id = "t"
	}
	task := &schemas.Task{TaskID: a.id, UserID: "u", TaskName: a.name, Mode: "test", Service: "child",
		InputData: jsontext.Value(a.input)}
	if a.report == nil {
		a.report = func(context.Context, *schemas.Event) error { return nil }
	}
	options := append([]processor.ContextOption{processor.WithGrant(w.admit(task))}, a.options...)
	if a.hard > 0 {
		now := time.Now()
		options = append(options, processor.WithDeadlines(now.Add(a.hard), now.Add(a.hard)))
	}
	result, err := w.pool.execute(ctx, processor.NewContext(task, "fast", max(a.attempt, 1), a.report, options...))
	value, _ := result.(jsontext.Value)
	return string(value), err
}

func (w *world) admit(task *schemas.Task) processor.Grant {
	w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		g, wait := w.pool.admit(task)
		if wait == nil {
			return g
		}
		pace.Sleep(w.t.Context(), min(time.Until(wait.Until), 10*time.Millisecond)) // as the queue would
	}
	w.t.Fatalf("the task was not let in: %s", w.pool.warning())
	return nil
}

func (w *world) must(a asked) string {
	w.t.Helper()
	for {
		result, err := w.do(context.Background(), a)
		var snoozed *processor.SnoozeError
		switch {
		case isLost(err) || errors.As(err, &snoozed): // the child was ending: it is run again
		case err != nil:
			w.t.Fatalf("%s: %v", a.name, err)
		default:
			return result
		}
	}
}

func isLost(err error) bool {
	var lost *processor.LostError
	return errors.As(err, &lost)
}

// TestTasksInAChild: results, reports, errors and retries go through.
func TestTasksInAChild(t *testing.T) {
	w := runPool(t, "2", nil)
	if got := w.must(asked{name: "echo", input: `{"a":[1,"ü"]}`}); got != `{"a":[1,"ü"]}` {
		t.Errorf("the result is %s", got)
	}
	var events []*schemas.Event
	got := w.must(asked{name: "reports", report: func(_ context.Context, e *schemas.Event) error {
		events = append(events, e)
		return nil
	}})
	if got != "null" || len(events) != 5 || events[0].Progress.Percent != 25 || events[1].Log.Text != "first" ||
		events[2].Output.Text != "piece" || events[3].Log.Level != "warn" || events[4].Usage.InputTokens != 3 {
		t.Errorf("result %s, events %+v", got, events)
	}
	_, err := w.do(context.Background(), asked{name: "fails"})
	if err == nil || err.Error() != "no" || isLost(err) {
		t.Errorf("a failure is %v", err)
	}
	var retryable *processor.RetryableError
	if _, err = w.do(context.Background(), asked{name: "busy"}); !errors.As(err, &retryable) ||
		retryable.After != 1500*time.Millisecond {
		t.Errorf("a retryable failure is %v", err)
	}
	if _, err = w.do(context.Background(), asked{name: "again"}); !errors.As(err, &retryable) {
		t.Errorf("a retry is %v", err)
	}
	var permanent *processor.PermanentError
	if _, err = w.do(context.Background(), asked{name: "again", attempt: 2}); !errors.As(err, &permanent) {
		t.Errorf("a retry beyond its attempts is %v", err)
	}
}

// TestSubmittedTasks have ids made of the running task's, and no other user.
func TestSubmittedTasks(t *testing.T) {
	w := runPool(t, "1", nil)
	var record string
	submit := func(_ context.Context, lane string, task *schemas.Task, b []byte) error {
		record = lane + " " + task.UserID + " " + task.Mode + "/" + task.Service
		return nil
	}
	got := w.must(asked{name: "submit", id: "parent", options: []processor.ContextOption{processor.WithSubmitter(submit)}})
	if got != `{"ref":"r","task_id":"parent~1","error":""}` || record != "fast u test/child" {
		t.Errorf("%s, %s", got, record)
	}
	if got := w.must(asked{name: "submit"}); !strings.Contains(got, "cannot be submitted") {
		t.Errorf("without a submitter: %s", got)
	}
}

// TestEnvironment: a child has what is named and no more, its number and its GPU.
func TestEnvironment(t *testing.T) {
	t.Setenv("CANARY_SECRET", "x")
	w := runPool(t, "1", func(c *Config) { c.GPUs = []string{"5"} })
	got := w.must(asked{name: "who"})
	var who struct {
		Child, GPU string
		Env        int
	}
	if err := json.Unmarshal([]byte(got), &who, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if who.Child != "0" || who.GPU != "5" || who.Env > 7 {
		t.Errorf("the child has %+v", who)
	}
}

// TestCancelledTasks: a child that answers says the last word; one that does not is ended if the task is alone in it.
func TestCancelledTasks(t *testing.T) {
	w := runPool(t, "2", nil)
	ctx, cancel := context.WithCancelCause(context.Background())
	go cancel(processor.ErrCancelled)
	if _, err := w.do(ctx, asked{name: "waits"}); !errors.Is(err, processor.ErrCancelled) || isLost(err) {
		t.Errorf("a cancelled task ends with %v", err)
	}
	pid := w.must(asked{name: "who"})
	ctx, cancel = context.WithCancelCause(context.Background())
	cancel(processor.ErrTimeLimit)
	if _, err := w.do(ctx, asked{name: "waits", hard: patience}); !errors.Is(err, processor.ErrTimeLimit) {
		t.Errorf("at the soft limit: %v", err)
	}
	if again := w.must(asked{name: "who"}); again != pid {
		t.Errorf("the child was replaced: %s, %s", pid, again)
	}
}

// TestTimeLimit ends the process group at once, and costs the others in the child an attempt.
func TestTimeLimit(t *testing.T) {
	w := runPool(t, "2", nil)
	first := pidOf(t, w.must(asked{name: "who"}))
	neighbour := make(chan error, 1)
	go func() {
		_, err := w.do(context.Background(), asked{name: "waits", id: "neighbour"})
		neighbour <- err
	}()
	w.await(func(c *child) bool { return c.taken == 1 })
	ctx, cancel := context.WithCancelCause(context.Background())
	begun := func(context.Context, *schemas.Event) error { cancel(processor.ErrTimeLimit); return nil }
	_, err := w.do(ctx, asked{name: "hostile", id: "deaf", input: `{"kind":"stopped"}`, hard: time.Millisecond,
		report: begun})
	if !errors.Is(err, processor.ErrTimeLimit) && !isLost(err) {
		t.Errorf("the task ends with %v", err)
	}
	if err := <-neighbour; !isLost(err) {
		t.Errorf("the neighbour ends with %v", err)
	}
	if err := syscall.Kill(-first, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the group %d is there still: %v", first, err)
	}
}

// await waits until the only child is as it should be.
func (w *world) await(as func(*child) bool) {
	for end := time.Now().Add(patience); time.Now().Before(end); pace.Sleep(w.t.Context(), time.Millisecond) {
		w.pool.mu.Lock()
		yes := len(w.pool.children) == 1 && as(w.pool.children[0])
		w.pool.mu.Unlock()
		if yes {
			return
		}
	}
	w.t.Error("the child has not come to it")
}

func pidOf(t *testing.T, who string) int {
	t.Helper()
	_, rest, _ := strings.Cut(who, `"pid":`)
	digits, _, _ := strings.Cut(rest, ",")
	pid, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatal(who)
	}
	return pid
}

// TestChildrenThatDieAtStart: tasks wait, and everybody is told why.
func TestChildrenThatDieAtStart(t *testing.T) {
	type said struct{ operator, user string }
	for kind, want := range map[string]said{
		"dies":           {"no module named model", "exit status 3"},
		"wrong-protocol": {"protocol 2", "its ready message is not taken"},
		"mute":           {"init_timeout", "init_timeout"},
		"none":           {"nonesuch: no such file", "its program cannot be started"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := runPool(t, kind, func(c *Config) {
				switch kind {
				case "mute":
					c.InitTimeout = 50 * time.Millisecond
				case "none":
					c.Command = []string{"/home/operator/nonesuch"}
				}
			})
			end := time.Now().Add(patience)
			for ; !strings.Contains(w.pool.warning(), want.operator); pace.Sleep(t.Context(), 5*time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("the warning is %q", w.pool.warning())
				}
			}
			_, wait := w.pool.admit(&schemas.Task{TaskID: "t", UserID: "u"})
			if wait == nil || wait.For != schemas.WaitService || !strings.HasSuffix(wait.Reason, want.user) &&
				kind != "mute" {
				t.Errorf("a task waits for %+v", wait)
			}
		})
	}
}

// TestWornChildren: a child takes max_tasks and up to a fifth more; nothing is lost or run twice while they change.
func TestWornChildren(t *testing.T) {
	const tasks, most = 200, 10
	w := runPool(t, "4", func(c *Config) { c.MaxTasks, c.Children = most, 2 })
	var mu sync.Mutex
	by := map[int]int{}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range tasks / 8 {
				result, err := w.do(context.Background(), asked{name: "who", id: strconv.Itoa(n*1000 + i)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				by[pidOf(t, result)]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	ran := 0
	for pid, n := range by {
		if ran += n; n > most+most/5 {
			t.Errorf("child %d ran %d tasks", pid, n)
		}
	}
	if ran != tasks {
		t.Errorf("%d of %d tasks ran", ran, tasks)
	}
}

// TestMemory: a child that has grown is replaced when it has finished, one that has grown far beyond is ended.
func TestMemory(t *testing.T) {
	w := runPool(t, "1", func(c *Config) { c.MaxMemory = 1 << 40 })
	pid := pidOf(t, w.must(asked{name: "who"}))
	if residents()[pid] < 1<<20 {
		t.Errorf("the child has %d bytes resident", residents()[pid])
	}
	w.pool.weigh(map[int]int64{pid: 1<<40 + 1})
	again := pidOf(t, w.must(asked{name: "who"}))
	if again == pid {
		t.Error("the child was not replaced")
	}
	growing := make(chan error, 1)
	go func() {
		_, err := w.do(context.Background(), asked{name: "waits", id: "growing"})
		growing <- err
	}()
	w.await(func(c *child) bool { return c.taken == 1 })
	w.pool.weigh(map[int]int64{again: 1<<40 + 1}) // it is worn, and goes on beside the next
	w.await(func(c *child) bool { return c.pid != again })
	w.pool.weigh(map[int]int64{again: 1 << 42})
	if err := <-growing; !isLost(err) {
		t.Errorf("what was in the child that went on growing ends with %v", err)
	}
	if pidOf(t, w.must(asked{name: "who"})) == again {
		t.Error("the child was not ended")
	}
}

// TestSuspectsAreAlone: who was in a child that ended shares none with others until it has ended well.
func TestSuspectsAreAlone(t *testing.T) {
	w := runPool(t, "8", nil)
	if _, err := w.do(context.Background(), asked{name: "hostile", id: "poison", input: `{"kind":"exit"}`}); !isLost(err) {
		t.Fatalf("poison ends with %v", err)
	}
	poison := &schemas.Task{TaskID: "poison", UserID: "u", TaskName: "echo"}
	other := &schemas.Task{TaskID: "other", UserID: "u", TaskName: "echo"}
	first := w.admit(other)
	if _, wait := w.pool.admit(poison); wait == nil {
		t.Fatal("a suspect is beside another task")
	}
	if _, wait := w.pool.admit(other); wait == nil {
		t.Error("the child is not kept for the suspect")
	}
	first.Release()
	g := w.admit(poison)
	if _, wait := w.pool.admit(other); wait == nil {
		t.Error("another task is beside the suspect")
	}
	g.Release()
	w.must(asked{name: "echo", id: "poison"})
	w.pool.mu.Lock()
	left := len(w.pool.suspects)
	w.pool.mu.Unlock()
	if left != 0 {
		t.Errorf("%d are suspected still", left)
	}
}

// TestConfigs that cannot be.
func TestConfigs(t *testing.T) {
	for want, c := range map[string]Config{
		"a mode and a name": {Command: []string{"x"}},
		"no command":        {Mode: "a", Name: "b"},
		"257 children":      {Mode: "a", Name: "b", Command: []string{"x"}, Children: 257},
		"not be negative":   {Mode: "a", Name: "b", Command: []string{"x"}, MaxTasks: -1, Logger: slog.Default()},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
