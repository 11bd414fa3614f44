package journal

import (
	"testing"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// A lane that gets no more records is asked for its end, which outlives a claim.
func TestIdleMemberDropsClaims(t *testing.T) {
	l := newTestLane(t)
	m := l.join("a", nil, nil)
	m.holds(lanePartitions)
	l.sendWith("t", `,"unique":{"ttl_ms":1}`, 1)
	m.until("the commit", func() bool { return l.committed(1) == 1 })
	h := m.snapshot()[1]
	if h.Claims() != 1 {
		t.Fatalf("%d claims, want one", h.Claims())
	}
	m.until("the end of the claim", func() bool {
		h.do(func(s *Shard) { s.measuredAt = time.Now().Add(idleTime) }) // as if it had passed
		h.measure(t.Context())
		return h.Claims() == 0
	})
}

// Where no record comes any more, the lane's end outlives a claim, long after its time.
func TestIdleLaneOutlivesClaims(t *testing.T) {
	s, d := taken(t)
	ends(t, s, d, works0(t, s, d, d.unique(0, "a", "x", 0)), schemas.Completed)
	d.now = d.now.Add(time.Minute + idleTime - time.Second)
	if s.Tick(); d.measures != 0 {
		t.Fatal("asked for the lane's end although the claim has just ended")
	}
	d.now = d.now.Add(time.Second)
	for range 2 {
		if s.Tick(); d.measures != 1 {
			t.Fatalf("asked %d times for the lane's end, want once", d.measures)
		}
	}
	s.Measured(2) // there is a record that has not come yet
	if d.turn(t, s); s.Claims() != 1 {
		t.Fatal("a claim is gone that the lane may hold a duplicate of")
	}
	s.Measured(1)
	if d.turn(t, s); s.Claims() != 0 {
		t.Error("the claim stays although all of the lane is finished")
	}
}
