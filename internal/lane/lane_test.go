package lane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// ctx bounds one step of a test.
func (l *lane) ctx() context.Context {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	l.t.Cleanup(cancel)
	return ctx
}

// commitAt sets the group's offset, as an operator's tool does.
func (l *lane) commitAt(partition int32, offset int64, metadata string) {
	l.t.Helper()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: l.topics.Lane(schemas.LaneFast), Partition: partition, At: offset, LeaderEpoch: -1,
		Metadata: metadata})
	answers, err := kadm.NewClient(l.client).CommitOffsets(l.ctx(), l.topics.ProcessorGroup(schemas.LaneFast), offsets)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// remake deletes the lane and makes it anew.
func (l *lane) remake() {
	l.t.Helper()
	admin, topic := kadm.NewClient(l.client), l.topics.Lane(schemas.LaneFast)
	before, err := admin.ListTopics(l.ctx(), topic)
	if err != nil {
		l.t.Fatal(err)
	}
	kafkatest.DeleteTopics(l.t, l.client, topic)
	kafkatest.CreateTopic(l.t, l.client, topic, lanePartitions, nil)
	l.client.PurgeTopicsFromClient(topic)
	for { // brokers tell of the old one for a moment, and clients keep to the id they were told
		now, err := admin.ListTopics(l.ctx(), topic)
		if err != nil {
			l.t.Fatal(err)
		}
		if len(now[topic].Partitions) == lanePartitions && now[topic].ID != before[topic].ID {
			return
		}
	}
}

// ends are the last events of a partition's tasks, by task.
func (l *lane) ends(partition int32) map[string][]*schemas.Event {
	l.t.Helper()
	reader := kafkatest.Client(l.t, strings.Join(l.brokers, ","), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		l.topics.Events(): {partition: kgo.NewOffset().AtStart()},
	}))
	end, err := kadm.NewClient(l.client).ListEndOffsets(l.ctx(), l.topics.Events())
	if err != nil {
		l.t.Fatal(err)
	}
	last, _ := end.Lookup(l.topics.Events(), partition)
	found := map[string][]*schemas.Event{}
	for next := int64(0); next < last.Offset; {
		fetches := reader.PollFetches(l.ctx())
		if l.ctx().Err() != nil {
			l.t.Fatal("the journal is not read to its end")
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if e, err := schemas.DecodeEvent(r.Value); err == nil && len(r.Key) > 0 && e.Terminal() {
				found[e.TaskID] = append(found[e.TaskID], e)
			}
		})
	}
	return found
}

// A commit beyond the lane's end, whoever made it, swallows nothing, and what had
// ended is not run again.
func TestCommitBeyondTheEndSwallowsNothing(t *testing.T) {
	for name, metadata := range map[string]string{
		"set by a tool": "", "garbage": "tl1:1:2:3", "another program's": `{"at":7}`, "our own": "own",
		"far positions": "tl1:900:999:9:999:800",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTestLane(t)
			first := l.join("one", nil, nil)
			first.holds(lanePartitions) // the group has its coordinator
			l.send("a", 1)
			l.send("b", 1)
			first.until("both", func() bool { return l.committed(1) == 2 })
			if err := first.stop(); err != nil {
				t.Fatal(err)
			}
			if metadata == "own" {
				offsets, err := kadm.NewClient(l.client).FetchOffsets(l.ctx(),
					l.topics.ProcessorGroup(schemas.LaneFast))
				if err != nil {
					t.Fatal(err)
				}
				at, _ := offsets.Lookup(l.topics.Lane(schemas.LaneFast), 1)
				metadata = at.Metadata
			}
			l.commitAt(1, 5, metadata)
			second := l.join("two", nil, nil)
			second.holds(lanePartitions)
			for _, id := range []string{"c", "d", "e", "f"} { // to behind the offset
				l.send(id, 1)
			}
			second.until("what came after", func() bool { return l.committed(1) == 6 })
			slices.Sort(second.started)
			if got := fmt.Sprint(second.started); got != "[c-1#1 d-1#1 e-1#1 f-1#1]" {
				t.Errorf("started %v, want what came after", got)
			}
		})
	}
}

