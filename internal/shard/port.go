package shard

import (
	"log/slog"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
)

// Port is what a shard needs from the world around it. The shard calls it under
// the lock that guards the shard, so no method may block or call back into the
// shard: answers come later, through the method named with each.
type Port struct {
	LogAccess
	Spills
	Work
	Surroundings
}

// LogAccess are the shard's lane and its two logs.
type LogAccess interface {
	// Load asks for the group's commit and then, in this order, for the logs'
	// bounds: [Shard.Loaded]. epoch is the leader epoch in which was written what was
	// received, -1 if nothing was.
	Load(epoch int32)
	// Measure asks where the lane's partition starts and ends: [Shard.Measured], or
	// nothing if that could not be read.
	Measure()
	// Rewind lets the lane's records be delivered from an offset on, whatever was
	// delivered before: nothing of that comes any more.
	Rewind(from int64)
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
}

// Spills keep what jobs and waiting records hold in memory, perhaps out of it.
type Spills interface {
	// Spill keeps a waiting record's payload until its time is near, and returns what
	// Restore makes a job of: Task, Bytes, MaxLost and Payload are set. A payload may be
	// restored without having been spilled. One that cannot be restored is lost: the
	// waiting log is read again.
	Spill(payload any) any
	Restore(payload any) (*Job, error)
	// Discard gives back what Spill keeps of a payload that is of no use any more.
	Discard(payload any)
	// Lighten is what is kept of the payload of a job that is finished.
	Lighten(payload any) any
}

// Work is the run queue, and what runs the tasks.
type Work interface {
	// TakenOver tells that the shard is owned, and knows every task that it holds or that
	// waits. Whoever cancels tasks or knows what holds them says so again: [Shard.Cancel],
	// [Shard.SetHolds].
	TakenOver()
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
	// WriteDeadLetter writes the job's record to the dead letters:
	// [Shard.DeadLetterWritten] when that is acknowledged.
	WriteDeadLetter(j *Job, why DeadLetter)
}

// Surroundings are the clock, the group's coordinator and the operators.
type Surroundings interface {
	// Now is the wall clock; it seeds epochs. A wrong clock costs nothing but
	// another fence.
	Now() time.Time
	// Confirm asks the group's coordinator whether it accepts this member's
	// generation right now: [Shard.Confirmed].
	Confirm()
	// Ahead tells of a record of the shard's journal or waiting log that does not
	// count because its epoch lies beyond its append time (Unix ms), see [fold.Ahead].
	Ahead(log string, stamp fold.Stamp, offset, appended int64)
	// Note reports what operators want to know of: doubts, foreign fences,
	// take-overs, gaps.
	Note(level slog.Level, what string, args ...any)
}
