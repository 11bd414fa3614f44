package lane

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

func TestDeadLettersAreSpread(t *testing.T) {
	place := placement("dlq")
	if got := place("dlq")(&kgo.Record{Partition: 7}, 3); got != 1 {
		t.Errorf("a letter of partition 7 goes to %d of 3", got)
	}
	if got := place("task-events")(&kgo.Record{Partition: 7}, 3); got != 7 {
		t.Errorf("a journal record of partition 7 goes to %d", got)
	}
}

func TestDeadLetterPolicy(t *testing.T) {
	last, first := 3, 1
	tests := []struct {
		code    schemas.ErrorCode
		status  schemas.Status
		attempt int
		want    map[DeadLetterPolicy]bool
	}{
		{schemas.CodeBlocked, schemas.Failed, first,
			map[DeadLetterPolicy]bool{DeadLettersNone: true, "": true, DeadLettersAll: true}},
		{schemas.CodePanic, schemas.Failed, first,
			map[DeadLetterPolicy]bool{DeadLettersNone: true, "": true, DeadLettersAll: true}},
		{schemas.CodeUnknownVersion, schemas.Failed, 0,
			map[DeadLetterPolicy]bool{DeadLettersNone: true, "": true, DeadLettersAll: true}},
		{schemas.CodeServiceError, schemas.Failed, first,
			map[DeadLetterPolicy]bool{DeadLettersNone: false, "": false, DeadLettersAll: true}},
		{schemas.CodeServiceError, schemas.Failed, last,
			map[DeadLetterPolicy]bool{DeadLettersNone: false, "": true, DeadLettersExhausted: true,
				DeadLettersAll: true}},
		{schemas.CodeTimeLimit, schemas.TimedOut, last,
			map[DeadLetterPolicy]bool{DeadLettersNone: false, "": false, DeadLettersAll: true}},
		{schemas.CodeExpired, schemas.Cancelled, last, map[DeadLetterPolicy]bool{DeadLettersAll: false}},
		{"", schemas.Completed, last, map[DeadLetterPolicy]bool{DeadLettersAll: false}},
	}
	for _, test := range tests {
		j := &shard.Job{Task: new(schemas.Task), Attempt: test.attempt}
		e := &schemas.Event{Kind: schemas.KindState, Status: test.status, ErrorCode: test.code}
		for policy, want := range test.want {
			if got := policy.wants(j, e); got != want {
				t.Errorf("%s %s at attempt %d with %q: %v", test.status, test.code, test.attempt, policy, got)
			}
		}
	}
}

// TestBlockerIsEvicted: a task that never returns holds up its shard's window of
// 60; the others go on, it gets a letter, and the prefix passes it.
func TestBlockerIsEvicted(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	const count = 150
	m := l.join("one", func(c *ConsumerConfig) { c.ReadAhead = 60 }, func(ctx context.Context, j *shard.Job) {
		if j.Offset == 0 {
			<-ctx.Done()
		}
	})
	for n := range count {
		l.send(fmt.Sprint("t", n), 1)
	}
	m.until("all of it", func() bool { return l.committed(1) == count })
	if got := strings.Join(m.stopped, " "); got != "t0-1" {
		t.Errorf("stopped %q, want the blocker alone", got)
	}
	letters := kafkatest.Client(t, strings.Join(l.brokers, ","), kgo.ConsumeTopics(l.topics.DeadLetters()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	letter := letters.PollRecords(ctx, 1).Records()[0]
	headers := map[string]string{}
	for _, h := range letter.Headers {
		headers[h.Key] = string(h.Value)
	}
	if letter.Partition != 1 || headers[schemas.HeaderReason] != "blocked" || headers[schemas.HeaderAttempt] != "1" ||
		!strings.HasPrefix(headers[schemas.HeaderHistory],
			`{"attempts":1,"failed":1,"history":[{"attempt":1,"worker":"one","started":"`) {
		t.Errorf("letter in partition %d with %v", letter.Partition, headers)
	}
}

// TestDrainEndsThoughTheBrokerIsFrozen: within the drain time and a moment for
// what has to be given up.
func TestDrainEndsThoughTheBrokerIsFrozen(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	m := l.join("one", nil, hold)
	m.holds(lanePartitions)
	l.send("a", 0)
	m.until("its start", func() bool { return len(m.started) == 1 })
	m.crash()
	began := time.Now()
	if err := m.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > stopWithin {
		t.Errorf("stopping took %v", took)
	} else {
		t.Logf("stopping took %v", took)
	}
}
