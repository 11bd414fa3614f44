package journal

import "time"

// idleTime is how long before the lane's end was asked for a claim has to be over, to
// be buried for there being no more records: a sender's clock may be behind by that,
// or the processor's ahead.
const idleTime = 10 * time.Minute

// sweep buries the claims that have ended. One has when a record of that time or a
// later one is finished, and everything before it on the lane too: until then
// there may be duplicates that were received but not ended. The clock guards
// against a sender whose own is ahead.
func (s *Shard) sweep() {
	by := min(s.passedAt, s.port.Now().UnixMilli())
	for s.phase == phaseRunning && len(s.waits.outbox) < s.config.Deferring {
		c := s.waits.claims.endedBy(by)
		if c == nil {
			return
		}
		s.buryClaim(c)
	}
}

// measure asks where the lane ends if claims have ended long ago and no record comes
// that outlives them. It is asked again only after a while: what stands between may be
// nothing that is ever delivered.
func (s *Shard) measure(now time.Time) {
	if s.tracker.len() > 0 || now.Sub(s.measuredAt) < idleTime || s.waits.claims.endedBy(now.Add(-idleTime).UnixMilli()) == nil {
		return
	}
	s.measuredAt = now
	s.port.Measure()
}

// Measured answers [Port.Measure] with the offset at which the lane's partition ends.
// If all before it is finished, that is as good as a record of the time in question.
func (s *Shard) Measured(end int64) {
	if s.phase != phaseRunning || s.tracker.prefix < end {
		return
	}
	s.passedAt = max(s.passedAt, s.measuredAt.Add(-idleTime).UnixMilli())
	s.sweep()
}
