package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/shard"
)

// StallError is why a consumer ends by itself: it is in its group and the broker
// answers, but a shard gets nowhere. Nothing in the process can be trusted to
// mend that; a new process starts afresh, and until then others can take over.
type StallError struct {
	Shard string
	For   time.Duration
}

func (e *StallError) Error() string {
	return fmt.Sprintf("shard %s has heard nothing of its journal or its waiting log for %v although the broker "+
		"answers; the process should be started again",
		e.Shard, e.For.Round(time.Second))
}

// sessionPatience is how long the group may refuse this member before the
// consumer gives up. It is longer than the 45 s for which a broker keeps a static
// member's place whose process was killed.
const sessionPatience = time.Minute

// logStall notes how long a shard has waited in vain for one of its logs. What was
// outstanding when another take-over starts is still waited for, so only records
// beyond the furthest point ever reached are progress.
type logStall struct {
	furthest int64
	since    time.Time
}

// waited is how long the shard has waited in vain, if it waits.
func (e *logStall) waited(r shard.Reading, now time.Time) time.Duration {
	if !r.Waits || e.since.IsZero() || r.Next > e.furthest {
		e.furthest, e.since = r.Next, now
	}
	return now.Sub(e.since)
}

// stallDetector are a shard's, one for each log: while one goes on nothing is said of the
// other.
type stallDetector struct {
	journal, waits logStall
	askedAt        time.Time
}

func (e *stallDetector) waited(journal, waits shard.Reading, now time.Time) time.Duration {
	return max(e.journal.waited(journal, now), e.waits.waited(waits, now))
}

// stallLooks is how often the broker is looked at while a shard waits for the stall timeout. A stall is what lasts so
// long while every look finds the broker well. One look at the end would not do: a broker that was silent all the time
// and answers again is asked before the clients have come back to it that the shard waits for.
const stallLooks = 4

// waited is how long the shard has waited in vain, and whether it is time to
// find out why.
func (h *OwnedShard) waited(now time.Time, limit time.Duration) (d time.Duration, ask bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	journal, waits := h.shard.Readings()
	d = h.stall.waited(journal, waits, now)
	if d < limit/stallLooks || now.Sub(h.stall.askedAt) < limit/stallLooks {
		return d, false
	}
	h.stall.askedAt = now
	return d, true
}

// resetStall forgets how long the shard has waited.
func (h *OwnedShard) resetStall() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stall = stallDetector{askedAt: h.stall.askedAt}
}

// watchStalls looks for shards that get nowhere.
func (c *Consumer) watchStalls(held map[int32]*OwnedShard, now time.Time) {
	limit := c.config.StallTimeout
	if limit <= 0 {
		return
	}
	// A process that was frozen has heard nothing while it could hear nothing.
	frozen := now.Sub(c.stallsWatchedAt) > limit/stallLooks
	c.stallsWatchedAt = now
	var stalled error
	for _, h := range held {
		if frozen {
			h.resetStall()
		}
		d, ask := h.waited(now, limit)
		if d >= limit {
			stalled = &StallError{Shard: h.name, For: d}
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
// here would lose its attempt. What the shard waits for has its whole time again
// after it, as a broker's answer that comes late is none.
func (h *OwnedShard) examine(ctx context.Context) {
	c := h.consumer
	ctx, cancel := context.WithTimeout(ctx, min(lookupTimeout, c.config.StallTimeout/stallLooks))
	defer cancel()
	if err := c.brokerWell(ctx, h.id.Partition); err != nil {
		h.resetStall()
		c.log.Warn("shard waits for the broker", "shard", h.name, "error", err)
		return
	}
	if d, _ := h.waited(time.Now(), c.config.StallTimeout); d >= c.config.StallTimeout {
		c.fail(&StallError{Shard: h.name, For: d})
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
			return fmt.Errorf("%s/%d has %d of %d replicas in sync", topic, partition, len(detail.ISR),
				len(detail.Replicas))
		}
	}
	return nil
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

// refusals are those of a member by its group, one after the other.
type refusals struct{ since, last time.Time }

// take notes a refusal, and gives for how long there have been some. A long time without an answer between two is
// none in which the group has refused anybody.
func (r *refusals) take(now time.Time) time.Duration {
	if now.Sub(r.last) > sessionPatience/2 {
		r.since = now
	}
	r.last = now
	return now.Sub(r.since)
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
		c.fail(fmt.Errorf("the broker refuses a session timeout of %v: choose one between its "+
			"group.min.session.timeout.ms and group.max.session.timeout.ms, by default 6s to 30m",
			c.config.SessionTimeout))
		return
	}
	c.mu.Lock()
	since := c.refused.take(time.Now())
	c.mu.Unlock()
	switch {
	case since < sessionPatience:
	case errors.Is(err, kerr.UnreleasedInstanceID):
		c.fail(fmt.Errorf("%w (%s)", ErrInstanceTaken, c.instance()))
	default:
		c.fail(fmt.Errorf("group %s has refused this member for %v: %w", c.groupName(), since.Round(time.Second), err))
	}
}
