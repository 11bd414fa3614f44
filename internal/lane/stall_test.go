package lane

import (
	"errors"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// TestStalledShardEndsTheConsumer: the broker answers, records are acknowledged, and
// nothing is heard of them, in one of the logs.
func TestStalledShardEndsTheConsumer(t *testing.T) {
	t.Parallel()
	for name, topic := range map[string]func(schemas.Topics) string{"journal": schemas.Topics.Events,
		"waiting log": schemas.Topics.Scheduled} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTestLane(t)
			m := l.join("one", func(c *ConsumerConfig) {
				c.StallTimeout, c.MarkInterval = 2*time.Second,
					100*time.Millisecond
			}, nil)
			m.holds(lanePartitions)
			if err := m.Healthy(); err != nil {
				t.Errorf("not healthy: %v", err)
			}
			m.reader.client.PauseFetchTopics(topic(l.topics))
			l.sendWith("a", `,"not_before":"2999-01-01T00:00:00Z"`, 0)
			var stall *StallError
			if err := m.failure(t); !errors.As(err, &stall) {
				t.Errorf("ended with %v", err)
			}
			if m.Healthy() == nil {
				t.Error("healthy though stalled")
			}
		})
	}
}

// TestFrozenProcessIsNotStalled: nothing can be heard while the process stands still.
func TestFrozenProcessIsNotStalled(t *testing.T) {
	s := shard.New(shard.Config{Shard: fold.ShardID{Lane: "fast"}}, shard.Port{})
	h := &OwnedShard{shard: s}
	c := &Consumer{config: ConsumerConfig{StallTimeout: time.Minute}}
	now := time.Unix(1000, 0)
	for _, later := range []time.Duration{0, time.Second, 10 * time.Minute, time.Second, 10 * time.Second} {
		now = now.Add(later)
		c.watchStalls(map[int32]*OwnedShard{0: h}, now)
		if c.stalled != nil {
			t.Errorf("after %v: %v", later, c.stalled)
		}
	}
	if d, _ := h.waited(now, time.Minute); d != 11*time.Second {
		t.Errorf("has waited for %v since the thaw, want 11s", d)
	}
}

// TestStallDetector: only records beyond the furthest point are progress, and those of one
// log say nothing of the other.
func TestStallDetector(t *testing.T) {
	var e stallDetector
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
		if got := e.waited(shard.Reading{Waits: true, Next: step.journal}, shard.Reading{Waits: true, Next: step.waits},
			now.Add(time.Duration(i)*time.Second)); got != step.want {
			t.Errorf("step %d: waited in vain for %v, want %v", i, got, step.want)
		}
	}
	if got := e.waited(shard.Reading{Next: 9}, shard.Reading{Next: 7}, now.Add(time.Hour)); got != 0 {
		t.Errorf("with nothing outstanding it waits for %v", got)
	}
}

// TestFrozenBrokerDoesNotEndTheConsumer: an outage is no stall.
func TestFrozenBrokerDoesNotEndTheConsumer(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	m := l.join("one", func(c *ConsumerConfig) { c.StallTimeout, c.MarkInterval = time.Second, 100*time.Millisecond },
		nil)
	m.holds(lanePartitions)
	m.crash()
	select {
	case <-m.ended:
		t.Errorf("ended: %v", m.stop())
	case <-time.After(4 * time.Second): // examinations have begun and got no answer
	}
	m.await("bad health", func() bool { return m.Healthy() != nil })
	began := time.Now()
	if err := m.stop(); err != nil || time.Since(began) > stopWithin {
		t.Errorf("stopping took %v: %v", time.Since(began), err)
	}
}

// TestThawedBrokerDoesNotEndTheConsumer: a broker that was silent for longer than a stall may last answers questions
// before it has taken what was to be written meanwhile. What was waited for until then is no stall.
func TestThawedBrokerDoesNotEndTheConsumer(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	member, writer := newFreezer(), newFreezer()
	m := l.join("one", func(c *ConsumerConfig) {
		c.StallTimeout, c.MarkInterval = 6*time.Second, 100*time.Millisecond
		written := c.Kafka
		written.Dialer, c.Kafka.Dialer = writer.dial, member.dial
		var err error
		if c.Appender, err = NewAppender(written, c.Topics); err != nil {
			t.Fatal(err)
		}
	}, nil)
	m.holds(lanePartitions)
	member.freeze()
	writer.freeze()

	frozen := time.After(m.config.StallTimeout * 5 / 4)
	select {
	case <-frozen:
	case <-m.ended:
		t.Fatalf("ended while the broker was silent: %v", m.stop())
	}
	member.thaw()
	select { // the writer comes back a little later than the others, as from its back-off
	case <-time.After(m.config.StallTimeout / 8):
		writer.thaw()
	case <-m.ended:
		writer.thaw()
		t.Fatalf("ended at the thaw: %v", m.stop())
	}
	l.send("after", 0, 1)
	m.await("the tasks to be committed", func() bool { return l.committed(0) == 1 && l.committed(1) == 1 })
	m.await("good health", func() bool { return m.Healthy() == nil })
}

// TestRefusals: a broker's silence between two refusals is not counted as one.
func TestRefusals(t *testing.T) {
	var r refusals
	start := time.Unix(1000, 0)
	for _, step := range []struct{ at, want time.Duration }{
		{0, 0},
		{time.Second, time.Second},
		{20 * time.Second, 20 * time.Second},
		{sessionPatience, 0}, // silent for 40 s
		{sessionPatience + 30*time.Second, 30 * time.Second},
		{2 * sessionPatience, sessionPatience},
	} {
		if got := r.take(start.Add(step.at)); got != step.want {
			t.Errorf("after %v it is refused for %v, want %v", step.at, got, step.want)
		}
	}
}
