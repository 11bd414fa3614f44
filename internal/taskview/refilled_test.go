package taskview

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// newEpochBench is a bench on a broker whose partitions can get another leader epoch.
func newEpochBench(t *testing.T) (*bench, *kfake.Cluster) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	must(t, err)
	t.Cleanup(cluster.Close)
	return newBenchOn(t, strings.Join(cluster.ListenAddrs(), ","), schemas.Topics{}), cluster
}

func raise(t *testing.T, cluster *kfake.Cluster, topic string, partition int32) {
	t.Helper()
	must(t, cluster.MoveTopicPartition(topic, partition, cluster.LeaderFor(topic, partition)))
}

// readOnce lets a view read what is there, and stops it.
func (b *bench) readOnce(dir string) {
	b.t.Helper()
	v, stop := b.start(b.quick(dir))
	must(b.t, v.CatchUp(bounded(b.t)))
	v.settle(bounded(b.t))
	stop()
}

// TestTailThatGrewAgain: a log whose tail was lost, and that has grown beyond it again
// since, is told by its leader epochs. What stands where the view had read already is
// read all the same, and what stood there is lost.
func TestTailThatGrewAgain(t *testing.T) {
	b, cluster := newEpochBench(t)
	dir := t.TempDir()
	b.task("fast", 0, taskJSON("ada", "ran"))
	b.event("fast", 0, state("ada", "ran", schemas.Running, 1))
	b.readOnce(dir)
	// The view is made to have read two records more of each, which the broker has lost.
	raise(t, cluster, b.topics.Lane("fast"), 0)
	raise(t, cluster, b.topics.Events(), 0)
	rewrite(t, dir, func(next *batch, tasks []row) {
		for _, topic := range []string{b.topics.Lane("fast"), b.topics.Events()} {
			at := topicPartition{topic, 0}
			if next.next[at].epoch != 0 {
				t.Errorf("%s was read in epoch %d, want 0", topic, next.next[at].epoch)
			}
			next.next[at] = position{next: next.next[at].next + 2, epoch: 0, print: 1}
		}
		gone := tasks[0]
		gone.id += 100
		gone.task.TaskID, gone.task.Offset, gone.task.LastOffset, gone.task.Status, gone.task.Attempt = "gone", 2, 2,
			schemas.Pending, 0
		next.put(gone.task.run(), &gone)
		next.records[gone.id] = []byte(taskJSON("ada", "gone"))
	})
	for range 4 { // both logs go on beyond what was read of them
		b.event("fast", 0, completed("ada", "ran", `1`))
		b.task("fast", 0, taskJSON("ada", "new"))
	}
	v, _ := b.start(b.quick(dir))
	b.await(v, "ada", "ran", schemas.Completed)
	if got := b.get(v, "ada", "new"); got.Offset != 1 {
		t.Errorf("new: %+v", got)
	}
	if got := b.await(v, "ada", "gone", schemas.Lost); !strings.Contains(got.Error, "lost the end of its log") {
		t.Errorf("gone: %+v", got)
	}
}

// TestLeaderThatChanges: another leader that has all there was is no reason to read
// anything again.
func TestLeaderThatChanges(t *testing.T) {
	b, cluster := newEpochBench(t)
	dir := t.TempDir()
	for i := range 3 {
		b.task("fast", 0, taskJSON("ada", "t"+itoa(i)))
	}
	b.readOnce(dir)
	execute(t, dir, "INSERT INTO meta VALUES ('mark', 'kept')") // of this file
	raise(t, cluster, b.topics.Lane("fast"), 0)
	b.task("fast", 0, taskJSON("ada", "t3"))
	raise(t, cluster, b.topics.Lane("fast"), 0)
	b.readOnce(dir)
	st, err := openStore(bounded(t), dir)
	must(t, err)
	defer st.close()
	var mark string
	if err := st.read.QueryRow("SELECT value FROM meta WHERE name = 'mark'").Scan(&mark); err != nil || mark != "kept" {
		t.Errorf("the file was made anew: %q, %v", mark, err)
	}
	point, err := st.load(bounded(t))
	must(t, err)
	if got := point.next[topicPartition{b.topics.Lane("fast"), 0}]; got.next != 4 || got.epoch != 1 {
		t.Errorf("read up to %+v", got)
	}
}

