package lane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// newSubmitter is one for the lanes of a test, closed at its end.
func (l *lane) newSubmitter() *Submitter {
	l.t.Helper()
	s := NewSubmitter(kafka.Config{Brokers: l.brokers, Logger: l.log}, l.topics)
	l.t.Cleanup(s.Close)
	return s
}

// records are what a topic has, from its beginning, once there are count of them.
func (l *lane) records(topic string, count int) (all []*kgo.Record) {
	l.t.Helper()
	reader := kafkatest.Client(l.t, strings.Join(l.brokers, ","), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx := l.ctx()
	for len(all) < count && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) { all = append(all, r) })
	}
	if len(all) < count {
		l.t.Fatalf("%s has %d records, want %d", topic, len(all), count)
	}
	return all
}

// TestSubmittedTasksAreWithTheirUsers: a user's tasks are in one partition, keyed as everybody's tasks are, with the
// trace that they belong to. The submitter is first used by many at once.
func TestSubmittedTasksAreWithTheirUsers(t *testing.T) {
	t.Parallel()
	const users, each = 5, 4
	l := newTestLane(t)
	s := l.newSubmitter()
	var all sync.WaitGroup
	for user := range users {
		for n := range each {
			all.Go(func() {
				task := Submission{Lane: schemas.LaneFast, User: fmt.Sprint("user-", user), Record: fmt.Appendf(nil, "%d", n)}
				if user == 0 {
					task.Traceparent = "00-trace"
				}
				if err := s.Submit(l.ctx(), task); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	partitions := map[string]map[int32]bool{}
	for _, r := range l.records(l.topics.Lane(schemas.LaneFast), users*each) {
		user := string(r.Key)
		if partitions[user] == nil {
			partitions[user] = map[int32]bool{}
		}
		partitions[user][r.Partition] = true
		traced := len(r.Headers) == 1 && r.Headers[0].Key == schemas.HeaderTraceparent &&
			string(r.Headers[0].Value) == "00-trace"
		if traced != (user == "user-0") || !traced && len(r.Headers) > 0 {
			t.Errorf("the record of %s has headers %v", user, r.Headers)
		}
	}
	if len(partitions) != users {
		t.Errorf("there are tasks of %d users", len(partitions))
	}
	for user, of := range partitions {
		if len(of) != 1 {
			t.Errorf("the tasks of %s are in %d partitions", user, len(of))
		}
	}
}

// TestSubmitToALaneThatComesLater: without a topic the caller is told so, and once there is one it is used.
func TestSubmitToALaneThatComesLater(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	s := l.newSubmitter()
	task := Submission{Lane: "gpu", User: "u", Record: []byte("{}")}
	err := s.Submit(l.ctx(), task)
	kafkatest.MustSay(t, err, `submit to lane "gpu"`, "there is no topic "+l.topics.Lane("gpu"))
	kafkatest.Installation{}.Through(l.client).Create(t, l.topics.Lane("gpu"), lanePartitions, nil)
	if err := s.Submit(l.ctx(), task); err != nil {
		t.Errorf("once the topic is there: %v", err)
	}
	l.records(l.topics.Lane("gpu"), 1)
}

// TestSubmitThroughAnOutage: who does not wait any longer is let go with the reason, and the broker is found again.
// What nobody has waited for may be there too: it is the same task.
func TestSubmitThroughAnOutage(t *testing.T) {
	t.Parallel()
	broker := kafkatest.StartKillable(t)
	l := newTestLaneOn(t, broker.Addr())
	s := l.newSubmitter()
	task := Submission{Lane: schemas.LaneFast, User: "u", Record: []byte(`{"n":1}`)}
	if err := s.Submit(l.ctx(), task); err != nil {
		t.Fatal(err)
	}
	broker.Kill()
	impatient, giveUp := context.WithCancelCause(l.ctx())
	why := errors.New("the attempt was cancelled")
	giveUp(why)
	if err := s.Submit(impatient, task); !errors.Is(err, why) {
		t.Errorf("while nobody answers: %v", err)
	}
	broker.Restart()
	if err := s.Submit(l.ctx(), task); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	for _, r := range l.records(l.topics.Lane(schemas.LaneFast), 2) {
		if string(r.Value) != `{"n":1}` {
			t.Errorf("the lane has %s", r.Value)
		}
	}
}

// TestSubmitsAreBounded: a broker that is away holds so many tasks up and no more, and a processor that stops gives
// them up.
func TestSubmitsAreBounded(t *testing.T) {
	t.Parallel()
	broker := kafkatest.StartKillable(t)
	l := newTestLaneOn(t, broker.Addr())
	s := l.newSubmitter()
	task := Submission{Lane: schemas.LaneFast, User: "u", Record: []byte("{}")}
	if err := s.Submit(l.ctx(), task); err != nil {
		t.Fatal(err)
	}
	kafkatest.Eventually(t, "nothing on its way", func() bool { return s.client.BufferedProduceRecords() == 0 })
	broker.Kill()
	ended, end := context.WithCancel(t.Context())
	end()
	for range maxSubmitting {
		if err := s.Submit(ended, task); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	kafkatest.MustSay(t, s.Submit(l.ctx(), task), "10000 tasks are on their way to a broker that does not take them")
	s.Close()
	s.Close()
	kafkatest.MustSay(t, s.Submit(l.ctx(), task), "the processor stops")
	broker.Restart()
}
