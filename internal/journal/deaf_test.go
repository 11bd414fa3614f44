package journal

import (
	"errors"
	"testing"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// TestDeafShardEndsTheConsumer: the broker answers, records are acknowledged, and
// nothing is heard of them, in one of the logs.
func TestDeafShardEndsTheConsumer(t *testing.T) {
	t.Parallel()
	for name, topic := range map[string]func(schemas.Topics) string{"journal": schemas.Topics.Events, "waiting log": schemas.Topics.Scheduled} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTestLane(t)
			m := l.join("one", func(c *ConsumerConfig) { c.StallTimeout, c.MarkInterval = 2*time.Second, 100*time.Millisecond }, nil)
			m.holds(lanePartitions)
			if err := m.Healthy(); err != nil {
				t.Errorf("not healthy: %v", err)
			}
			m.reader.client.PauseFetchTopics(topic(l.topics))
			l.sendWith("a", `,"not_before":"2999-01-01T00:00:00Z"`, 0)
			var deaf *DeafError
			if err := m.failure(t); !errors.As(err, &deaf) {
				t.Errorf("ended with %v", err)
			}
			if m.Healthy() == nil {
				t.Error("healthy though deaf")
			}
		})
	}
}

// TestAwaits: a shard waits for a log as long as something of it is outstanding
// there, and a long read of one log is no deafness for the other.
func TestAwaits(t *testing.T) {
	fenced := func(s *Shard) { s.phase, s.fenceAt, s.waits.fenceAt = phaseFencing, 7, 3 }
	for _, tt := range []struct {
		name           string
		set            func(*Shard)
		journal, waits bool
	}{
		{"not ours", func(s *Shard) { s.phase = phaseForgotten }, false, false},
		{"running, all is said", func(s *Shard) { s.phase = phaseRunning }, false, false},
		{"a record of the journal", func(s *Shard) { s.phase = phaseRunning; s.outbox.add(pending{}) }, true, false},
		{"a waiting record", func(s *Shard) { s.phase = phaseRunning; s.waits.outbox = make([]waitPending, 1) }, false, true},
		{"reading both", func(s *Shard) { s.phase, s.readEnd, s.waits.readEnd = phaseReading, 1, 1 }, true, true},
		{"a long journal", func(s *Shard) { s.phase, s.readEnd = phaseReading, 1 }, true, false},
		{"a long waiting log", func(s *Shard) { s.phase, s.waits.readEnd = phaseReading, 1 }, false, true},
		{"fences not acknowledged", func(s *Shard) { s.phase = phaseFencing }, true, true},
		{"fences not read", fenced, true, true},
		{"one fence read", func(s *Shard) { fenced(s); s.next = 8 }, false, true},
		{"the other read", func(s *Shard) { fenced(s); s.waits.next = 4 }, true, false},
		{"what is stale is written again", func(s *Shard) {
			fenced(s)
			s.next, s.waits.next, s.waits.outbox = 8, 4, make([]waitPending, 1)
		}, false, true},
		{"between two take-overs", func(s *Shard) { s.phase = phaseDoubting }, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Config{Shard: ShardID{Lane: "fast"}}, nil)
			tt.set(s)
			if journal, waits := s.awaits(); journal != tt.journal || waits != tt.waits {
				t.Errorf("waits for the journal: %t, for the waiting log: %t, want %t and %t", journal, waits, tt.journal, tt.waits)
			}
		})
	}
}

// TestEars: only records beyond the furthest point are progress, and those of one
// log say nothing of the other.
func TestEars(t *testing.T) {
	s := New(Config{Shard: ShardID{Lane: "fast"}}, nil)
	s.phase = phaseDoubting
	var e ears
	now := time.Unix(1000, 0)
	for i, step := range []struct {
		journal, waits int64
		want           time.Duration
	}{
		{5, 5, 0},
		{6, 6, 0},
		{7, 6, time.Second},
		{8, 2, 2 * time.Second}, // read again from its start
		{9, 6, 3 * time.Second},
		{9, 7, time.Second}, // the journal's turn
	} {
		s.next, s.waits.next = step.journal, step.waits
		if got := e.listen(s, now.Add(time.Duration(i)*time.Second)); got != step.want {
			t.Errorf("step %d: waited in vain for %v, want %v", i, got, step.want)
		}
	}
	s.phase = phaseRunning
	if got := e.listen(s, now.Add(time.Hour)); got != 0 {
		t.Errorf("with nothing outstanding it waits for %v", got)
	}
}

// TestFrozenBrokerDoesNotEndTheConsumer: an outage is no deafness.
func TestFrozenBrokerDoesNotEndTheConsumer(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	m := l.join("one", func(c *ConsumerConfig) { c.StallTimeout, c.MarkInterval = time.Second, 100*time.Millisecond }, nil)
	m.holds(lanePartitions)
	m.crash()
	m.await("bad health", func() bool { return m.Healthy() != nil })
	select {
	case <-m.ended:
		t.Errorf("ended: %v", m.stop())
	case <-time.After(3 * time.Second): // the examination has begun and gets no answer
	}
	began := time.Now()
	if err := m.stop(); err != nil || time.Since(began) > m.config.DrainTimeout+10*time.Second {
		t.Errorf("stopping took %v: %v", time.Since(began), err)
	}
}
