package journal

// maxDeferring is how many records of a shard are on their way to the waiting log at once.
// What starts now, or comes to its end, is written behind them: a lane full of
// tasks for later would hold up those that are due.
const maxDeferring = 256

// deferSoon writes the job's waiting record or claim when there is room for it.
func (s *Shard) deferSoon(j *Job) {
	if len(s.waits.outbox) < s.config.Deferring {
		s.appendSoon(j)
		return
	}
	s.deferring = append(s.deferring, j)
}

// deferNext writes the waiting records for which room has come.
func (s *Shard) deferNext() {
	for s.phase == phaseRunning && len(s.deferring) > 0 && len(s.waits.outbox) < s.config.Deferring {
		j := s.deferring[0]
		s.deferring[0] = nil
		s.deferring = s.deferring[1:]
		s.appendSoon(j)
	}
	s.sweep()
}

// appendSoon writes what the job still wants written.
func (s *Shard) appendSoon(j *Job) {
	switch {
	case s.defers(j):
		s.appendWait(j)
	case s.claims(j):
		s.appendClaim(j)
	}
}

// keepSoon takes jobs back whose time has come so near meanwhile that they may as
// well wait in the run queue. One that has been started keeps its place: its
// attempt has to be closed.
func (s *Shard) keepSoon() {
	kept, soon := s.deferring[:0], s.port.Now().Add(s.config.ShortWait)
	for _, j := range s.deferring {
		if s.claims(j) {
			kept = append(kept, j)
			continue
		}
		until := j.postponed.Until
		switch {
		case !s.defers(j):
		case j.begun || until.IsZero() || until.After(soon):
			kept = append(kept, j)
		default:
			j.stage, j.NotBefore, j.postponed = stageQueued, until, nil
			s.offer(j)
		}
	}
	clear(s.deferring[len(kept):])
	s.deferring = kept
}

// defers reports whether the job still waits for its record to be written.
func (s *Shard) defers(j *Job) bool { return j.stage == stageDeferring && !j.written }
