package checker

import "time"

// identity is a task in a shard. The same task in another shard is another run.
type identity struct{ userID, taskID, shard string }

// life is what is known of one identity.
type life struct {
	received    time.Time // its first record on the lane; zero if there is none
	maxAttempts int
	notBefore   time.Time
	content     string // of a unique task

	ends   int
	ended  time.Time
	status string
	code   string
	of     string      // whose duplicate it is
	endsAt int64       // the end's offset in the journal
	after  []time.Time // of events that count after the end

	running int       // starts that count
	open    bool      // the last of them has not been answered by another state
	handed  int       // clean hand-overs
	putOff  int       // attempts that their service put off
	failed  int       // attempts after which the task waited for a retry
	lost    int       // attempts that ended with their worker
	attempt int       // the last start's number
	kept    bool      // that was handed over or put off since: the next start may have it too
	began   time.Time // the first start
	beginAt int64     // its offset in the journal
	fell    time.Time // when an attempt's number did not rise
	early   time.Time // when it started before its time
}

// take moves the life on by an event that counts, at that time and offset.
func (l *life) take(e *event, at time.Time, offset int64) {
	if l.ends > 0 {
		l.after = append(l.after, at)
	}
	switch {
	case e.terminal():
		l.end(e, at, offset)
	case e.Kind == "state" && e.Status == "running":
		l.begin(e, at, offset)
	case e.Kind == "state" && e.Status == "pending" && l.open:
		l.pause(e)
	}
}

// pause closes the open attempt without an end of the task. One that failed counts; one
// that was handed over or put off does not, so the next start may have its number.
func (l *life) pause(e *event) {
	l.open = false
	switch {
	case e.Waiting == nil:
		l.handed++
		l.kept = true
	case e.Waiting.For == "retry":
		l.failed++
	default:
		l.putOff++
		l.kept = true
	}
}

// begin opens an attempt. Its number is above that of the last, whoever wrote that: an owner
// that takes a shard over in the middle of its own work has the start of that in the log
// and writes no second one. So a second start under the number of one that was neither
// handed over nor put off is another process's, also if that calls itself by the same
// worker's name.
func (l *life) begin(e *event, at time.Time, offset int64) {
	if l.open {
		l.lost++
	}
	rose := e.Attempt > l.attempt || l.kept && e.Attempt == l.attempt
	if !rose && l.fell.IsZero() {
		l.fell = at
	}
	l.kept = false
	if at.Before(l.notBefore) && l.early.IsZero() {
		l.early = at
	}
	if l.began.IsZero() {
		l.began, l.beginAt = at, offset
	}
	l.running++
	l.open, l.attempt = true, e.Attempt
}

// end closes the open attempt: by its own end, or by the verdict on a task
// whose workers were lost.
func (l *life) end(e *event, at time.Time, offset int64) {
	if l.open && e.Code == "worker_lost" {
		l.lost++
	}
	l.open = false
	l.ends++
	if l.ends == 1 {
		l.ended, l.status, l.code, l.of, l.endsAt = at, e.Status, e.Code, e.Of, offset
	}
}

// freeHandOvers is how many hand-overs cost no attempt.
const freeHandOvers = 10

// lostAttempts counts hand-overs beyond the free ones as lost.
func (l *life) lostAttempts() int { return l.lost + max(0, l.handed-freeHandOvers) }

// maxLost is how many attempts may be lost.
func (l *life) maxLost() int { return min(3, l.maxAttempts+1) }