// A lane that was deleted and made anew while nobody ran is told by the tasks'
// identities, and what had been started there is ended.
func TestStartedTaskOfALaneMadeAnewIsEnded(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	first := l.join("one", nil, hold)
	l.send("a", 1)
	l.send("b", 1)
	first.until("both", func() bool { return len(first.started) == 2 })
	first.crash()
	l.remake()
	second := l.join("two", nil, nil)
	second.holds(lanePartitions)
	second.until("the end of both", func() bool { return len(l.ends(1)) == 2 })
	for id, ends := range l.ends(1) {
		e := ends[0]
		if len(ends) != 1 || e.Status != schemas.Failed || e.ErrorCode != schemas.CodeWorkerLost ||
			!strings.Contains(e.Error, "not on the lane any more") ||
			e.UserID != "u" || e.Task != "n" || e.Mode != "m" || e.Service != "s" || e.Attempt != 1 {
			t.Errorf("%s ends as %+v", id, ends)
		}
	}
	l.send("c", 1)
	second.until("the new one", func() bool { return l.committed(1) == 1 })
	if got := fmt.Sprint(second.started); got != "[c-1#1]" {
		t.Errorf("started %v", got)
	}
}

// deleteBefore deletes a lane's records before an offset, as retention does.
func (l *lane) deleteBefore(partition int32, offset int64) {
	l.t.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(l.topics.Lane(schemas.LaneFast), partition, offset, -1)
	answers, err := kadm.NewClient(l.client).DeleteRecords(l.ctx(), offsets)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// A started task whose record is deleted before its worker is lost ends with a reason,
// also where nothing more comes; one that was never started leaves no trace, and the
// group's lag comes to nothing.
func TestStartedTaskOfADeletedRecordIsEnded(t *testing.T) {
	t.Parallel()
	l := newOpenLane(t)
	first := l.join("one", nil, hold)
	l.send("a", 1)
	first.until("its start", func() bool { return len(first.started) == 1 })
	first.crash()
	l.send("b", 1)
	l.deleteBefore(1, 2)
	second := l.join("two", nil, nil)
	second.holds(lanePartitions)
	second.until("its end", func() bool { return len(l.ends(1)) == 1 })
	if e := l.ends(1)["a-1"]; len(e) != 1 || e[0].Status != schemas.Failed || e[0].ErrorCode != schemas.CodeWorkerLost {
		t.Errorf("it ends as %+v", e)
	}
	second.until("no lag", func() bool { return l.committed(1) == 2 })
	if len(second.started) != 0 {
		t.Errorf("started %v", second.started)
	}
}

// transact sends one transaction, and aborts it if told so.
func (l *lane) transact(id string, partition int32, end kgo.TransactionEndTry) {
	l.t.Helper()
	producer := kafkatest.Client(l.t, strings.Join(l.brokers, ","), kgo.TransactionalID(id),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := producer.BeginTransaction(); err != nil {
		l.t.Fatal(err)
	}
	record := &kgo.Record{
		Topic: l.topics.Lane(schemas.LaneFast), Partition: partition,
		Value: fmt.Appendf(nil, `{"task_id":"%s-%d","user_id":"u","task_name":"n","mode":"m","service":"s"}`, id,
			partition),
	}
	err := producer.ProduceSync(l.ctx(), record).FirstErr()
	if err == nil {
		err = producer.EndTransaction(l.ctx(), end)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// Nothing is left of the group's lag behind the markers of transactions and what was
// aborted: not while a member runs, nor for one that comes later.
func TestCommitPassesTransactionMarkers(t *testing.T) {
	t.Parallel()
	l := newOpenLane(t)
	m := l.join("one", nil, nil)
	m.holds(lanePartitions)
	l.transact("a", 1, kgo.TryCommit)
	l.transact("b", 1, kgo.TryAbort)
	l.transact("c", 2, kgo.TryAbort) // nothing else there
	m.until("no lag", func() bool { return l.committed(1) == 4 && l.committed(2) == 2 })
	l.send("d", 1)
	m.until("the next", func() bool { return l.committed(1) == 5 })
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	l.transact("e", 1, kgo.TryAbort)
	l.transact("f", 3, kgo.TryCommit)
	next := l.join("two", nil, nil)
	next.until("no lag", func() bool { return l.committed(1) == 7 && l.committed(3) == 2 })
	if got := fmt.Sprint(m.started, next.started); got != "[a-1#1 d-1#1] [f-3#1]" {
		t.Errorf("started %v", got)
	}
}

// newOpenLane is a lane on the broker that the environment names, or on an engine that
// takes transactions and deletes records, which the embedded broker does not allow.
func newOpenLane(t *testing.T) *lane {
	t.Helper()
	if kafkatest.External() {
		return newTestLane(t)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return newTestLaneOn(t, strings.Join(cluster.ListenAddrs(), ","))
}
