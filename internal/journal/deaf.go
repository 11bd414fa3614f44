package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// DeafError is why a consumer ends by itself: it is in its group and the broker
// answers, but a shard gets nowhere. Nothing in the process can be trusted to
// mend that; a new process starts afresh, and until then others can take over.
type DeafError struct {
	Shard string
	For   time.Duration
}

func (e *DeafError) Error() string {
	return fmt.Sprintf("shard %s has heard nothing of its journal or its waiting log for %v although the broker answers; the process should be started again",
		e.Shard, e.For.Round(time.Second))
}

// sessionPatience is how long the group may refuse this member before the
// consumer gives up. It is longer than the 45 s for which a broker keeps a static
// member's place whose process was killed.
const sessionPatience = time.Minute

// ear notes how long a shard has waited in vain for one of its logs. What was
// outstanding when another take-over starts is still waited for, so only records
// beyond the furthest point ever reached are progress.
type ear struct {
	furthest int64
	since    time.Time
}

// listen is how long the shard has waited in vain, if it waits, with the log read
// up to next.
func (e *ear) listen(waits bool, next int64, now time.Time) time.Duration {
	if !waits || e.since.IsZero() || next > e.furthest {
		e.furthest, e.since = next, now
	}
	return now.Sub(e.since)
}

// ears are a shard's, one for each log: while one goes on nothing is said of the
// other.
type ears struct {
	journal, waits ear
	askedAt        time.Time
}

func (e *ears) listen(s *Shard, now time.Time) time.Duration {
	journal, waits := s.awaits()
	return max(e.journal.listen(journal, s.next, now), e.waits.listen(waits, s.waits.next, now))
}

// awaits reports for which of its logs the shard waits.
func (s *Shard) awaits() (journal, waits bool) {
	switch s.phase {
	case phaseForgotten:
		return false, false
	case phaseRunning:
		return s.outbox.len() > 0, len(s.waits.outbox) > 0
	case phaseReading:
		return s.next < s.readEnd, s.waits.next < s.waits.readEnd
	case phaseFencing:
		return !s.fenced(), !s.waits.fenced() || len(s.waits.outbox) > 0
	}
	return true, true // between two take-overs what was waited for still is
}

// waited is how long the shard has waited in vain, and whether it is time to
// find out why.
func (h *Held) waited(now time.Time, limit time.Duration) (d time.Duration, ask bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d = h.ears.listen(h.shard, now)
	if d < limit || now.Sub(h.ears.askedAt) < limit/4 {
		return d, false
	}
	h.ears.askedAt = now
	return d, true
}

// listen looks after the shards' ears.
func (c *Consumer) listen(held map[int32]*Held, now time.Time) {
	limit := c.config.StallTimeout
	if limit <= 0 {
		return
	}
	var stalled error
	for _, h := range held {
		d, ask := h.waited(now, limit)
		if d >= limit {
			stalled = &DeafError{Shard: h.name, For: d}
		}
		if ask {
			c.spawn(h.examine)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = stalled
}

// examine finds out whose fault it is that a shard gets nowhere. An outage of the
// broker is no reason to end: another process would have the same, and what runs
// here would lose its attempt.
func (h *Held) examine(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	c := h.consumer
	if err := c.brokerWell(ctx, h.id.Partition); err != nil {
		c.log.Warn("shard waits for the broker", "shard", h.name, "error", err)
		return
	}
	if d, _ := h.waited(time.Now(), c.config.StallTimeout); d >= c.config.StallTimeout {
		c.fail(&DeafError{Shard: h.name, For: d})
	}
}

// brokerWell is an error if the broker cannot do what a shard needs of it: say
// what is committed and where its logs end, and take records with all replicas
// in step.
func (c *Consumer) brokerWell(ctx context.Context, partition int32) error {
	if _, err := c.loadCommit(ctx, partition); err != nil {
		return err
	}
	logs := []string{c.config.Topics.Events(), c.config.Topics.Scheduled()}
	topics, err := kadm.NewClient(c.reader.client).ListTopics(ctx, logs...)
	if err != nil {
		return fmt.Errorf("describe topics: %w", err)
	}
	for _, topic := range logs {
		if _, err := c.bounds(ctx, topic, partition); err != nil {
			return err
		}
		detail := topics[topic].Partitions[partition]
		if len(detail.ISR) < len(detail.Replicas) {
			return fmt.Errorf("%s/%d has %d of %d replicas in sync", topic, partition, len(detail.ISR), len(detail.Replicas))
		}
	}
	return nil
}

// Healthy is nil while every shard gets on. The error says which does not.
func (c *Consumer) Healthy() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return c.broken
	}
	return c.stalled
}

// fail ends the consumer with an error; the first one counts.
func (c *Consumer) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = err
		close(c.failed)
	}
}

// sessionFailed takes note that the group does not accept this member. What a
// broker that is down or moving causes passes by itself.
func (c *Consumer) sessionFailed(err error) {
	var session *kgo.ErrGroupSession
	var refusal *kerr.Error
	if !errors.As(err, &session) || !errors.As(err, &refusal) || refusal.Retriable {
		return
	}
	if errors.Is(err, kerr.FencedInstanceID) {
		c.fail(fmt.Errorf("%w (%s)", ErrInstanceTaken, c.instance()))
		return
	}
	if errors.Is(err, kerr.InvalidSessionTimeout) {
		c.fail(fmt.Errorf("the broker refuses a session timeout of %v: choose one between its group.min.session.timeout.ms and group.max.session.timeout.ms, by default 6s to 30m", c.config.SessionTimeout))
		return
	}
	now := time.Now()
	c.mu.Lock()
	if c.refusedAt.IsZero() {
		c.refusedAt = now
	}
	since := now.Sub(c.refusedAt)
	c.mu.Unlock()
	switch {
	case since < sessionPatience:
	case errors.Is(err, kerr.UnreleasedInstanceID):
		c.fail(fmt.Errorf("%w (%s)", ErrInstanceTaken, c.instance()))
	default:
		c.fail(fmt.Errorf("group %s has refused this member for %v: %w", c.group(), since.Round(time.Second), err))
	}
}
