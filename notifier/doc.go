// Package notifier carries the events of tasks to the clients that watch them,
// over WebSockets.
//
// Every instance reads all of task-events without a consumer group, so any
// instance serves any client and none of them has state worth keeping. Records
// are stepped through the journal's fold by their headers; what does not count,
// and what is for users without a connection here, is dropped before any JSON
// is parsed. What is for many clients is made once, as a WebSocket frame, and
// shared.
//
// # What a client gets
//
// Every event that counts of its user, or of one task or batch, from where it
// asked to start, in the order of each partition, each with a cursor. A client
// that connects again with the last cursor it has seen misses nothing and sees
// nothing twice. Two exceptions are deliberate: of several progress events of a
// task that wait to be sent, only the newest is; and pieces of a task's output
// that wait right behind one another are sent as one.
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
// One goroutine reads the log and never waits for a client. A client is a
// session: a queue of bounded size and one or more subscriptions. Each
// subscription that catches up has a goroutine that replays history. Those that
// need the log wait for a scan of it and have no goroutine's work to do until that
// releases them; the number of scans is bounded. How a client is reached is its
// transport's matter: a WebSocket has one goroutine that reads and, only while
// something is to be sent, one that writes.
package notifier
