package taskview

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// quick is a configuration that looks for lost tasks often.
func (b *bench) quick(dir string) Config {
	c := b.config(dir)
	c.LossInterval = 20 * time.Millisecond
	return c
}

// skipTo sets the lane's group to an offset, as an operator does.
func (b *bench) skipTo(lane string, partition int32, offset int64, metadata string) {
	b.t.Helper()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: b.topics.Lane(lane), Partition: partition, At: offset, LeaderEpoch: -1,
		Metadata: metadata})
	committed, err := kadm.NewClient(b.client).CommitOffsets(bounded(b.t), b.topics.ProcessorGroup(lane), offsets)
	must(b.t, err)
	must(b.t, committed.Error())
}

// await waits until a task has a status.
func (b *bench) await(v *View, user, id string, status schemas.Status) Task {
	b.t.Helper()
	ctx := bounded(b.t)
	for {
		task, err := v.Get(ctx, schemas.TaskKey{UserID: user, TaskID: id})
		if err == nil && task.Status == status {
			return task
		}
		if !pace.Sleep(ctx, 5*time.Millisecond) {
			b.t.Fatalf("%s of %s is not %s: %+v, %v", id, user, status, task, err)
		}
	}
}

// looks waits until the view has looked for lost tasks n times.
func (b *bench) looks(v *View, n int64) {
	b.t.Helper()
	ctx := bounded(b.t)
	for want := v.Stats().LossLooks + n; v.Stats().LossLooks < want; {
		if !pace.Sleep(ctx, 5*time.Millisecond) {
			b.t.Fatal("the view does not look for lost tasks")
		}
	}
}

func deferredEvent(user, id string, source int64) schemas.Event {
	e := state(user, id, schemas.Pending, 0)
	e.Deferred, e.Waiting = true, &schemas.Waiting{For: schemas.WaitTime}
	e.Source = &schemas.Source{Topic: "tasks.fast", Offset: source}
	return e
}

func TestSkippedTasksAreLost(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	v, stop := b.start(b.quick(dir))
	for _, id := range []string{"done", "skipped", "waits", "after"} {
		b.passed(v, b.task("fast", 0, taskJSON("ada", id)))
	}
	b.passed(v, b.task("fast", 1, taskJSON("ada", "elsewhere")))
	b.event("fast", 0, completed("ada", "done", `1`))
	b.event("fast", 0, deferredEvent("ada", "waits", 2))
	waited := make(chan error, 1)
	go func() {
		_, err := v.Wait(bounded(t), schemas.TaskKey{UserID: "ada", TaskID: "skipped"})
		waited <- err
	}()
	b.looks(v, 3)
	if got := b.get(v, "ada", "skipped"); got.Status != schemas.Pending {
		t.Fatalf("lost before anything was skipped: %+v", got)
	}
	b.skipTo("fast", 0, 3, "")
	lost := b.await(v, "ada", "skipped", schemas.Lost)
	if !strings.Contains(lost.Error, "skipped") || !strings.Contains(lost.Error, b.topics.Lane("fast")) ||
		string(lost.Record) != taskJSON("ada", "skipped") {
		t.Errorf("lost: %+v", lost)
	}
	var told *LostError
	if err := <-waited; !errors.As(err, &told) || told.Why != lost.Error {
		t.Errorf("who waited was told %v", err)
	}
	if _, err := v.Wait(bounded(t), schemas.TaskKey{UserID: "ada", TaskID: "skipped"}); !errors.As(err, &told) {
		t.Errorf("who waits now is told %v", err)
	}
	b.looks(v, 3)
	for id, want := range map[string]schemas.Status{"done": schemas.Completed, "waits": schemas.Pending,
		"after": schemas.Pending, "elsewhere": schemas.Pending} {
		if got := b.get(v, "ada", id); got.Status != want {
			t.Errorf("%s is %s", id, got.Status)
		}
	}
	tasks, _, err := v.List(bounded(t), Filter{Status: schemas.Lost})
	if err != nil || ids(tasks) != "skipped" {
		t.Errorf("list of lost tasks: %s, %v", ids(tasks), err)
	}
	stop()

	// It stays lost, its id is free, and it runs.
	v, _ = b.start(b.quick(dir))
	b.await(v, "ada", "skipped", schemas.Lost)
	again := strings.Replace(taskJSON("ada", "skipped"), "sky blue", "grass green", 1)
	b.passed(v, b.task("fast", 0, again))
	if got := b.get(v, "ada", "skipped"); got.Status != schemas.Pending || got.Error != "" || got.EndedAt != nil ||
		string(got.Record) != again || got.Offset != 4 {
		t.Errorf("sent again: %+v", got)
	}
	b.looks(v, 3)
	b.event("fast", 0, completed("ada", "skipped", `2`))
	if got := b.wait(v, "ada", "skipped"); string(got.Result) != "2" {
		t.Errorf("ran again: %+v", got)
	}
	must(t, v.CatchUp(bounded(t)))
	if tasks, _, err := v.List(bounded(t), Filter{Query: "grass"}); err != nil || ids(tasks) != "skipped" {
		t.Errorf("search for what it is now: %s, %v", ids(tasks), err)
	}
}

