// Package taskview is the queryable state of all tasks: what the lanes and
// task-events say, folded into a SQLite database.
//
// It is a picture of the log and never the truth. Everything in it can be
// deleted and comes back from the topics, as far as they reach; nothing is
// written to them.
//
// # What a reader may rely on
//
//   - Rows, the next offset of every partition and the state of every journal
//     fold are stored in one database transaction. A restart goes on exactly
//     there, after a crash too; nothing is applied twice and nothing is left out.
//   - Which records count is decided by [journal.Fold] alone. A record whose
//     shard is not of the partition it stands in is nobody's and is dropped.
//   - The first record of a task on its lane is the task; a later one with the
//     same identity in the same shard is a repeat and changes nothing.
//   - After a terminal event nothing more counts for its task.
//   - The identity is (user_id, task_id). The same one in another shard is a run
//     of its own; [View.Get] answers with the newest and says how many there are.
//   - What has been read is visible at once, before it is committed; waiters of
//     [View.Wait] are woken when the terminal event is read.
//
// # What it does not promise
//
//   - Two instances may be some milliseconds apart. [View.Passed] and
//     [View.CatchUp] close the gap for a reader who needs it.
//   - Of one task's events other than state changes only the first
//     [MaxEventsPerTask] are kept; the log has the others.
//   - Search sees the first [MaxSearchBytes] of a task's input and of its outcome.
//
// # Memory
//
// What is read but not committed is bounded (5,000 records or 32 MiB, twice: one
// batch being filled and one being written), and so are the tasks remembered for
// a reader's own writes and the rows kept at hand. When the database cannot keep
// up, or its disk is full, reading stops until it can.
package taskview
