package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/shard"
)

// static makes a member one whose place in the group outlives its process.
func static(p Protocol, instance string) func(*ConsumerConfig) {
	return func(c *ConsumerConfig) {
		c.Protocol, c.InstanceID, c.SessionTimeout = p, instance, 30*time.Second
	}
}

// couple is a lane whose partitions two static members share.
type couple struct {
	*lane
	names   [2]string
	members [2]*member
	starts  []string // of members that are gone
}

func newCouple(t *testing.T, protocol Protocol) *couple {
	c := &couple{lane: newTestLane(t), names: [2]string{"one", "two"}}
	for i, name := range c.names {
		c.members[i] = c.join(name, static(protocol, name), nil)
		c.members[i].holds(lanePartitions / (i + 1))
	}
	c.members[0].holds(lanePartitions / 2)
	return c
}

// allStarted waits until so many tasks were started by anybody.
func (c *couple) allStarted(count int) {
	c.t.Helper()
	c.members[0].until(fmt.Sprint(count, " starts"), func() bool {
		c.members[1].mu.Lock()
		defer c.members[1].mu.Unlock()
		return len(c.starts)+len(c.members[0].started)+len(c.members[1].started) >= count
	})
}

// TestStaticMemberComesBackToItsShards: while it is away its shards wait for it
// and the other's go on. It gets the same ones back, nobody else gives any up,
// and what it had finished is not run a second time.
func TestStaticMemberComesBackToItsShards(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := newCouple(t, protocol)
		for i, name := range c.names { // the first of them leads the group
			c.restart(i, protocol, name)
		}
		all := slices.Concat(c.starts, c.members[0].started, c.members[1].started)
		slices.Sort(all)
		for i := range all {
			if i > 0 && all[i] == all[i-1] || all[i][len(all[i])-2:] != "#1" {
				t.Errorf("started %s", all)
			}
		}
		for p := range int32(lanePartitions) {
			c.members[0].until("the commit", func() bool { return c.committed(p) == 4 })
		}
	})
}

// restart ends a member in order and starts it again, with a task for every
// partition before it ends and one while it is away.
func (c *couple) restart(i int, protocol Protocol, name string) {
	c.t.Helper()
	all := []int32{0, 1, 2, 3}
	m, other := c.members[i], c.members[1-i]
	shards := m.shards()
	forgot := len(other.forgot)
	before := 2 * lanePartitions * i
	c.send(name+"-before", all...)
	c.allStarted(before + lanePartitions)
	if err := m.stop(); err != nil {
		c.t.Fatal(err)
	}
	c.send(name+"-away", all...)
	c.allStarted(before + lanePartitions + lanePartitions/2)
	c.starts = append(c.starts, m.started...)
	m = c.join(name, static(protocol, name), nil)
	c.members[i] = m
	m.holds(len(shards))
	c.allStarted(before + 2*lanePartitions)
	if got := m.shards(); !slices.Equal(got, shards) {
		c.t.Errorf("%s comes back to %v, it had %v", name, got, shards)
	}
	if len(other.forgot) > forgot {
		c.t.Errorf("the other gave up %v", other.forgot[forgot:])
	}
}

// TestStaticMemberHandsOver: work that a stop interrupts goes on in the next
// process under the same number, on the shard that waited for it.
func TestStaticMemberHandsOver(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		l := newTestLane(t)
		one := l.join("one", static(protocol, "one"), hold)
		one.holds(lanePartitions)
		l.send("a", 2)
		one.until("the start", func() bool { return len(one.started) == 1 })
		if err := one.stop(); err != nil {
			t.Fatal(err)
		}
		again := l.join("one", static(protocol, "one"), nil)
		again.until("the commit", func() bool { return l.committed(2) == 1 })
		if !slices.Equal(again.started, []string{"a-2#1"}) {
			t.Errorf("started %v, want the first attempt again", again.started)
		}
	})
}

// TestSecondProcessOfAnInstance: by the classic protocol the newer one has the
// place, and the older one ends with a reason and does not come back for it.
func TestSecondProcessOfAnInstance(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	older := l.join("older", static(ProtocolClassic, "same"), hold)
	older.holds(lanePartitions)
	l.send("a", 0, 1, 2, 3)
	older.until("four starts", func() bool { return len(older.started) == 4 })
	newer := l.join("newer", static(ProtocolClassic, "same"), nil)
	if err := older.failure(t); !errors.Is(err, ErrInstanceTaken) {
		t.Errorf("the older one ended with %v, want %v", err, ErrInstanceTaken)
	}
	if len(older.stopped) != 4 {
		t.Errorf("it stopped %v of its four tasks", older.stopped)
	}
	newer.holds(lanePartitions)
	for p := range int32(lanePartitions) {
		newer.until("the commit", func() bool { return l.committed(p) == 1 })
	}
	slices.Sort(newer.started)
	// The older one was heard a moment ago, so the newer one lets it hand over.
	if want := []string{"a-0#1", "a-1#1", "a-2#1", "a-3#1"}; !slices.Equal(newer.started, want) {
		t.Errorf("the newer one started %v, want %v", newer.started, want)
	}
}

// TestSecondProcessOfAnInstanceIsRefused: by the consumer protocol the older one
// keeps the place, and the newer one ends when it has been refused for as long as
// a killed process's place is kept.
func TestSecondProcessOfAnInstanceIsRefused(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	var ran atomic.Int32
	older := l.join("older", static(ProtocolConsumer, "same"), func(context.Context, *shard.Job) { ran.Add(1) })
	older.holds(lanePartitions)
	newer := l.join("newer", static(ProtocolConsumer, "same"), nil)
	newer.Consumer.mu.Lock()
	newer.refused = refusals{since: time.Now().Add(-sessionPatience), last: time.Now()}
	newer.Consumer.mu.Unlock()
	if err := newer.failure(t); !errors.Is(err, ErrInstanceTaken) {
		t.Errorf("the newer one ended with %v, want %v", err, ErrInstanceTaken)
	}
	l.send("a", 0, 1, 2, 3)
	older.until("four ends", func() bool { return ran.Load() == 4 })
	if err := older.stop(); err != nil {
		t.Errorf("the older one ended with %v", err)
	}
}