// TestLostTaskIsFoundAfterAll: an event that counts takes a loss back.
func TestLostTaskIsFoundAfterAll(t *testing.T) {
	b := newBench(t)
	v, _ := b.start(b.quick(""))
	for i := range 2 {
		b.passed(v, b.task("heavy", 1, taskJSON("ada", "t"+itoa(i))))
	}
	b.skipTo("heavy", 1, 2, "")
	b.await(v, "ada", "t0", schemas.Lost)
	b.await(v, "ada", "t1", schemas.Lost)
	progress := state("ada", "t0", schemas.Running, 1)
	progress.Kind, progress.Progress = schemas.KindProgress, &schemas.Progress{Percent: 10}
	b.event("heavy", 1, progress)
	if got := b.await(v, "ada", "t0", schemas.Pending); got.Error != "" || got.EndedAt != nil {
		t.Errorf("found again: %+v", got)
	}
	b.event("heavy", 1, completed("ada", "t1", `1`))
	if got := b.await(v, "ada", "t1", schemas.Completed); got.Error != "" || string(got.Result) != "1" {
		t.Errorf("ended after all: %+v", got)
	}
}

// TestACommitBeyondTheLaneSaysNothing: what is written below it later is not lost.
func TestACommitBeyondTheLaneSaysNothing(t *testing.T) {
	b := newBench(t)
	v, _ := b.start(b.quick(""))
	b.skipTo("fast", 0, 1000, "")
	b.passed(v, b.task("fast", 0, taskJSON("ada", "t1")))
	b.looks(v, 4)
	if got := b.get(v, "ada", "t1"); got.Status != schemas.Pending {
		t.Errorf("%+v", got)
	}
}

// newFakeBench is a bench on a broker that deletes records.
func newFakeBench(t *testing.T) *bench {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	must(t, err)
	t.Cleanup(cluster.Close)
	return newBenchOn(t, strings.Join(cluster.ListenAddrs(), ","), schemas.Topics{})
}

// remove deletes the records of a lane's partition before an offset.
func (b *bench) remove(lane string, partition int32, before int64) {
	b.t.Helper()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: b.topics.Lane(lane), Partition: partition, At: before, LeaderEpoch: -1})
	answers, err := kadm.NewClient(b.client).DeleteRecords(bounded(b.t), offsets)
	must(b.t, err)
	must(b.t, answers.Error())
}

func TestRemovedTasksAreLost(t *testing.T) {
	b := newFakeBench(t)
	v, _ := b.start(b.quick(t.TempDir()))
	for i := range 4 {
		b.passed(v, b.task("fast", 0, taskJSON("ada", "t"+itoa(i))))
	}
	b.event("fast", 0, state("ada", "t0", schemas.Running, 1))
	b.event("fast", 0, deferredEvent("ada", "t1", 1))
	b.waits("fast", 0, "ada", "t1", 7, 1, "{}")
	b.remove("fast", 0, 3)
	if got := b.await(v, "ada", "t2", schemas.Lost); !strings.Contains(got.Error, "removed from tasks.fast") {
		t.Errorf("%+v", got)
	}
	for id, want := range map[string]schemas.Status{"t0": schemas.Running, "t1": schemas.Pending, "t3": schemas.Pending} {
		if got := b.get(v, "ada", id); got.Status != want {
			t.Errorf("%s is %s", id, got.Status)
		}
	}
}

