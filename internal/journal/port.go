package journal

import (
	"log/slog"
	"time"
)

// Port is what a shard needs from the world around it. The shard calls it under
// the lock that guards the shard, so no method may block or call back into the
// shard: answers come later, through the method named with each.
type Port interface {
	// Now is the wall clock; it seeds epochs. A wrong clock costs nothing but
	// another fence.
	Now() time.Time
	// Load asks for the group's commit and then, in this order, for the journal's
	// bounds: [Shard.Loaded].
	Load()
	// Follow starts to deliver the shard's journal from an offset, in order, to
	// [Shard.Follow]; nothing that was read before is delivered any more.
	Follow(from int64)
	// Append writes a record: [Shard.Appended] or [Shard.AppendFailed]. Records
	// stand in the journal in the order of the calls or not at all. The record
	// must be encoded when Append returns: its event is changed if it has to be
	// written again.
	Append(r Record)
	// FollowWaits and AppendWait are the same for the waiting log:
	// [Shard.FollowWaits], and [Shard.WaitAppended] or [Shard.AppendFailed].
	FollowWaits(from int64)
	AppendWait(r WaitRecord)
	// Shelve keeps a waiting record's payload until its time is near, perhaps out
	// of memory, and returns what Restore makes a job of: Task, Bytes, MaxLost
	// and Payload are set. A payload may be restored without having been shelved.
	// One that cannot be restored is lost: the waiting log is read again.
	Shelve(payload any) any
	Restore(payload any) (*Job, error)
	// Discard gives back what Shelve keeps of a payload that is of no use any more.
	Discard(payload any)
	// Doomed reports whether the run queue would end the task at once, because it
	// was cancelled: then it does not wait for its time first.
	Doomed(id Identity) bool
	// Holds reports whether that what tasks wait for the end of still holds: see
	// [Postponement]. When it ends, [Shard.Unhold] is called.
	Holds(hold string) bool
	// Created is when the broker took the job's lane record.
	Created(j *Job) time.Time
	// Measure asks where the lane's partition ends: [Shard.Measured], or nothing if
	// that could not be read.
	Measure()
	// Confirm asks the group's coordinator whether it accepts this member's
	// generation right now: [Shard.Confirmed].
	Confirm()
	// Bury writes the job's record to the dead letters: [Shard.Buried] when
	// that is acknowledged.
	Bury(j *Job)

	// Offer gives a job to the run queue; a free slot calls [Shard.Begin].
	Offer(j *Job)
	// Start lets the work begin: the attempt is in the journal.
	Start(j *Job)
	// Stop ends work whose outcome would not count any more, or that has begun
	// ([Shard.Begin]) and will not start.
	Stop(j *Job)
	// Settled tells that a record about the job has counted: progress and
	// output are bounded by how many have not.
	Settled(j *Job)
	// Duplicate tells that the job's end as a duplicate has counted.
	Duplicate(j *Job)
	// Note reports what operators want to know of: doubts, foreign fences,
	// take-overs, gaps.
	Note(level slog.Level, what string, args ...any)
}
