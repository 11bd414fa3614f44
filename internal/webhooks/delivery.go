package webhooks

import "time"

// outcome is how a delivery ended.
type outcome string

const (
	delivered outcome = "delivered" // the receiver answered 2xx
	gone      outcome = "gone"      // it answered 410
	failed    outcome = "failed"    // it was given up, and is a dead letter
)

func (o outcome) valid() bool { return o == delivered || o == gone || o == failed }

// entry is what one record of task-webhooks says.
type entry struct {
	partition int32
	id        string // the event's
	user      string
	// outcome ends the delivery; what follows is empty then.
	outcome outcome
	url     string
	tries   int // made so far
	created time.Time
	due     time.Time // when the next try may be made
	body    []byte
}

// delivery is one that is open, as its newest record says. The body is nil where
// it is not kept in memory.
type delivery struct {
	entry
	backlog *backlog
	route   *route
	began   speed // of its route, when the try began that is under way
	offset  int64 // of its newest record
}

// again is the delivery after a try that failed. The body that is kept may be let go
// of during a try, so it is not looked at here.
func (d *delivery) again(body []byte, due time.Time) entry {
	return entry{
		partition: d.partition, id: d.id, user: d.user, url: d.url,
		tries: d.tries + 1, created: d.created, due: due, body: body,
	}
}

// ended is the record that ends it.
func (d *delivery) ended(how outcome) entry {
	return entry{partition: d.partition, id: d.id, user: d.user, outcome: how}
}