// TestHeldTasksAreNotLost: while the group has members, one may hold what is no
// longer on the lane; until its marks say twice that it holds nothing.
func TestHeldTasksAreNotLost(t *testing.T) {
	b := newFakeBench(t)
	v, _ := b.start(b.quick(""))
	member, err := kgo.NewClient(kgo.SeedBrokers(b.brokers), kgo.ConsumerGroup(b.topics.ProcessorGroup("fast")),
		kgo.ConsumeTopics(b.topics.Lane("fast")), kgo.DisableAutoCommit())
	must(t, err)
	t.Cleanup(member.Close)
	b.passed(v, b.task("fast", 0, taskJSON("ada", "t1")))
	if member.PollFetches(bounded(t)).NumRecords() == 0 {
		t.Fatal("the member got nothing")
	}
	mark := func(lag int) {
		b.seq["fast/0"]++
		stamp := stampOf("fast/0", 7, b.seq["fast/0"])
		sign := schemas.Sign{EventID: stamp.EventID(), Kind: schemas.KindMark, Shard: "fast/0", Epoch: 7, Seq: stamp.Seq,
			Worker: "w1", Time: schemas.AtTime(epoch0), Lag: lag}
		value, err := sign.Encode()
		must(t, err)
		b.produce(&kgo.Record{Topic: b.topics.Events(), Headers: fold.Headers[kgo.RecordHeader](stamp), Value: value})
	}
	mark(0)
	mark(0)
	b.remove("fast", 0, 1)
	b.looks(v, 4)
	mark(1)
	mark(0)
	b.looks(v, 4)
	if got := b.get(v, "ada", "t1"); got.Status != schemas.Pending {
		t.Fatalf("lost while it may be held: %+v", got)
	}
	mark(0)
	b.await(v, "ada", "t1", schemas.Lost)
}

// TestStrandedSubmissions: what was acknowledged here and is gone before the view
// has read it is not pending for ever.
func TestStrandedSubmissions(t *testing.T) {
	b := newFakeBench(t)
	v, _ := b.start(b.quick(""))
	b.passed(v, b.task("fast", 0, taskJSON("ada", "read")))
	submit := func(id string, offset int64) {
		task, err := schemas.DecodeTask([]byte(taskJSON("ada", id)))
		must(t, err)
		v.Submitted(Submission{Task: task, Record: []byte(taskJSON("ada", id)),
			Position: cursor.TaskPosition{Lane: "fast", Offset: offset}, At: epoch0})
	}
	submit("cut", 5) // the lane ends at 1
	if got := b.await(v, "ada", "cut", schemas.Lost); !strings.Contains(got.Error, "end of its log") {
		t.Errorf("%+v", got)
	}
	b.looks(v, 3)
	if n := len(v.submitted.all()); n != 0 {
		t.Errorf("%d submissions are still remembered", n)
	}
}

// TestTasksOfALogThatWasCutBack: what a rebuild cannot find again is said to be
// lost.
func TestTasksOfALogThatWasCutBack(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	v, stop := b.start(b.quick(dir))
	for _, id := range []string{"kept", "cut", "ended"} {
		b.passed(v, b.task("fast", 0, taskJSON("ada", id)))
	}
	b.event("fast", 0, completed("ada", "ended", `1`))
	b.wait(v, "ada", "ended")
	v.settle(bounded(t))
	stop()
	log := b
	rewrite(t, dir, func(b *batch, tasks []row) {
		b.next[topicPartition{log.topics.Lane("fast"), 0}] = position{next: 13, epoch: -1}
		for i := range tasks {
			if r := &tasks[i]; r.task.TaskID == "cut" {
				r.id += 100
				r.task.TaskID, r.task.Offset, r.task.LastOffset = "gone", 7, 7
				b.put(r.task.run(), r)
				b.records[r.id] = []byte(taskJSON("ada", "gone"))
			}
		}
	})
	v, _ = b.start(b.quick(dir))
	if got := b.await(v, "ada", "gone", schemas.Lost); !strings.Contains(got.Error, "lost the end of its log") ||
		got.Record == nil {
		t.Errorf("%+v", got)
	}
	b.await(v, "ada", "kept", schemas.Pending)
	b.await(v, "ada", "ended", schemas.Completed)
	b.passed(v, b.task("fast", 0, taskJSON("ada", "gone")))
	b.looks(v, 4)
	b.await(v, "ada", "gone", schemas.Pending)
}

