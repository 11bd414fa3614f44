package journal

import (
	"slices"

	"github.com/aiecs/tasklane/schemas"
)

// WaitRecord is one record to append to the shard's waiting log: a fence, a
// task that waits (Job and Wait are set), a claim, or the tombstone of one of them.
type WaitRecord struct {
	Stamp Stamp
	Key   []byte
	Sign  *schemas.Sign // of a fence
	Job   *Job
	Wait  *Wait
	Claim *Claim
}

// WaitEntry is one record of the waiting log as it was read.
type WaitEntry struct {
	Offset int64
	Stamp  Stamp
	Key    []byte
	// Wait and Claim are nil for a fence and for a tombstone.
	Wait  *Wait
	Claim *Claim
	// Payload is the port's: what it needs to make a job of the record.
	Payload any
}

// waitlog follows the shard's partition of tasks.scheduled by the same fold as
// the journal, under the same epochs; the seq is its own. What counts there is
// waiting. The fold is never read again from the start: it is true whoever
// owns the shard.
type waitlog struct {
	own      State
	fold     State
	next     int64
	raisedAt int64
	fenceAt  int64
	readEnd  int64
	read     bool // it was read from its start
	torn     bool // a payload was lost: it has to be read again from its start
	outbox   []waitPending
	waiters  waiters
	claims   claimset
	// fresh are those that counted since the take-over began.
	fresh []*waiter
	// stale are records that did not count and that nobody else takes away.
	stale []staleWait
}

// waitPending is an own record that has not come back through the fold.
type waitPending struct {
	at     State
	offset int64 // where it was acknowledged, -1 before
	job    *Job  // of a waiting task
	wait   *Wait
	ended  *waiter // of a tombstone

	claims   bool  // it is the job's claim
	unclaims State // of a claim's tombstone
}

// maxStale bounds the keys that are remembered; the next take-over finds more.
const maxStale = 10_000

func newWaitlog() waitlog {
	return waitlog{raisedAt: -1, fenceAt: -1, waiters: waiters{byIdentity: map[Identity]*waiter{}}, claims: newClaimset()}
}

// begin prepares for a take-over that reads up to end. What was known before is
// returned if nothing of it holds any more.
func (l *waitlog) begin(start, end int64) (gone []*waiter) {
	if !l.read || l.torn || l.next > end { // the last: the log was replaced by a shorter one
		gone = l.waiters.all()
		waiters := waiters{byIdentity: map[Identity]*waiter{}}
		*l = waitlog{waiters: waiters, claims: newClaimset(), next: start, read: true}
	}
	l.fenceAt, l.raisedAt, l.readEnd = -1, -1, end
	l.outbox = nil
	return gone
}

// fenced reports whether the own fence was acknowledged and read.
func (l *waitlog) fenced() bool { return l.fenceAt >= 0 && l.next > l.fenceAt }

// raised reports whether that very record raised the fold's epoch.
func (l *waitlog) raised() bool { return l.fold.Epoch == l.own.Epoch && l.raisedAt == l.fenceAt }

// passed reports whether an acknowledged own record was read past without
// having counted.
func (l *waitlog) passed() bool {
	return len(l.outbox) > 0 && l.outbox[0].offset >= 0 && l.outbox[0].offset < l.next
}

// find is the own record with this stamp, nil if it has left or never was here.
func (l *waitlog) find(at State) *waitPending {
	i, found := slices.BinarySearchFunc(l.outbox, at, func(p waitPending, at State) int { return p.at.compare(at) })
	if !found {
		return nil
	}
	return &l.outbox[i]
}

// pop takes the oldest own record out if it is the one at the fold.
func (l *waitlog) pop() (waitPending, bool) {
	if len(l.outbox) == 0 || l.outbox[0].at != l.fold {
		return waitPending{}, false
	}
	p := l.outbox[0]
	l.outbox[0] = waitPending{}
	l.outbox = l.outbox[1:]
	return p, true
}

// apply takes in a record that counts: a task's that waits from now on, or the
// tombstone of one.
func (l *waitlog) apply(e *WaitEntry) (added, buried *waiter) {
	identity, at, ok := readWaitKey(e.Key)
	if !ok {
		l.applyClaim(e)
		return nil, nil
	}
	known := l.waiters.find(identity, at)
	switch {
	case e.Wait == nil && known != nil:
		l.waiters.remove(known)
		return nil, known
	case e.Wait == nil, known != nil: // the second: written again, see clearStale
		return nil, nil
	}
	added = newWaiter(at, identity, e.Wait, e.Payload)
	l.waiters.add(added)
	return added, nil
}

// applyClaim does so for a claim, or the tombstone of one.
func (l *waitlog) applyClaim(e *WaitEntry) {
	content, at, ok := readClaimKey(e.Key)
	if !ok {
		return
	}
	switch known := l.claims.byStamp[at]; {
	case e.Claim == nil && known != nil:
		l.claims.remove(known)
	case e.Claim == nil, known != nil: // the second: written again, see clearStale
	default:
		l.claims.add(&claim{stamp: at, content: content, taskID: e.Claim.TaskID, offset: e.Claim.Offset, until: e.Claim.UntilMS, key: e.Key})
	}
}

// counts reports whether there is a waiting task or a claim of this key that
// counts; ok is false for the key of neither.
func (l *waitlog) counts(key []byte) (known, ok bool) {
	if identity, at, ok := readWaitKey(key); ok {
		return l.waiters.find(identity, at) != nil, true
	}
	_, at, ok := readClaimKey(key)
	return l.claims.byStamp[at] != nil, ok
}

// stays reports whether what counts under a key has no tombstone on its way.
func (l *waitlog) stays(key []byte) bool {
	if identity, at, ok := readWaitKey(key); ok {
		w := l.waiters.find(identity, at)
		return w != nil && !slices.ContainsFunc(l.outbox, func(p waitPending) bool { return p.ended == w })
	}
	_, at, _ := readClaimKey(key)
	c := l.claims.byStamp[at]
	return c != nil && !c.buried
}

// keepFresh notes a waiting record whose predecessor has to be looked at by the
// next take-over.
func (l *waitlog) keepFresh(w *waiter) {
	if w != nil {
		l.fresh = append(l.fresh, w)
	}
}

// takeFresh are the waiting records that counted during the take-over and still
// do.
func (l *waitlog) takeFresh() []*waiter {
	fresh := l.fresh
	l.fresh = nil
	return slices.DeleteFunc(fresh, func(w *waiter) bool { return l.waiters.find(w.identity, w.stamp) != w })
}

// discard notes a record that did not count. If it stands in the way of one that
// does, because it has the same key and a stamp that the fold has passed, that
// one has to be written again.
func (l *waitlog) discard(e *WaitEntry) {
	if e.Wait == nil && e.Claim == nil || len(l.stale) >= maxStale {
		return
	}
	switch known, ok := l.counts(e.Key); {
	case !ok:
	case !known:
		l.stale = append(l.stale, staleWait{key: e.Key})
	case e.Stamp.Epoch < l.fold.Epoch || e.Stamp.Seq < l.fold.Seq:
		l.stale = append(l.stale, staleWait{key: e.Key, wait: e.Wait, claim: e.Claim, payload: e.Payload})
	}
}

// staleWait is a record of the waiting log that did not count. Its wait or claim
// is set if another one with its key does.
type staleWait struct {
	key     []byte
	wait    *Wait
	claim   *Claim
	payload any
}
