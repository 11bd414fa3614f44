package taskview

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

func TestTaskLife(t *testing.T) {
	for name, dir := range map[string]string{"in memory": "", "on disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			v, _ := b.start(b.config(dir))
			b.passed(v, b.task("fast", 1, taskJSON("ada", "t1")))
			task := b.get(v, "ada", "t1")
			if task.Status != schemas.Pending || task.Offset != 0 || task.Partition != 1 || task.TaskName != "answer" ||
				task.Runs != 1 {
				t.Errorf("fresh task: %+v", task)
			}
			if string(task.Record) != taskJSON("ada", "t1") {
				t.Errorf("record %s", task.Record)
			}
			results := make(chan schemas.Result, 1)
			go func() {
				r, err := v.Wait(context.Background(), schemas.TaskKey{TaskID: "t1"})
				if err != nil {
					t.Errorf("wait: %v", err)
				}
				results <- r
			}()
			b.event("fast", 1, state("ada", "t1", schemas.Running, 1))
			progress := state("ada", "t1", schemas.Running, 1)
			progress.Kind, progress.Progress = schemas.KindProgress, &schemas.Progress{Percent: 40}
			b.event("fast", 1, progress)
			b.event("fast", 1, completed("ada", "t1", `{"answer":"Rayleigh scattering"}`))
			b.event("fast", 1, state("ada", "t1", schemas.Failed, 1)) // after the end: nothing
			if r := <-results; r.Status != schemas.Completed || string(r.Result) != `{"answer":"Rayleigh scattering"}` {
				t.Errorf("waited for %+v", r)
			}
			task = b.get(v, "ada", "t1")
			if task.Status != schemas.Completed || task.EndedAt == nil || task.StartedAt == nil || task.Events != 3 ||
				task.Progress.Percent != 40 {
				t.Errorf("ended task: %+v", task)
			}
			h, err := v.Events(bounded(t), schemas.TaskKey{UserID: "ada", TaskID: "t1"}, "", 2)
			if err != nil || len(h.Events) != 2 || h.Next == "" {
				t.Fatalf("events: %v %+v", err, h)
			}
			h, err = v.Events(bounded(t), schemas.TaskKey{UserID: "ada", TaskID: "t1"}, h.Next, 2)
			if err != nil || len(h.Events) != 1 || h.Next != "" || !bytes.Contains(h.Events[0], []byte("completed")) {
				t.Fatalf("rest of events: %v %+v", err, h)
			}
		})
	}
}

func TestGetTellsUsersApart(t *testing.T) {
	b := newBench(t)
	v, _ := b.start(b.config(""))
	b.task("fast", 0, taskJSON("ada", "same"))
	b.task("heavy", 0, taskJSON("ada", "same"))
	b.task("fast", 0, taskJSON("bob", "same"))
	if err := v.CatchUp(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get(bounded(t), schemas.TaskKey{TaskID: "same"}); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("got %v", err)
	}
	if task := b.get(v, "ada", "same"); task.Runs != 2 {
		t.Errorf("ada has %d runs", task.Runs)
	}
	if task := b.get(v, "bob", "same"); task.Runs != 1 {
		t.Errorf("bob has %d runs", task.Runs)
	}
	for _, key := range []schemas.TaskKey{{UserID: "cy", TaskID: "same"},
		{UserID: "ada", TaskID: "other"}, {UserID: "", TaskID: "other"}} {
		if _, err := v.Get(bounded(t), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v: got %v", key, err)
		}
	}
}

func TestSubmittedIsVisibleBeforeItIsRead(t *testing.T) {
	b := newBench(t)
	v, err := New(b.config("")) // not running: nothing is read
	if err != nil {
		t.Fatal(err)
	}
	task, err := schemas.DecodeTask([]byte(taskJSON("ada", "t1")))
	if err != nil {
		t.Fatal(err)
	}
	v.Submitted(Submission{Task: task, Record: []byte("{}"), Position: cursor.TaskPosition{Lane: "fast", Offset: 3},
		At: epoch0})
	got, err := v.Get(bounded(t), schemas.TaskKey{TaskID: "t1"})
	if err != nil || got.Status != schemas.Pending || string(got.Record) != "{}" || got.Offset != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
	v.submitted.passed(got.run(), 2)
	if len(v.submitted.byRun) != 1 {
		t.Error("forgotten before its record was read")
	}
	v.submitted.passed(got.run(), 3)
	if len(v.submitted.byRun)+len(v.submitted.byID)+v.submitted.order.Len()+v.submitted.bytes != 0 {
		t.Error("kept after its record was read")
	}
}

