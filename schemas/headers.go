package schemas

import "strings"

// HeaderPrefix begins the name of every header that is Tasklane's own, on whatever
// topic. What a sender gives under such a name says nothing and is not passed on.
const HeaderPrefix = "tl-"

// OwnHeader reports whether a header's name is one that Tasklane keeps for itself, in
// whatever letter case: some clients change that.
func OwnHeader(key string) bool {
	key = strings.TrimSpace(key)
	return len(key) >= len(HeaderPrefix) && strings.EqualFold(key[:len(HeaderPrefix)], HeaderPrefix)
}

// Headers of task-events: together they are all a reader needs to tell which
// records count (see docs/DELIVERY.md). Epoch and seq are decimal text.
const (
	HeaderShard = "tl-shard"
	HeaderEpoch = "tl-epoch"
	HeaderSeq   = "tl-seq"
)

// HeaderWaiting is on records of tasks.scheduled: what the task waits for and what happened to it before, as JSON
// (see docs/TOPICS.md). The value is the task as it was sent.
const HeaderWaiting = "tl-waiting"

// HeaderCallback is on the terminal event of a task with a callback_url, and is that URL. It stands beside the event
// because the event goes to clients, and a URL may hold a secret.
const HeaderCallback = "tl-callback"

// Headers of task-webhooks, beside [HeaderCallback]: which event is delivered, and
// how far that is (see docs/WEBHOOKS.md). Tries is decimal text, the times are
// RFC 3339. [HeaderDelivery] is on the dead letter of a delivery, too.
const (
	HeaderDelivery = "tl-delivery" // the event_id, sent as webhook-id
	HeaderTries    = "tl-tries"    // how often it was sent so far
	HeaderCreated  = "tl-created"  // when the delivery was first written
	HeaderDue      = "tl-due"      // when to send it
	// HeaderSeal is who wrote the record: a signature by each webhook secret over all that it says.
	HeaderSeal = "tl-seal"
	// HeaderOutcome is on the record that ends a delivery: delivered, gone or failed. The record has no value.
	HeaderOutcome = "tl-outcome"
)

// ReasonNotALane is the tl-reason of a task that was sent to a topic of Tasklane's that is no lane.
const ReasonNotALane = "not_a_lane"

// ReasonWebhookFailed is the tl-reason of a delivery that was given up.
const ReasonWebhookFailed = "webhook_failed"

// Headers of tasks.dlq: why a record could not be run, and where it was.
const (
	HeaderReason    = "tl-reason"
	HeaderError     = "tl-error"
	HeaderTopic     = "tl-topic"
	HeaderPartition = "tl-partition"
	HeaderOffset    = "tl-offset"
	HeaderAttempt   = "tl-attempt"
	// HeaderHistory is compact JSON of at most 4 KiB: {attempts, lost, failed,
	// handed_over, history: [{attempt, worker, started, ended, end, error_code,
	// error}]}, the last attempt at last. Records that were never a task have none.
	HeaderHistory = "tl-history"
	// HeaderTruncated is on a letter whose record was too large for the topic: how many bytes its value had.
	HeaderTruncated = "tl-truncated"
)

// HeaderTraceparent is the W3C trace context a task's sender may give.
const HeaderTraceparent = "traceparent"
