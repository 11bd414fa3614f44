package lane

import (
	"testing"
	"time"
)

// A lane that gets no more records is asked for its end, which outlives a claim.
func TestIdleMemberDropsClaims(t *testing.T) {
	l := newTestLane(t)
	m := l.join("a", func(c *ConsumerConfig) { c.idle = time.Millisecond }, nil)
	m.holds(lanePartitions)
	l.sendWith("t", `,"unique":{"ttl_ms":1}`, 1)
	m.until("the commit", func() bool { return l.committed(1) == 1 })
	m.until("the end of the claim", func() bool { return m.Claims() == 0 })
}
