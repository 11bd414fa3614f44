// Package webhooks posts the terminal event of a task to its callback_url:
// signed, tried again with growing pauses, and to public addresses only.
//
// # Words
//
// A delivery is one terminal event that counts and the URL it is posted to; its
// id is the event's. It has a number of tries. A target is the scheme, host and
// port of a URL. A route is what one user has posted to one target: what is down is
// usually the whole of it, and who says so may be that user. A backlog is what is
// known of the deliveries of one partition.
//
// # How it works
//
// Many dispatchers share the partitions of task-events as members of one consumer
// group. Who is assigned a partition owns the partition of task-webhooks of the
// same number too, and alone writes there:
//
//   - A terminal event that counts and has a callback becomes a record of a new
//     delivery, with the event as value.
//   - A try that failed is written as the same record again with its number and
//     when the next one is due. It takes the place of the one before.
//   - A record without a value and with an outcome ends the delivery.
//
// So task-webhooks says at any time which deliveries are open, and a restart or
// another owner goes on where the last one stood. The offset that the group
// commits on task-events has as metadata the fold's state there, where the oldest
// open delivery stands in task-webhooks, and from where on new deliveries may
// stand that the commit does not know of: a successor recognises those by their
// ids and does not make them twice.
//
// # What it guarantees
//
// Every terminal event that counts and has a callback ends as delivered, gone (the
// receiver answered 410) or failed, which is a dead letter; nothing is dropped
// silently. It is posted once, except where the answer, or the record that says
// so, was lost: a dispatcher was killed between an answer and its acknowledgement,
// it was paused beyond its session, or the receiver's answer did not come through.
// Then it is posted again with the same id. Order between deliveries is not
// promised.
//
// # Who owns what
//
// [Dispatcher.Run] owns every goroutine. One polls events, one hands deliveries to
// the tries, one commits; each try is a goroutine, of a bounded number in all and
// for one target. One lock guards backlogs and queue; nothing waits while holding it.
// Whatever goes wrong with the log ends the membership, and the next one starts
// from what is in the log.
package webhooks
