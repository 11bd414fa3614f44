// Package history is the log of events as clients see it: from any place in the past on, in order and without a gap,
// and then as it comes.
//
// One reader follows task-events for all, without a consumer group, and steps every record through the journal's fold
// by its headers. What counts it notes in a ring of the newest events and offers to an [Audience], which knows who
// watches. A client that comes with an older place is brought to live by [History.CatchUp]: from the ring, or where
// that does not reach back with a scan of the log, which it shares with others that need about the same.
//
// # How past and live meet
//
// The reader moves its position past a record before it offers it, and notes it in the ring before that. A subscriber
// is registered with the audience, and sets aside what it is offered, before it takes a snapshot of the positions. So a
// record below the snapshot is the replay's, and one at or above it, whose count is higher than the snapshot's, is sure
// to be offered. [Subscriber.GoLive] puts the two together by that count.
//
// # Cursors
//
// A cursor is the next offset of each partition, and the name of the log. With many partitions that is too long for
// every event; then it is a moment to which all instances can go back, and exact places only where the user has had
// events since.
//
// # What is bounded
//
// The ring, in bytes and age. The scans at a time. The fold states kept to begin a scan with. The index for short
// cursors. How long a scan waits for a client that does not read: then it goes on without it, and the client joins
// another.
package history
