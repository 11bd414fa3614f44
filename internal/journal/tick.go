package journal

import (
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// Tick lets time pass: it writes marks and ends back-offs. Call it about every
// second.
func (s *Shard) Tick() {
	now := s.port.Now()
	switch s.phase {
	case phaseReading:
		if now.Sub(s.progressAt) > stallTime {
			// What stands before the end may be nothing that is ever delivered (the
			// marker of somebody's transaction). The fence comes after it; whether it
			// is high enough is checked all the same.
			s.progressAt = now
			s.fence()
		}
	case phaseLoading, phaseFencing:
		if now.Sub(s.progressAt) > stallTime {
			s.doubt("the take-over made no progress")
		}
	case phaseContested:
		if now.Sub(s.progressAt) > stallTime {
			s.progressAt = now
			s.port.Confirm()
		}
	case phaseDoubting:
		if !now.Before(s.retakeAt) {
			s.TakeOver()
		}
	case phaseRunning:
		if s.waits.torn {
			s.doubt("the waiting log has to be read again")
			return
		}
		if s.retakes > 0 && now.Sub(s.steadyAt) > steadyTime {
			s.retakes = 0
		}
		if s.config.MarkInterval > 0 && !now.Before(s.markAt) {
			s.mark(now)
		}
		s.wake(now)
		s.keepSoon()
		s.sweep()
		s.measure(now)
	}
}

func (s *Shard) mark(now time.Time) {
	s.markAt = now.Add(s.config.MarkInterval)
	s.own.Seq++
	s.outbox.add(pending{at: s.own, offset: -1})
	sign := s.sign(schemas.KindMark, now)
	sign.Running, sign.Lag = s.working, s.tracker.len()
	s.port.Append(Record{Stamp: s.stamp(), Sign: sign})
}

func (s *Shard) sign(kind schemas.Kind, now time.Time) *schemas.Sign {
	stamp := s.stamp()
	return &schemas.Sign{
		EventID: stamp.EventID(), Kind: kind, Shard: stamp.Shard, Epoch: stamp.Epoch, Seq: stamp.Seq,
		Worker: s.config.Worker, Time: schemas.AtTime(now),
	}
}
