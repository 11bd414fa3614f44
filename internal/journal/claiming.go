package journal

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aiecs/tasklane/schemas"
)

// maxClaims is how many claims a shard keeps at once. One takes some 200 bytes of
// memory and as many in the waiting log.
const maxClaims = 50_000

// admit queues a job, once its claim counts if it asks to be unique. One that was
// started had a claim then, and is never called a duplicate afterwards.
func (s *Shard) admit(j *Job) {
	if j.Unique == nil || j.past.started || j.claim != (State{}) {
		s.queue(j)
		return
	}
	j.stage, j.written = stageClaiming, false
	if before := s.claimants[j.Unique.Sum]; before != nil {
		s.claimants[j.Unique.Sum] = append(before, j)
		return
	}
	switch c := s.holder(j); {
	case c != nil && s.unsettled(c):
		s.concluding[c.stamp] = append(s.concluding[c.stamp], j)
	case c != nil:
		s.conclude(j, s.duplicateEvent(j, c))
	case s.waits.claims.len()+len(s.claimants) >= s.config.MaxClaims:
		s.conclude(j, s.crowdedEvent(j))
	default:
		s.claimants[j.Unique.Sum] = []*Job{j}
		s.deferSoon(j)
	}
}

// Claims is how many claims are kept: those that hold, and those that have ended and
// have no tombstone yet.
func (s *Shard) Claims() int { return s.waits.claims.len() }

// holder is the claim by which the job is a duplicate, nil if there is none; one
// that is unsettled only if there is no other. Only the times of the records are
// compared: whoever owns the shard, and whenever, decides the same.
func (s *Shard) holder(j *Job) (found *claim) {
	created := s.port.Created(j).UnixMilli()
	for c := s.waits.claims.byContent[j.Unique.Sum]; c != nil; c = c.next {
		if _, free := s.freed[c.stamp]; free || created >= c.until {
			continue
		}
		if found = c; !s.unsettled(c) {
			return c
		}
	}
	return found
}

// unsettle notes that an end of a task which holds a claim is on its way.
func (s *Shard) unsettle(j *Job, e *schemas.Event) {
	if j.claim != (State{}) && e.Terminal() {
		s.concluding[j.claim] = nil
	}
}

// unsettled reports whether the end of the task that holds a claim is on its way.
// Others may have read it already, so that a duplicate must not be decided before it
// counts here too: the sender of a task that was told to have failed may send again.
func (s *Shard) unsettled(c *claim) bool {
	_, ends := s.concluding[c.stamp]
	return ends
}

// concluded looks again at the jobs that waited for a job's end.
func (s *Shard) concluded(j *Job) {
	waiting := s.concluding[j.claim]
	delete(s.concluding, j.claim)
	for _, other := range waiting {
		s.admit(other)
	}
}

// claims reports whether the job waits for its claim to be written.
func (s *Shard) claims(j *Job) bool { return j.stage == stageClaiming && !j.written }

func (s *Shard) appendClaim(j *Job) {
	j.written = true
	s.waits.own.Seq++
	at := s.waits.own
	s.waits.outbox = append(s.waits.outbox, waitPending{at: at, offset: -1, job: j, claims: true})
	s.port.AppendWait(WaitRecord{
		Stamp: s.waitStamp(), Key: claimKey(s.config.Shard.Lane, j.Task.UserID, j.Unique.Sum, at),
		Claim: &Claim{TaskID: j.Task.TaskID, Offset: j.Offset, UntilMS: claimUntil(s.port.Created(j), j.Unique.TTL)},
	})
}

// claimed queues a job whose claim counts, and looks again at those that waited
// for what would become of it.
func (s *Shard) claimed(j *Job) {
	others := s.claimants[j.Unique.Sum][1:]
	delete(s.claimants, j.Unique.Sum)
	j.written = false
	s.recognise(j)
	s.queue(j)
	for _, other := range others {
		s.admit(other)
	}
}

// recognise finds the job's claim among those that count.
func (s *Shard) recognise(j *Job) {
	if j.Unique == nil {
		return
	}
	before := j.claim
	j.claim = State{}
	for c := s.waits.claims.byContent[j.Unique.Sum]; c != nil; c = c.next {
		if c.offset == j.Offset && c.taskID == j.Task.TaskID {
			j.claim = c.stamp
		}
	}
	if j.claim != before {
		j.source = nil // it names the claim
	}
}

// free gives the claim of a task up that has ended without completing. Until its
// tombstone counts, the commit's position stays at the end, so that a successor
// learns of it too.
func (s *Shard) free(stamp State, at place) {
	c := s.waits.claims.byStamp[stamp]
	if _, known := s.freed[stamp]; c == nil || known {
		return
	}
	s.freed[stamp] = at
	s.buryClaim(c)
}

func (s *Shard) buryClaim(c *claim) {
	if c.buried {
		return
	}
	s.waits.claims.bury(c)
	s.waits.own.Seq++
	s.waits.outbox = append(s.waits.outbox, waitPending{at: s.waits.own, offset: -1, unclaims: c.stamp})
	s.port.AppendWait(WaitRecord{Stamp: s.waitStamp(), Key: c.key})
}

// takeClaims brings what is believed of claims in line with both logs, at the end
// of a take-over: tombstones that did not count are written again.
func (s *Shard) takeClaims() {
	clear(s.claimants) // those that still wait come again, see resume
	clear(s.concluding)
	s.waits.claims.exhume()
	for _, stamp := range slices.SortedFunc(maps.Keys(s.freed), State.compare) {
		c := s.waits.claims.byStamp[stamp]
		if c == nil {
			delete(s.freed, stamp)
			continue
		}
		s.buryClaim(c)
	}
}

// learnFreed notes an end that frees a claim, while the shard is taken over. Whether
// there is a tombstone already is not known before all has been read; the bound is
// for a long journal of such ends. What is beyond it holds until its time is over.
func (s *Shard) learnFreed(r *facts, at place) {
	if r.frees() && len(s.freed) < s.config.MaxClaims {
		s.freed[r.claim] = at
	}
}

// duplicateEvent ends a job whose content is claimed by another; a repeat of the
// very task that claims it is recorded like any repeat.
func (s *Shard) duplicateEvent(j *Job, c *claim) *schemas.Event {
	if c.taskID == j.Task.TaskID {
		return s.repeatOf(j, c.offset)
	}
	e := s.NewEvent(j, schemas.KindState, schemas.Cancelled)
	e.Message = "Cancelled as a duplicate: " + e.Task
	e.ErrorCode, e.DuplicateOf = schemas.CodeDuplicate, c.taskID
	e.Error = "task " + c.taskID + " has the same content, and its claim to it holds"
	return e
}

func (s *Shard) crowdedEvent(j *Job) *schemas.Event {
	return s.FailedEvent(j, schemas.CodeOverLimit, fmt.Sprintf(
		"the lane's partition keeps %d claims of unique tasks, as many as it may; send it again later, with a shorter ttl_ms, or without unique", s.config.MaxClaims))
}