func TestSubmittedIsBounded(t *testing.T) {
	s := newSubmitted()
	for i := range maxSubmitted + 50 {
		task, _ := schemas.DecodeTask([]byte(taskJSON("ada", "t"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+itoa(i))))
		s.add(Submission{Task: task, Record: make([]byte, 10),
			Position: cursor.TaskPosition{Lane: "fast", Offset: int64(i)}}, func() bool { return false })
	}
	if len(s.byRun) != maxSubmitted || s.order.Len() != maxSubmitted || s.bytes != 10*maxSubmitted {
		t.Errorf("%d runs, %d in order, %d bytes", len(s.byRun), s.order.Len(), s.bytes)
	}
}

func TestRestartGoesOn(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	v, stop := b.start(b.config(dir))
	b.task("fast", 0, taskJSON("ada", "t1"))
	b.event("fast", 0, state("ada", "t1", schemas.Running, 1))
	if err := v.CatchUp(bounded(t)); err != nil {
		t.Fatal(err)
	}
	stop()
	b.event("fast", 0, completed("ada", "t1", `1`))
	b.task("fast", 0, taskJSON("ada", "t2"))
	v, stop = b.start(b.config(dir))
	if task := b.get(v, "ada", "t1"); task.Status != schemas.Completed || task.Events != 2 {
		t.Errorf("after restart: %+v", task)
	}
	b.get(v, "ada", "t2")
	stop()
}