func TestJudge(t *testing.T) {
	m := &machine{}
	must(t, m.open())
	defer m.s.store.close()
	m.s.view.config = Config{Topics: propertyTopics, Lanes: []string{"fast"}}
	at := topicPartition{propertyTopics.Lane("fast"), 0}
	one := func(b bounds) survey {
		return survey{lanes: map[topicPartition]bounds{at: b}, journal: map[int32]int64{0: 50}}
	}
	pending := Task{Lane: "fast", Status: schemas.Pending, Offset: 10, LastOffset: 10}
	change := func(f func(*Task)) Task { task := pending; f(&task); return task }
	running := change(func(t *Task) { t.Status, t.Attempt = schemas.Running, 1 })
	passed := bounds{committed: 11, ours: true, end: 20}
	tests := map[string]struct {
		task            Task
		aged, last, now bounds
		want            string
	}{
		"passed": {pending, bounds{}, passed, passed, "skipped"},
		"passed and removed": {pending, bounds{}, bounds{committed: 11, start: 12}, bounds{committed: 11, start: 12},
			"removed"},
		"passed just now":       {pending, bounds{}, bounds{committed: 10}, passed, ""},
		"passed and taken back": {pending, bounds{}, passed, bounds{committed: 10}, ""},
		"not passed":            {pending, bounds{}, bounds{committed: 10}, bounds{committed: 10}, ""},
		"no commit":             {pending, bounds{}, bounds{committed: -1}, bounds{committed: -1}, ""},
		"removed":               {pending, bounds{}, bounds{start: 11, committed: 5}, bounds{start: 11, committed: 5}, ""},
		"removed and deserted": {pending, bounds{}, bounds{start: 11, deserted: true}, bounds{start: 11, deserted: true},
			"removed"},
		"deserted just now": {pending, bounds{}, bounds{start: 11}, bounds{start: 11, deserted: true}, ""},
		"deserted": {pending, bounds{}, bounds{start: 10, deserted: true}, bounds{start: 10, deserted: true},
			""},
		"repeated above":           {change(func(t *Task) { t.LastOffset = 11 }), bounds{}, passed, passed, ""},
		"deferred":                 {change(func(t *Task) { t.Deferred = true }), bounds{}, passed, passed, ""},
		"ended":                    {change(func(t *Task) { t.Status = schemas.Failed }), bounds{}, passed, passed, ""},
		"lost already":             {change(func(t *Task) { t.Status = schemas.Lost }), bounds{}, passed, passed, ""},
		"known by events only":     {change(func(t *Task) { t.Offset, t.LastOffset = -1, -1 }), bounds{}, passed, passed, ""},
		"of another lane":          {change(func(t *Task) { t.Lane = "slow" }), bounds{}, passed, passed, ""},
		"running, skipped by tool": {running, bounds{committed: 11}, bounds{committed: 11}, bounds{committed: 11}, ""},
		"running, passed just now": {running, bounds{committed: 10, ours: true}, passed, passed, ""},
		"running, passed for long": {running, passed, passed, passed, "does not have its end"},
		"running, removed": {running, bounds{start: 11, deserted: true}, bounds{start: 11, deserted: true},
			bounds{start: 11, deserted: true}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLosses(m.s, nil)
			now := one(tt.now)
			now.at = epoch0
			l.kept, l.last = []survey{one(tt.aged)}, one(tt.last)
			got := l.judge(&tt.task, now)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestWalkGoesOverAllUnfinished: in bounded steps, and from the front again.
func TestWalkGoesOverAllUnfinished(t *testing.T) {
	m := &machine{}
	must(t, m.open())
	defer m.s.store.close()
	for i := range 25 {
		status := schemas.Pending
		if i%5 == 0 {
			status = schemas.Completed
		}
		run := runKey{schemas.TaskKey{UserID: "ada", TaskID: fmt.Sprintf("t%02d", i)}, "fast", 0}
		must(t, m.s.update(context.Background(), run, func(_ *batch, r *row) {
			r.task.Status, r.task.Offset, r.task.CreatedAt = status, int64(i), atMilli(int64(1000+i/4))
		}))
	}
	must(t, m.commit())
	var seen []Task
	place := walkPlace{}
	for range 3 {
		tasks, next, err := m.s.store.unfinished(context.Background(), schemas.Pending, nil, place, 8)
		must(t, err)
		seen, place = append(seen, tasks...), next
	}
	if got := ids(seen); len(strings.Fields(got)) != 20 || strings.Contains(got, "t05") || place != (walkPlace{}) {
		t.Errorf("saw %s, goes on at %+v", got, place)
	}
}
