// Package shard is the owner's side of the rule by which Tasklane is safe:
// the log decides. Group membership says who should work on a lane's
// partition; the order of the records in one journal partition says whose
// records count. There is no lock, lease, transaction or trusted clock.
//
// # Words
//
// A shard is a lane and a partition ("fast/3"). Its journal is the partition of
// task-events with the same number; lanes share it. Every record carries the
// shard, its owner's epoch and its place in the owner's sequence ([Stamp]). The
// fold ([State.Step]) says which records count, and says the same to everybody
// who reads from the same state. An owner takes a shard over with a fence, a
// record with a higher epoch than any before it. A job is one record of the
// lane, from its receipt until its end has counted.
//
// What waits for long stands in the waiting log, the partition of tasks.scheduled
// of the same number, under the same epochs and fold: each record there takes the
// place of the lane's, or of an earlier one, and is a job of its own when its time
// comes. docs/adr/0009 has its rules; postpone.go and waiting_log.go keep them.
//
// A task that asks to be unique claims its content before it starts: a claim is a
// record of the waiting log too. docs/adr/0010 has its rules; claiming.go keeps them.
//
// # What it guarantees
//
// Of every lane record with a usable user_id and task_id exactly one end counts
// (completed, failed, timed_out, cancelled, or repeat), and nothing of it counts
// after that. A committed offset never passes a record whose end does not
// count. What a take-over knows of the records it will receive is what the
// whole log says of them, however many owners crashed, paused or wrote late.
// Attempts that count rise by one. It does not guarantee that work is executed
// once: an owner that was superseded may execute what it had begun, and no one
// can stop it in time; only what it writes does not count. docs/DELIVERY.md has
// the users' side of this.
//
// An epoch that lies far beyond its record's append time takes nothing over
// ([State.Step], docs/adr/0012): nobody could fence above it. So a forged record, or
// an owner whose clock is wrong, ends no shard; takeover.go has the owner's part.
//
// The log is trusted to keep what it acknowledged, in one order for all.
//
// # The order of a take-over
//
//  1. Load: the group's commit first, then the logs' bounds. Read the other way
//     round, a commit made in between would seem to lie beyond the end. One that
//     does so says nothing of what will stand there: the lane is received again
//     ([Shard.Loaded], missing.go).
//  2. Read from the commit's window to its position only to recognise repeated
//     tasks, and from the position on with the state the commit says. Starting
//     with no state would let a zombie's record, or a repeat, count for this
//     owner alone.
//  3. Fence both logs, once all that stood there has been read, above every epoch
//     seen and not below the clock. Fencing without having read is safe but slow: a clock
//     that is behind would fence in vain again and again.
//  4. Read on to that fence. What landed before it counts, what lands after it
//     with a lower epoch never will. Running on the acknowledgement alone would
//     miss what the last owner wrote in between: a finished task would run again.
//  5. Check that this very record raised the fold's epoch. A fence that did not,
//     because another owner has the same clock or a higher one, owns nothing.
//  6. Replace what is believed by what was read, write again what did not count,
//     and go on.
//
// # The rules while running, and what breaks without each
//
//   - `running` is acknowledged before work starts, or a task that kills its
//     process would never be found out.
//   - A job is finished when its end came back through the own fold, not when it
//     was acknowledged. A fence may stand before it: then it does not count, and
//     a commit past it would lose the task.
//   - The commit carries the position of the first record that counted about
//     anything not passed yet, of whatever epoch, with the fold's state there.
//     Leave out earlier owners' records and a successor runs finished tasks again.
//   - Any doubt ends in a new take-over: an append that failed, an own record read
//     past without counting, a gap in the own sequence. What was in flight stands
//     before the new fence and is read, or after it and never happened.
//   - After a foreign fence the coordinator is asked first. Otherwise an owner
//     that lost its partition would fence over the new one until somebody told it.
//   - Whether the last `running` is the own one is told by its stamp. An owner in
//     between has used the same attempt number, and work would go on under an
//     attempt that is somebody else's.
//   - An end decided from the journal alone (a repeat, too many lost attempts) is
//     decided again after a doubt: another owner may have handed the job over.
//   - A task that was started is never called a repeat afterwards: windows of two
//     owners need not hold the same tasks.
//   - The prefix never moves back, even behind a commit that was not this owner's,
//     unless the lane itself goes on at an earlier offset. Otherwise an offset that a
//     late commit had passed is received again and runs although it has ended.
//   - What the journal says of a record goes by its offset and its task. A lane that
//     lost its tail has other tasks at the same offsets.
//   - What was started and is not on the lane any more is ended before a commit leaves
//     it behind. Nobody else would ever speak of it.
//
// # Who calls what
//
// [Shard] is a state machine without I/O. The lane's consumer calls
// [Shard.TakeOver] and [Shard.Forget] as partitions come and go, and
// [Shard.Receive] with the lane's records; the journal's reader calls
// [Shard.Follow]; the producer's promises call [Shard.Appended] and
// [Shard.AppendFailed]; the run queue calls [Shard.Begin], [Shard.Report],
// [Shard.Postpone], [Shard.Conclude], [Shard.Condemn] and [Shard.HandOver], and
// [Shard.Find] for a cancel; the committer takes
// [Shard.CommitPoint] and brings [Shard.Committed]; a ticker calls
// [Shard.Tick]. All calls of one shard happen under one lock. What the shard
// wants of them goes through [Port]. The tests put the same Shard into a small
// world of two owners and one log and try orders of events there
// (world_test.go); with the build tag mutants they also show that each rule is
// missed when it is taken out.
package shard
