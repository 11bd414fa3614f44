package journal

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

func TestBlockerNeedsAFullWindowThatIsFinished(t *testing.T) {
	tests := []struct {
		name                   string
		held, finished         int
		records, bytes         int
		headRuns, wantsBlocker bool
	}{
		{"full and finished", 100, 99, 100, 1 << 20, true, true},
		{"full by its bytes", 100, 99, 1000, 700, true, true},
		{"an outage: full, nothing finishes", 100, 0, 100, 1 << 20, true, false},
		{"98% is not more than 98%", 100, 98, 100, 1 << 20, true, false},
		{"finished, not full", 90, 89, 100, 1 << 20, true, false},
		{"the head waits for its turn", 100, 99, 100, 1 << 20, false, false},
		{"empty", 0, 0, 0, 0, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, d := running(t)
			for n := range test.held {
				j := job(int64(n), fmt.Sprint(n))
				s.Receive(j)
				switch {
				case n == 0 && test.headRuns:
					s.Begin(j)
					s.Appended(d.last().Stamp, 1)
				case n > 0 && n <= test.finished:
					j.finished = true
				}
			}
			b, found := s.Blocker(test.records, test.bytes)
			if found != test.wantsBlocker {
				t.Fatalf("found %v: %+v", found, b)
			}
			if found && (b.Job.Offset != 0 || b.Held != test.held || b.Finished != test.finished) {
				t.Errorf("evidence %+v", b)
			}
		})
	}
}

// TestCondemnedJobEndsAfterItsLetter, once, whatever its service says meanwhile.
func TestCondemnedJobEndsAfterItsLetter(t *testing.T) {
	s, d := running(t)
	j := begun(t, s, 0, "a")
	s.Appended(d.last().Stamp, 1)
	s.Follow([]Entry{entry(t, 1, d.last())}, 2)
	if !s.Condemn(j, s.FailedEvent(j, schemas.CodeBlocked, "held up")) {
		t.Fatal("a job that runs cannot be condemned")
	}
	if len(d.buried) != 1 || len(d.records) != 2 || s.Quiet() {
		t.Fatalf("%d letters, %d records, quiet %v: the event must wait for the letter, and the drain for both", len(d.buried), len(d.records), s.Quiet())
	}
	if s.Conclude(j, s.NewEvent(j, schemas.KindState, schemas.Completed)) || s.Condemn(j, s.FailedEvent(j, schemas.CodePanic, "")) {
		t.Fatal("a condemned job ends in another way")
	}
	s.Buried(j)
	s.Buried(j) // of a letter that was written twice
	if e := d.last().Event; len(d.records) != 3 || e.ErrorCode != schemas.CodeBlocked || e.Attempt != 1 {
		t.Fatalf("%d records, the last %+v", len(d.records), d.last())
	}
}

// TestConvictionIsLookedAtAgainAfterItsLetter: a take-over showed that the lost
// attempt was handed over.
func TestConvictionIsLookedAtAgainAfterItsLetter(t *testing.T) {
	s, d := running(t)
	j := job(0, "a")
	s.Receive(j)
	s.condemn(j, s.FailedEvent(j, schemas.CodeWorkerLost, "lost"))
	s.Buried(j)
	if len(d.records) != 1 || len(d.offered) != 2 {
		t.Fatalf("%d records, offered %d times; an acquitted job is offered again", len(d.records), len(d.offered))
	}
}

func TestLettersAreSpread(t *testing.T) {
	place := placement("dlq")
	if got := place("dlq")(&kgo.Record{Partition: 7}, 3); got != 1 {
		t.Errorf("a letter of partition 7 goes to %d of 3", got)
	}
	if got := place("task-events")(&kgo.Record{Partition: 7}, 3); got != 7 {
		t.Errorf("a journal record of partition 7 goes to %d", got)
	}
}

func TestLetterPolicy(t *testing.T) {
	last, first := 3, 1
	tests := []struct {
		code    schemas.ErrorCode
		status  schemas.Status
		attempt int
		want    map[LetterPolicy]bool
	}{
		{schemas.CodeBlocked, schemas.Failed, first, map[LetterPolicy]bool{LettersNone: true, "": true, LettersAll: true}},
		{schemas.CodePanic, schemas.Failed, first, map[LetterPolicy]bool{LettersNone: true, "": true, LettersAll: true}},
		{schemas.CodeUnknownVersion, schemas.Failed, 0, map[LetterPolicy]bool{LettersNone: true, "": true, LettersAll: true}},
		{schemas.CodeServiceError, schemas.Failed, first, map[LetterPolicy]bool{LettersNone: false, "": false, LettersAll: true}},
		{schemas.CodeServiceError, schemas.Failed, last, map[LetterPolicy]bool{LettersNone: false, "": true, LettersExhausted: true, LettersAll: true}},
		{schemas.CodeTimeLimit, schemas.TimedOut, last, map[LetterPolicy]bool{LettersNone: false, "": false, LettersAll: true}},
		{schemas.CodeExpired, schemas.Cancelled, last, map[LetterPolicy]bool{LettersAll: false}},
		{"", schemas.Completed, last, map[LetterPolicy]bool{LettersAll: false}},
	}
	for _, test := range tests {
		j := job(0, "a")
		j.Attempt = test.attempt
		e := &schemas.Event{Kind: schemas.KindState, Status: test.status, ErrorCode: test.code}
		for policy, want := range test.want {
			if got := policy.buries(j, e); got != want {
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
	m := l.join("one", func(c *ConsumerConfig) { c.ReadAhead = 60 }, func(ctx context.Context, j *Job) {
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
	letters := kafkatest.Client(t, strings.Join(l.brokers, ","), kgo.ConsumeTopics(l.topics.DeadLetters()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	letter := letters.PollRecords(ctx, 1).Records()[0]
	headers := map[string]string{}
	for _, h := range letter.Headers {
		headers[h.Key] = string(h.Value)
	}
	if letter.Partition != 1 || headers[schemas.HeaderReason] != "blocked" || headers[schemas.HeaderAttempt] != "1" ||
		!strings.HasPrefix(headers[schemas.HeaderHistory], `{"attempts":1,"history":[{"attempt":1,"worker":"one","started":"`) {
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
	if took := time.Since(began); took > m.config.DrainTimeout+10*time.Second {
		t.Errorf("stopping took %v", took)
	} else {
		t.Logf("stopping took %v", took)
	}
}