// TestRebuild breaks the file in every way there is a rule for; the view comes
// back from the log with the same contents.
func TestRebuild(t *testing.T) {
	tests := map[string]func(t *testing.T, dir string){
		"deleted": func(t *testing.T, dir string) { must(t, removeFiles(dir)) },
		"not a database": func(t *testing.T, dir string) {
			must(t, removeFiles(dir))
			must(t, os.WriteFile(filepath.Join(dir, fileName), bytes.Repeat([]byte("no database "), 1000), 0o600))
		},
		"another version": func(t *testing.T, dir string) { execute(t, dir, "PRAGMA user_version = 99") },
		"another cluster": func(t *testing.T, dir string) {
			execute(t, dir, "UPDATE meta SET value = 'x' WHERE name = 'log:cluster'")
		},
		"another topic": func(t *testing.T, dir string) {
			execute(t, dir, "UPDATE meta SET value = 'x' WHERE name LIKE 'log:topic:%'")
		},
		"a name is missing": func(t *testing.T, dir string) {
			execute(t, dir, "DELETE FROM meta WHERE name LIKE 'log:topic:%events'")
		},
		"a name is too many": func(t *testing.T, dir string) {
			execute(t, dir, "INSERT INTO meta VALUES ('log:topic:other.tasks.fast', 'x')")
		},
		"beyond the log": func(t *testing.T, dir string) {
			rewrite(t, dir, func(b *batch, _ []row) {
				for at := range b.next {
					b.next[at] = position{next: b.next[at].next + 1000, epoch: -1}
				}
			})
		},
		"damaged positions":  func(t *testing.T, dir string) { execute(t, dir, "UPDATE positions SET next = next + 1") },
		"damaged folds":      func(t *testing.T, dir string) { execute(t, dir, "UPDATE folds SET seq = seq + 1") },
		"a table is missing": func(t *testing.T, dir string) { execute(t, dir, "DROP TABLE folds") },
	}
	for name, breakIt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			dir := t.TempDir()
			v, stop := b.start(b.config(dir))
			b.task("fast", 0, taskJSON("ada", "t1"))
			b.event("fast", 0, completed("ada", "t1", `{"n":1}`))
			b.wait(v, "ada", "t1")
			must(t, v.CatchUp(bounded(t)))
			before := b.get(v, "ada", "t1")
			stop()
			breakIt(t, dir)
			v, _ = b.start(b.config(dir))
			if diff := cmp.Diff(before, b.get(v, "ada", "t1"), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAnotherLogOnOneDirectory: the file of another topic prefix, or of other
// lanes, is not shown and not answered from.
func TestAnotherLogOnOneDirectory(t *testing.T) {
	b := newBench(t)
	other := newBenchOn(t, b.brokers, schemas.Topics{Prefix: b.topics.Prefix + "other."})
	dir := t.TempDir()
	v, stop := b.start(b.config(dir))
	b.passed(v, b.task("fast", 0, taskJSON("ada", "t1")))
	v.settle(bounded(t))
	stop()

	v, stop = other.start(other.config(dir))
	if _, err := v.Get(bounded(t), schemas.TaskKey{UserID: "ada", TaskID: "t1"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("of another prefix: %v", err)
	}
	other.passed(v, other.task("heavy", 0, taskJSON("ada", "t2")))
	v.settle(bounded(t))
	stop()

	fewer := other.config(dir)
	fewer.Lanes = []string{"fast"}
	v, stop = other.start(fewer)
	if tasks, _, err := v.List(bounded(t), Filter{}); err != nil || len(tasks) != 0 {
		t.Errorf("of a lane that is not followed: %s, %v", ids(tasks), err)
	}
	stop()
	v, _ = other.start(other.config(dir))
	other.get(v, "ada", "t2")
}

func TestTwoProcessesOnOneDirectory(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	first, err := New(b.config(dir))
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- first.Run(bounded(t)) }()
	<-first.Ready()
	b.start(b.config(dir))
	b.task("fast", 0, taskJSON("ada", "t1"))
	if err := <-done; !errors.Is(err, ErrTaken) {
		t.Errorf("the first ended with %v", err)
	}
}

func TestLargePayloadsAndFlood(t *testing.T) {
	b := newBench(t)
	v, _ := b.start(b.config(t.TempDir()))
	text := strings.Repeat("x", 1<<20-400)
	b.task("fast", 0, strings.Replace(taskJSON("ada", "big"), "why is the sky blue", text, 1))
	for i := range 3000 {
		e := state("ada", "big", schemas.Running, 1)
		e.Kind, e.Progress, e.Message = schemas.KindProgress, &schemas.Progress{Current: int64(i)}, ""
		b.seq["fast/0"]++
		stamp := stampOf("fast/0", 7, b.seq["fast/0"])
		b.client.Produce(bounded(t), eventRecord(b.topics.Events(), 0, stamp, e), nil)
	}
	must(t, b.client.Flush(bounded(t)))
	b.event("fast", 0, completed("ada", "big", `"`+strings.Repeat("y", 2<<20-2000)+`"`))
	if r := b.wait(v, "ada", "big"); len(r.Result) != 2<<20-1998 {
		t.Errorf("result has %d bytes", len(r.Result))
	}
	must(t, v.CatchUp(bounded(t)))
	v.settle(bounded(t))
	if task := b.get(v, "ada", "big"); len(task.Result) != 2<<20-1998 || len(task.Record) < 1<<20-400 ||
		task.Events != 3001 {
		t.Errorf("result %d, record %d bytes, %d events", len(task.Result), len(task.Record), task.Events)
	}
}

func TestListAndSearch(t *testing.T) {
	b := newBench(t)
	v, _ := b.start(b.config(t.TempDir()))
	for i := range 5 {
		b.task("fast", int32(i%2), strings.Replace(taskJSON("ada", "t"+itoa(i)), "sky blue", "crème brûlée "+itoa(i), 1))
	}
	b.task("heavy", 0, strings.Replace(taskJSON("bob", "b1"), "why is the sky blue", "今日は天気がいい", 1))
	must(t, v.CatchUp(bounded(t)))
	b.event("fast", 0, completed("ada", "t0", `{"label":"line one\nsecond"}`))
	b.wait(v, "ada", "t0")

	tests := map[string]struct {
		filter Filter
		want   string
	}{
		"user":              {Filter{UserID: "bob"}, "b1"},
		"status":            {Filter{Status: schemas.Completed}, "t0"},
		"lane":              {Filter{Lane: "heavy"}, "b1"},
		"name":              {Filter{TaskName: "none"}, ""},
		"words and accents": {Filter{Query: "CREME brulee 3"}, "t3"},
		"input and result":  {Filter{Query: "brûlée second"}, "t0"},
		"no spaces":         {Filter{Query: "天気"}, "b1"},
		"an operator":       {Filter{Query: "brûlée OR nothing"}, ""},
		"a column":          {Filter{Query: "body:brûlée"}, ""},
		"a quote":           {Filter{Query: `second" OR "x`}, ""},
		"a prefix":          {Filter{Query: "brû*"}, ""},
		"NEAR":              {Filter{Query: `NEAR(why brulee)`}, ""},
		"user and search":   {Filter{UserID: "bob", Query: "second"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tasks, next, err := v.List(bounded(t), tt.filter)
			if err != nil || next != "" {
				t.Fatalf("next %q, error %v", next, err)
			}
			if got := ids(tasks); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	for name, f := range map[string]Filter{
		"limit": {Limit: 1001}, "negative": {Limit: -1}, "status": {Status: "gone"}, "cursor": {Cursor: "?"},
		"no word": {Query: `"--"`}, "not UTF-8": {Query: "\xff"},
	} {
		if _, _, err := v.List(bounded(t), f); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	var seen []string
	for f := (Filter{Limit: 2}); ; {
		tasks, next, err := v.List(bounded(t), f)
		must(t, err)
		seen = append(seen, ids(tasks))
		if f.Cursor = next; next == "" {
			break
		}
	}
	if got := strings.Join(seen, " "); len(strings.Fields(got)) != 6 {
		t.Errorf("pages %q", got)
	}
}

func TestRetention(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	v, stop := b.start(b.config(dir))
	for i := range 250 {
		b.task("fast", 0, taskJSON("ada", "t"+itoa(i)))
		if i > 0 {
			b.event("fast", 0, completed("ada", "t"+itoa(i), `1`))
		}
	}
	b.wait(v, "ada", "t249")
	must(t, v.CatchUp(bounded(t)))
	v.settle(bounded(t))
	stop()
	st, err := openStore(bounded(t), dir)
	must(t, err)
	defer st.close()
	steps := 1
	for more := true; more; steps++ {
		more, err = st.retain(bounded(t), epoch0.Add(time.Second))
		must(t, err)
	}
	for _, table := range []string{"tasks", "records", "events", "results", "search"} {
		want := 0
		if table == "tasks" || table == "records" || table == "search" {
			want = 1 // the one that has not ended
		}
		var n int
		must(t, st.write.QueryRow("SELECT count(*) FROM "+table).Scan(&n))
		if n != want {
			t.Errorf("%s has %d rows, want %d", table, n, want)
		}
	}
}

func TestCatchUpIsShared(t *testing.T) {
	b := newBench(t)
	v, _ := b.start(b.config(""))
	var wg sync.WaitGroup
	for i := range 20 {
		b.task("fast", 0, taskJSON("ada", "t"+itoa(i)))
		wg.Go(func() {
			if err := v.CatchUp(bounded(t)); err != nil {
				t.Errorf("catch up: %v", err)
			}
			if _, err := v.Get(bounded(t), schemas.TaskKey{TaskID: "t" + itoa(i)}); err != nil {
				t.Errorf("t%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := v.Lag(); got != 0 {
		t.Errorf("lag %d", got)
	}
}

func TestPassed(t *testing.T) {
	b := newBench(t)
	v, _ := b.start(b.config(""))
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	cancel(cause)
	if err := v.Passed(ctx, cursor.TaskPosition{Lane: "fast"}); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	for _, p := range []cursor.TaskPosition{{Lane: "none"}, {Lane: "fast", Partition: 9}} {
		if err := v.Passed(bounded(t), p); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: got %v", p, err)
		}
	}
	if len(v.positions.waiting) != 0 {
		t.Error("a waiter that left is still registered")
	}
	if got := v.Positions(); !cmp.Equal(got, []int64{0, 0}) {
		t.Errorf("positions %v", got)
	}
}

func TestConfig(t *testing.T) {
	good := Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9"}}, Lanes: []string{"fast"}}
	for name, change := range map[string]func(*Config){
		"no lanes":  func(c *Config) { c.Lanes = nil },
		"no broker": func(c *Config) { c.Kafka.Brokers = nil },
		"retention": func(c *Config) { c.Retention = -1 },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	v, err := New(good)
	must(t, err)
	if _, _, err := v.List(bounded(t), Filter{}); !errors.Is(err, ErrNotReady) {
		t.Errorf("list before Run: %v", err)
	}
}
