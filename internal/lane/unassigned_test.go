package lane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// expel makes the group forget a member, which learns of it with its next heartbeat:
// to the member a broker that comes back without its groups does the same.
func (l *lane) expel(m *member) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	name, _ := m.client.GroupMetadata()
	var code int16
	if m.config.Protocol == ProtocolConsumer {
		request := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		request.Group, request.MemberID, request.MemberEpoch = m.groupName(), name, -1
		response, err := request.RequestWith(ctx, l.client)
		if err != nil {
			l.t.Fatal(err)
		}
		code = response.ErrorCode
	} else {
		request := kmsg.NewPtrLeaveGroupRequest()
		request.Group, request.MemberID = m.groupName(), name
		request.Members = []kmsg.LeaveGroupRequestMember{{MemberID: name}}
		response, err := request.RequestWith(ctx, l.client)
		if err != nil {
			l.t.Fatal(err)
		}
		code = response.ErrorCode
	}
	if err := kerr.ErrorForCode(code); err != nil {
		l.t.Fatal(err)
	}
}

// forgotten makes the group forget a member and waits until it is in it anew. It need
// not have lost its partitions: the client may hear of it when it joins again anyway.
func (l *lane) forgotten(m *member) {
	l.t.Helper()
	before, _ := m.client.GroupMetadata()
	l.expel(m)
	m.await("a new member", func() bool {
		now, _ := m.client.GroupMetadata()
		return now != "" && now != before
	})
	m.holds(lanePartitions)
	m.await("the shards to be assigned", func() bool {
		return !slices.ContainsFunc(m.Owned(), func(h *OwnedShard) bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.shard.Unassigned()
		})
	})
}

// gate is work that goes on until it is let through, and is counted if it is stopped.
type gate struct{ open chan struct{} }

func (g gate) work(ctx context.Context, _ *shard.Job) {
	select {
	case <-g.open:
	case <-ctx.Done():
	}
}

// TestLostSessionKeepsTheWork: the group forgets a member three times while it works.
// Nothing is stopped, nothing starts twice, and nothing counts as lost.
func TestLostSessionKeepsTheWork(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		l := newTestLane(t)
		work := gate{make(chan struct{})}
		one := l.join("one", with(protocol), work.work)
		one.holds(lanePartitions)
		all := []int32{0, 1, 2, 3}
		l.send("a", all...)
		l.send("b", all...)
		one.until("eight starts", func() bool { return len(one.started) == 8 })
		for range 3 {
			l.forgotten(one)
		}
		l.send("c", all...)
		one.until("four more starts", func() bool { return len(one.started) == 12 })
		close(work.open)
		for _, p := range all {
			one.until("the commit", func() bool { return l.committed(p) == 3 })
		}
		one.mu.Lock()
		for _, s := range one.started {
			if !strings.HasSuffix(s, "#1") {
				t.Errorf("started %s", s)
			}
		}
		if len(one.stopped) > 0 || one.suspects > 0 {
			t.Errorf("stopped %v, %d offered as suspects", one.stopped, one.suspects)
		}
		one.mu.Unlock()
		journal := l.tail()
		one.await("twelve ends", func() bool { return journal.count(t, (*schemas.Event).Terminal) == 12 })
		if n := journal.count(t, isRunning); n != 12 {
			t.Errorf("%d attempts are in the journal, want 12", n)
		}
	})
}

// tail is the journal as far as it was read.
type tail struct {
	client *kgo.Client
	events []*schemas.Event
}

func (l *lane) tail() *tail {
	l.t.Helper()
	return &tail{client: kafkatest.Client(l.t, strings.Join(l.brokers, ","), kgo.ConsumeTopics(l.topics.Events()))}
}

// count reads what has come and counts the tasks' states of which one is true.
func (f *tail) count(t *testing.T, one func(*schemas.Event) bool) (count int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	f.client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
		e, err := schemas.DecodeEvent(r.Value)
		switch {
		case len(r.Key) == 0:
		case err != nil:
			t.Fatal(err)
		default:
			f.events = append(f.events, e)
		}
	})
	for _, e := range f.events {
		if e.Kind == schemas.KindState && one(e) {
			count++
		}
	}
	return count
}

func isRunning(e *schemas.Event) bool { return e.Status == schemas.Running }

func isHandedOver(e *schemas.Event) bool { return e.Status == schemas.Pending && e.Waiting == nil }

