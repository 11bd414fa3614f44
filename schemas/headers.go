package schemas

// Headers of task-events: together they are all a reader needs to tell which
// records count (see docs/DELIVERY.md). Epoch and seq are decimal text.
const (
	HeaderShard = "tl-shard"
	HeaderEpoch = "tl-epoch"
	HeaderSeq   = "tl-seq"
)

// HeaderWaiting is on records of tasks.scheduled: what the task waits for and
// what happened to it before, as JSON (see docs/TOPICS.md). The value is the
// task as it was sent.
const HeaderWaiting = "tl-waiting"

// Headers of tasks.dlq: why a record could not be run, and where it was.
const (
	HeaderReason    = "tl-reason"
	HeaderError     = "tl-error"
	HeaderTopic     = "tl-topic"
	HeaderPartition = "tl-partition"
	HeaderOffset    = "tl-offset"
	HeaderAttempt   = "tl-attempt"
	// HeaderHistory is compact JSON: {attempts, lost, handed_over, last: {worker,
	// started, ended, error_code, error}}. Records that were never a task have none.
	HeaderHistory = "tl-history"
	// HeaderTruncated is on a letter whose record was too large for the topic:
	// how many bytes its value had.
	HeaderTruncated = "tl-truncated"
)

// HeaderTraceparent is the W3C trace context a task's sender may give.
const HeaderTraceparent = "traceparent"
