package shard

import (
	"fmt"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// maxClaims is how many claims a shard keeps at once. One takes some 200 bytes of
// memory and as many in the waiting log.
const maxClaims = 50_000

// claims are those that count, and what waits for them.
type claims struct {
	claimset
	// claimants are the jobs whose content is being claimed: the first's claim is
	// on its way, the others wait for what becomes of it.
	claimants map[fold.Identity][]*Job
	// concluding are the claims of tasks whose end is on its way, and the jobs that
	// wait for what that does to the claim.
	concluding map[fold.State][]*Job
	// freed are the claims of tasks that have ended without completing, and where,
	// until their tombstones count.
	freed map[fold.State]fold.Place
	// passedAt is the latest time, in Unix ms, of a record that the prefix has passed,
	// measuredAt when the lane's end was last asked for.
	passedAt   int64
	measuredAt time.Time
}

func newClaims() claims {
	return claims{
		claimset: newClaimset(), claimants: map[fold.Identity][]*Job{}, concluding: map[fold.State][]*Job{},
		freed: map[fold.State]fold.Place{},
	}
}

// admit queues a job, once its claim counts if it asks to be unique. One that was
// started had a claim then, and is never called a duplicate afterwards.
func (js *jobs) admit(j *Job) {
	if j.Unique == nil || j.history.started || j.claim != (fold.State{}) {
		js.queue(j)
		return
	}
	js.move(j, stepClaim)
	if before := js.waits.claims.claimants[j.Unique.Sum]; before != nil {
		js.waits.claims.claimants[j.Unique.Sum] = append(before, j)
		return
	}
	switch c := js.waits.claims.holder(j); {
	case c != nil && js.waits.claims.concludes(c):
		js.waits.claims.concluding[c.stamp] = append(js.waits.claims.concluding[c.stamp], j)
	case c != nil:
		js.conclude(j, js.events.duplicate(j, c))
	case js.waits.claims.len()+len(js.waits.claims.claimants) >= js.config.MaxClaims:
		js.conclude(j, js.events.crowded(j))
	default:
		js.waits.claims.claimants[j.Unique.Sum] = []*Job{j}
		js.deferSoon(j)
	}
}

// Claims is how many claims are kept: those that hold, and those that have ended and
// have no tombstone yet.
func (s *Shard) Claims() int { return s.jobs.waits.claims.len() }

// holder is the claim by which the job is a duplicate, nil if there is none; one
// that is unsettled only if there is no other. Only the times of the records are
// compared: whoever owns the shard, and whenever, decides the same.
func (cs *claims) holder(j *Job) (found *claim) {
	created := j.Created.UnixMilli()
	for c := cs.byContent[j.Unique.Sum]; c != nil; c = c.next {
		if _, free := cs.freed[c.stamp]; free || created >= c.until {
			continue
		}
		if found = c; !cs.concludes(c) {
			return c
		}
	}
	return found
}

// concludes reports whether the end of the task that holds a claim is on its way.
// Others may have read it already, so that a duplicate must not be decided before it
// counts here too: the sender of a task that was told to have failed may send again.
func (cs *claims) concludes(c *claim) bool {
	_, ends := cs.concluding[c.stamp]
	return ends
}

// concluded looks again at the jobs that waited for a job's end.
func (js *jobs) concluded(j *Job) {
	waiting := js.waits.claims.concluding[j.claim]
	delete(js.waits.claims.concluding, j.claim)
	for _, other := range waiting {
		js.admit(other)
	}
}

func (js *jobs) appendClaim(j *Job) {
	js.move(j, stepWriteClaim)
	at := js.waits.push(waitWritten{job: j, claims: true})
	js.port.AppendWait(WaitRecord{
		Stamp: js.waits.stamp(js.name), Key: ClaimKey(js.config.Shard.Lane, j.Task.UserID, j.Unique.Sum, at),
		Claim: &Claim{TaskID: j.Task.TaskID, Offset: j.Offset, UntilMS: claimUntil(j.Created, j.Unique.TTL)},
	})
}

// claimed queues a job whose claim counts, and looks again at those that waited
// for what would become of it.
func (js *jobs) claimed(j *Job) {
	others := js.waits.claims.claimants[j.Unique.Sum][1:]
	delete(js.waits.claims.claimants, j.Unique.Sum)
	js.waits.claims.recognise(j)
	js.queue(j)
	for _, other := range others {
		js.admit(other)
	}
}

// recognise finds the job's claim among those that count.
func (cs *claims) recognise(j *Job) {
	if j.Unique == nil {
		return
	}
	before := j.claim
	j.claim = fold.State{}
	for c := cs.byContent[j.Unique.Sum]; c != nil; c = c.next {
		if c.offset == j.Offset && c.taskID == j.Task.TaskID {
			j.claim = c.stamp
		}
	}
	if j.claim != before {
		j.source = nil // it names the claim
	}
}

// duplicate ends a job whose content is claimed by another; a repeat of the
// very task that claims it is recorded like any repeat.
func (es *Events) duplicate(j *Job, c *claim) *schemas.Event {
	if c.taskID == j.Task.TaskID {
		return es.repeat(j, c.offset)
	}
	e := es.New(j, schemas.KindState, schemas.Cancelled)
	e.Message = "Cancelled as a duplicate: " + e.Task
	e.ErrorCode, e.DuplicateOf = schemas.CodeDuplicate, c.taskID
	e.Error = "task " + c.taskID + " has the same content, and its claim to it holds"
	return e
}

func (es *Events) crowded(j *Job) *schemas.Event {
	return es.Failed(j, schemas.CodeOverLimit, fmt.Sprintf(
		"the lane's partition keeps %d claims of unique tasks, as many as it may; send it again later, with a "+
			"shorter ttl_ms, or without unique", es.config.MaxClaims))
}

// idleTime is, unless configured, how long before the lane's end was asked for a claim has to be over, to
// be dropped for there being no more records: a sender's clock may be behind by that,
// or the processor's ahead.
const idleTime = 10 * time.Minute

// sweep drops the claims that have ended. One has when a record of that time or a
// later one is finished, and everything before it on the lane too: until then
// there may be duplicates that were received but not ended. The clock guards
// against a sender whose own is ahead.
func (js *jobs) sweep() {
	by := min(js.waits.claims.passedAt, js.port.Now().UnixMilli())
	for js.running && js.waits.outbox.len() < js.config.Deferring {
		c := js.waits.claims.endedBy(by)
		if c == nil {
			return
		}
		js.waits.dropClaim(c)
	}
}

// measure asks where the lane ends if claims have ended long ago and no record comes
// that outlives them. It is asked again only after a while: what stands between may be
// nothing that is ever delivered.
func (js *jobs) measure(now time.Time) {
	if js.tracker.len() > 0 || now.Sub(js.waits.claims.measuredAt) < js.config.Idle ||
		js.waits.claims.endedBy(now.Add(-js.config.Idle).UnixMilli()) == nil {
		return
	}
	js.waits.claims.measuredAt = now
	js.port.Measure()
}

// Measured answers [LogAccess.Measure] with where the lane's partition starts and ends.
// If all of it is finished, that is as good as a record of the time in question.
func (s *Shard) Measured(lane Bounds) {
	if s.phase != phaseRunning || s.jobs.unassigned {
		return
	}
	s.jobs.missBeyond(lane)
	cs := &s.jobs.waits.claims
	if s.jobs.tracker.prefix < lane.End || cs.measuredAt.IsZero() {
		return
	}
	cs.passedAt = max(cs.passedAt, cs.measuredAt.Add(-s.config.Idle).UnixMilli())
	s.jobs.sweep()
}