// TestLostSessionStartsNothing: a member without a session starts nothing new; what runs
// goes on, and its end is written. The group's member tells of the loss before it waits
// for a commit.
func TestLostSessionStartsNothing(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	work := gate{make(chan struct{})}
	one := l.join("one", func(c *ConsumerConfig) { c.CommitInterval = time.Hour }, work.work)
	one.holds(lanePartitions)
	all := []int32{0, 1, 2, 3}
	l.send("a", all...)
	one.until("four starts", func() bool { return len(one.started) == 4 })

	shards{one.Consumer}.Lost(all)
	l.send("b", all...) // it is still fetched: the group does not know of this loss
	one.await("the records", func() bool {
		records := 0
		for _, h := range one.Owned() {
			h.mu.Lock()
			n, _ := h.shard.Held()
			records += n
			h.mu.Unlock()
		}
		return records == 8
	})
	close(work.open)
	journal := l.tail()
	one.await("four ends", func() bool { return journal.count(t, (*schemas.Event).Terminal) == 4 })
	one.mu.Lock()
	defer one.mu.Unlock()
	if len(one.started) != 4 || len(one.stopped) != 0 {
		t.Errorf("started %v, stopped %v", one.started, one.stopped)
	}
	if l.committed(0) > 0 {
		t.Errorf("committed %d", l.committed(0))
	}
}

// TestLostSessionEndsAtAForeignFence: work that was kept is stopped as soon as another
// owner's fence stands in the journal, and what it makes of it is not written.
func TestLostSessionEndsAtAForeignFence(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	one := l.join("one", nil, hold)
	one.holds(lanePartitions)
	l.send("a", 0, 1)
	one.until("two starts", func() bool { return len(one.started) == 2 })
	shards{one.Consumer}.Lost([]int32{0, 1, 2, 3})
	fence := fold.Stamp{Shard: "fast/1", Epoch: time.Now().UnixMilli() + 10, Seq: 1}
	record := &kgo.Record{Topic: l.topics.Events(), Partition: 1, Headers: fold.Headers[kgo.RecordHeader](fence),
		Value: fmt.Appendf(nil, `{"kind":"fence","worker":"two"}`)}
	began := time.Now()
	if err := l.client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
	one.until("one stop", func() bool { return len(one.stopped) == 1 })
	t.Logf("stopped after %v", time.Since(began).Round(time.Millisecond))
	if one.stopped[0] != "a-1" {
		t.Errorf("stopped %v", one.stopped)
	}
	one.await("its shard to be dropped", func() bool { return one.snapshot()[1] == nil })
}

// TestLostShardThatGoesElsewhereIsHandedOver: a member that is in its group again, and
// is not given a partition it had, hands its work over: no attempt is lost.
func TestLostShardThatGoesElsewhereIsHandedOver(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	one := l.join("one", l.shortSession(ProtocolClassic), hold)
	one.holds(lanePartitions)
	l.send("a", 2)
	one.until("a start", func() bool { return len(one.started) == 1 })
	shards{one.Consumer}.Lost([]int32{2})
	shards{one.Consumer}.Assigned(t.Context(), nil) // it is in the group, without the partition
	one.until("a stop", func() bool { return len(one.stopped) == 1 })
	journal := l.tail()
	one.await("a hand-over", func() bool { return journal.count(t, isHandedOver) == 1 })
}

// A shard that was given up on the coordinator's word, and that the group has left with
// this member all the same, is taken over again from the commit on: the client does not
// say that a partition is assigned which it had before.
func TestGivenUpShardIsTakenOverAgain(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	var hung atomic.Bool
	m := l.join("one", nil, func(ctx context.Context, _ *shard.Job) {
		if hung.CompareAndSwap(false, true) {
			<-ctx.Done()
		}
	})
	m.holds(lanePartitions)
	l.send("a", 1)
	m.until("its start", func() bool { return len(m.started) == 1 })
	l.send("b", 1)
	m.await("the end of the next", func() bool { return len(l.ends(1)) == 1 })
	h := m.snapshot()[1]
	h.do((*shard.Shard).Forget)
	if h.owns(true) {
		t.Error("a shard that was given up is asked for")
	}
	m.client.ForceRebalance()
	m.await("another", func() bool { return m.snapshot()[1] != h })
	m.holds(lanePartitions)
	l.send("c", 1)
	m.until("no lag", func() bool { return l.committed(1) == 3 })
	m.note(func() {
		slices.Sort(m.started) // the last two at the same time
		if got := fmt.Sprint(m.started); got != "[a-1#1 a-1#2 b-1#1 c-1#1]" {
			t.Errorf("started %v, want the one that was stopped and the new one", got)
		}
	})
}