// TestAnotherRecordInItsPlace: a broker that has one leader for ever, and does not know
// that it has lost the end of a log, may give an offset away again. What was read there
// is another record then, and the view is made anew.
func TestAnotherRecordInItsPlace(t *testing.T) {
	for name, test := range map[string]struct {
		change func(b *bench, next *batch)
		anew   bool
	}{
		"the same": {func(*bench, *batch) {}, false},
		"another task": {func(b *bench, next *batch) {
			at := topicPartition{b.topics.Lane("fast"), 0}
			to := next.next[at]
			to.print++
			next.next[at] = to
		}, true},
		"another event": {func(b *bench, next *batch) {
			at := topicPartition{b.topics.Events(), 0}
			to := next.next[at]
			to.print ^= 1 << 20
			next.next[at] = to
		}, true},
		"all of it is deleted": {func(b *bench, _ *batch) { b.remove("fast", 0, 3) }, false},
		"all but the last is":  {func(b *bench, _ *batch) { b.remove("fast", 0, 2) }, false},
		"more has come, and it went": {func(b *bench, _ *batch) {
			b.task("fast", 0, taskJSON("ada", "t3"))
			b.remove("fast",
				0, 4)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFakeBench(t)
			dir := t.TempDir()
			for i := range 3 {
				b.task("fast", 0, taskJSON("ada", "t"+itoa(i)))
			}
			b.event("fast", 0, completed("ada", "t0", `1`))
			b.readOnce(dir)
			execute(t, dir, "INSERT INTO meta VALUES ('mark', 'kept')")
			rewrite(t, dir, func(next *batch, tasks []row) {
				gone := tasks[0] // stood where another task stands now
				gone.id += 100
				gone.task.TaskID, gone.task.Offset, gone.task.LastOffset, gone.task.Status = "gone", 2, 2, schemas.Pending
				if test.anew {
					next.put(gone.task.run(), &gone)
					next.records[gone.id] = []byte(taskJSON("ada", "gone"))
				}
				test.change(b, next)
			})
			b.event("fast", 0, completed("ada", "t1", `1`))
			v, stop := b.start(b.quick(dir))
			b.await(v, "ada", "t1", schemas.Completed)
			// The view that is made anew is not ready for a moment.
			if got := b.await(v, "ada", "t0", schemas.Completed); got.Events != 1 {
				t.Errorf("read twice, or not at all: %+v", got)
			}
			if test.anew && name == "another task" {
				b.await(v, "ada", "gone", schemas.Lost)
			}
			stop()
			st, err := openStore(bounded(t), dir)
			must(t, err)
			defer st.close()
			var marks int
			must(t, st.read.QueryRow("SELECT count(*) FROM meta WHERE name = 'mark'").Scan(&marks))
			if (marks == 0) != test.anew {
				t.Errorf("made anew: %v, want %v", marks == 0, test.anew)
			}
		})
	}
}

// wait writes a record into tasks.scheduled, or its tombstone.
func (b *bench) waits(lane string, partition int32, user, id string, epoch, seq int64, value string) {
	b.t.Helper()
	shard := fold.ShardID{Lane: lane, Partition: partition}.String()
	r := &kgo.Record{
		Topic: b.topics.Scheduled(), Partition: partition,
		Headers: fold.Headers[kgo.RecordHeader](fold.Stamp{Shard: shard, Epoch: epoch, Seq: seq}),
		Key:     []byte(lane + "/" + user + "/" + id + "/" + itoa(int(epoch)) + "-1"),
	}
	if value != "" {
		r.Value = []byte(value)
	}
	b.produce(r)
}

// TestTasksThatWaitOrDoNot: whether a task waits in tasks.scheduled is decided by what
// counts there, whatever the journal has lost: one that does is never lost, and one
// that should and does not is.
func TestTasksThatWaitOrDoNot(t *testing.T) {
	for name, fresh := range map[string]bool{"a view that runs": false, "a view that is made anew": true} {
		t.Run(name, func(t *testing.T) {
			b, cluster := newEpochBench(t)
			tasks := []string{"waits", "unsaid", "vanished", "buried", "stale", "ended", "again", "rises"}
			write := func() {
				for i, id := range tasks {
					b.task("fast", 0, taskJSON("ada", id))
					if id != "unsaid" { // the event that says so is lost
						b.event("fast", 0, deferredEvent("ada", id, int64(i)))
					}
				}
				for i, id := range []string{"waits", "unsaid", "buried", "ended", "rises"} {
					b.waits("fast", 0, "ada", id, 7, int64(i+1), "{}")
				}
				b.waits("fast", 0, "ada", "buried", 7, 8, "")
				b.waits("fast", 0, "ada", "ended", 7, 9, "")
				b.waits("fast", 0, "ada", "stale", 6, 20, "{}")  // does not count
				b.waits("fast", 0, "ada", "waits", 6, 21, "")    // nor does this
				b.waits("heavy", 0, "ada", "vanished", 7, 1, "") // another lane's
				b.event("fast", 0, completed("ada", "ended", `1`))
				running := state("ada", "rises", schemas.Running, 1)
				b.event("fast", 0, running)
				b.skipTo("fast", 0, int64(len(tasks)), "tl1:0:0:0:7:0")
				b.task("fast", 0, taskJSON("ada", "again")) // stands on the lane once more
				again := state("ada", "again", schemas.Pending, 0)
				again.Source = &schemas.Source{Topic: b.topics.Lane("fast"), Offset: int64(len(tasks))}
				b.event("fast", 0, again)
			}
			var v *View
			if fresh {
				write()
				v, _ = b.start(b.quick(""))
			} else {
				v, _ = b.start(b.quick(""))
				write()
			}
			if !fresh { // as after a restart of the broker
				b.looks(v, 2)
				b.produce(&kgo.Record{Topic: b.topics.Scheduled(), Partition: 0, Value: []byte("no matter")})
				raise(t, cluster, b.topics.Scheduled(), 0)
				b.produce(&kgo.Record{Topic: b.topics.Scheduled(), Partition: 0, Value: []byte("no matter")})
			}
			for _, id := range []string{"vanished", "buried", "stale"} {
				if got := b.await(v, "ada", id, schemas.Lost); !strings.Contains(got.Error, "waited in "+b.topics.Scheduled()) {
					t.Errorf("%s: %+v", id, got)
				}
			}
			b.looks(v, 4)
			for id, want := range map[string]schemas.Status{
				"waits": schemas.Pending, "unsaid": schemas.Pending, "again": schemas.Pending, "ended": schemas.Completed,
				"rises": schemas.Running,
			} {
				if got := b.get(v, "ada", id); got.Status != want {
					t.Errorf("%s is %s: %s", id, got.Status, got.Error)
				}
			}
			b.event("fast", 0, state("ada", "vanished", schemas.Running, 1)) // it was held after all
			b.await(v, "ada", "vanished", schemas.Running)
		})
	}
}
