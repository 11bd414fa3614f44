// Package notifier carries the events of tasks to the clients that watch them,
// over WebSockets.
//
// Every instance reads all of task-events without a consumer group, so any
// instance serves any client and none of them has state worth keeping. Records
// are stepped through the journal's fold by their headers; what does not count,
// and what is for users without a connection here, is dropped before any JSON
// is parsed.
//
// # What a client gets
//
// Every event of its user (or of one task) that counts, from where it asked to
// start, in the order of each partition, each with a cursor. A client that
// connects again with the last cursor it has seen misses nothing and sees
// nothing twice. One exception is deliberate: of several progress events of a
// task that wait to be sent, only the newest is.
//
// # What it does not promise
//
// Order between tasks: two tasks may live in two partitions. Delivery to a
// client that does not read: its queue is bounded in bytes, and past the bound
// it is closed with [CloseSlow] and told to come back with its cursor. History
// older than the topic's retention: the hello message then says
// "recovered": false.
//
// # Who owns what
//
// One goroutine reads the log and never waits for a client. Each connection has
// two goroutines, one reading and one writing, and while it catches up a third
// that replays history; of those a bounded number read the log at a time.
package notifier
