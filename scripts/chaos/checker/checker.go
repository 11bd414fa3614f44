package checker

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Checker gathers what a run left behind and judges it.
type Checker struct {
	report *Report
	fold   Fold

	lanes    map[place]string        // "user/task" of a lane record, "" if it names none
	bare     map[place]time.Time     // lane records that owe a dead letter
	letters  map[place]bool          // dead letters by what they are about
	lives    map[identity]*life      // by identity
	started  map[work][]int          // the attempts of all starts in the log, counted or not
	starts   map[work][]Start        // executions
	journals map[string]*journal     // by shard
	cancels  map[[2]string]time.Time // by user and task
	acks     []Ack
	commits  []Commit
	live     map[string]Digest
}

// place is a record of a topic.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// work is a task in a lane: as much as the trace says.
type work struct{ userID, taskID, lane string }

// New is a checker that knows nothing yet.
func New(p Phases) *Checker {
	return &Checker{
		report: newReport(p), fold: Fold{}, lanes: map[place]string{}, bare: map[place]time.Time{}, letters: map[place]bool{},
		lives: map[identity]*life{}, started: map[work][]int{}, starts: map[work][]Start{},
		journals: map[string]*journal{}, cancels: map[[2]string]time.Time{},
	}
}

// Lane takes a record of a lane.
func (c *Checker) Lane(lane string, r *Record) {
	at := place{r.Topic, r.Partition, r.Offset}
	t, ok := readTask(r.Value)
	if !ok {
		c.report.Counters.Unreadable++
		c.bare[at] = r.Time
		c.lanes[at] = ""
		return
	}
	c.report.Counters.Tasks++
	c.lanes[at] = t.userID + "/" + t.taskID
	l := c.life(identity{t.userID, t.taskID, fmt.Sprint(lane, "/", r.Partition)})
	if l.received.IsZero() { // of the records of one task the first is run
		l.received, l.maxAttempts, l.notBefore, l.content = r.Time, t.maxAttempts, t.notBefore, t.content
	}
}

func (c *Checker) life(id identity) *life {
	l := c.lives[id]
	if l == nil {
		l = &life{maxAttempts: 3}
		c.lives[id] = l
	}
	return l
}

// Event takes a record of task-events. Lane records must have been given
// before.
func (c *Checker) Event(r *Record) {
	n := &c.report.Counters
	n.Events++
	stamp, ok := ReadStamp(r.Headers)
	if !ok {
		n.Malformed++
		return
	}
	verdict, gap := c.fold.Take(stamp, r.Time)
	c.journal(stamp.Shard).add(r, stamp, verdict == Counts)
	if gap {
		n.Gaps++
	}
	var e event
	readable := json.Unmarshal(r.Value, &e) == nil
	if readable && e.Kind == "state" && e.Status == "running" {
		c.noteStarted(&e, stamp)
	}
	switch {
	case verdict == Ahead:
		n.Ahead++
	case verdict == Stale:
		n.Stale++
		n.StaleByWorker[e.Worker]++
	case verdict == Repeats:
		n.Repeated++
	case !readable:
		c.report.breach(SameHistory, r.Time, "%d/%d counts in %s and cannot be read", r.Partition, r.Offset, stamp.Shard)
	case len(r.Key) > 0:
		c.report.check(NothingAfter, r.Time)
		c.life(identity{e.UserID, e.TaskID, stamp.Shard}).take(&e, r.Time, r.Offset)
	case e.Kind == "repeat":
		n.Repeats++
	}
}

func (c *Checker) noteStarted(e *event, s Stamp) {
	lane, _, _ := strings.Cut(s.Shard, "/")
	w := work{e.UserID, e.TaskID, lane}
	c.started[w] = append(c.started[w], e.Attempt)
}

func (c *Checker) journal(shard string) *journal {
	j := c.journals[shard]
	if j == nil {
		j = new(journal)
		c.journals[shard] = j
	}
	return j
}

// Letter takes a record of the dead letters.
func (c *Checker) Letter(r *Record) {
	c.report.Counters.Letters++
	partition, err := strconv.ParseInt(r.Headers["tl-partition"], 10, 32)
	offset, err2 := strconv.ParseInt(r.Headers["tl-offset"], 10, 64)
	if err == nil && err2 == nil && r.Headers["tl-reason"] != "" {
		c.letters[place{r.Headers["tl-topic"], int32(partition), offset}] = true
	}
}

// Ack takes an acknowledgement; topic is the lane's.
func (c *Checker) Ack(a Ack) { c.acks = append(c.acks, a) }

// Start takes a line of the trace.
func (c *Checker) Start(s Start) {
	w := work{s.UserID, s.TaskID, s.Lane}
	c.starts[w] = append(c.starts[w], s)
}

// Commit takes a commit as it stood at some time of the run.
func (c *Checker) Commit(m Commit) { c.commits = append(c.commits, m) }

// Cancel takes an acknowledged cancellation.
func (c *Checker) Cancel(x Cancel) { c.cancels[[2]string{x.UserID, x.TaskID}] = x.At }

// Memory takes a look at a process's memory.
func (c *Checker) Memory(m Memory) {
	c.report.check(Bounded, m.At)
	if m.Bytes > m.Limit {
		c.report.breach(Bounded, m.At, "%s holds %d MiB, more than %d", m.Process, m.Bytes>>20, m.Limit>>20)
	}
}

// Live takes what a reader saw that followed the log during the run to the same
// end.
func (c *Checker) Live(digests map[string]Digest) { c.live = digests }
