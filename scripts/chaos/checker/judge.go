package checker

import (
	"slices"
	"strings"
	"time"
)

// Judge checks everything that was taken. lane gives the topic of a lane.
func (c *Checker) Judge(topic func(lane string) string) *Report {
	for id, l := range c.lives {
		c.judgeEnd(id, l)
		c.judgeAttempts(id, l)
		c.judgeTime(id, l)
		c.count(l)
	}
	c.judgeUnique()
	c.judgeLetters()
	c.judgeAcks(topic)
	c.judgeTrace()
	c.judgeViews()
	return c.report
}

func (c *Checker) count(l *life) {
	n := &c.report.Counters
	n.Lost += l.lostAttempts()
	n.Handed += l.handed
	n.Retried += l.failed
	name := l.status
	if l.code != "" {
		name += " " + l.code
	}
	n.Status[name]++
}

// judgeEnd is I1 and I2: one end, and nothing after it.
func (c *Checker) judgeEnd(id identity, l *life) {
	if !l.received.IsZero() {
		c.report.check(OneEnd, l.received)
	}
	switch {
	case l.ends == 0 && !l.received.IsZero():
		c.report.breach(OneEnd, l.received, "%s was received and has no end: %d starts", id, l.running)
	case l.ends > 1:
		c.report.breach(OneEnd, l.ended, "%s has %d ends, the first %s", id, l.ends, l.status)
	}
	for _, at := range l.after {
		c.report.breach(NothingAfter, at, "%s: an event counts after its end at %s", id, l.ended.UTC().Format("15:04:05.000"))
	}
	if at, ok := c.cancels[[2]string{id.userID, id.taskID}]; ok && !l.received.IsZero() {
		c.report.check(Cancelled, at)
		if l.ends != 1 {
			c.report.breach(Cancelled, at, "%s was cancelled and has %d ends", id, l.ends)
		}
	}
}

func (id identity) String() string { return id.userID + "/" + id.taskID + " in " + id.shard }

// judgeAttempts is I3 as far as the events tell.
func (c *Checker) judgeAttempts(id identity, l *life) {
	if l.running == 0 {
		return
	}
	c.report.check(Attempts, l.began)
	if lost := l.lostAttempts(); lost > l.maxLost() {
		c.report.breach(Attempts, l.began, "%s lost %d attempts, at most %d may be", id, lost, l.maxLost())
	}
	if l.failed > max(0, l.maxAttempts-1) {
		c.report.breach(Attempts, l.began, "%s was tried again after %d failures, max_attempts is %d", id, l.failed,
			l.maxAttempts)
	}
	if !l.fell.IsZero() {
		c.report.breach(Attempts, l.fell, "%s: an attempt's number did not rise", id)
	}
}

// judgeTime: nothing starts before its time.
func (c *Checker) judgeTime(id identity, l *life) {
	if l.notBefore.IsZero() || l.running == 0 {
		return
	}
	c.report.check(OnTime, l.began)
	if !l.early.IsZero() {
		c.report.breach(OnTime, l.early, "%s started %v before its time", id, l.notBefore.Sub(l.early))
	}
}

// judgeLetters is I1 for records that name no task: they are in the dead
// letters.
func (c *Checker) judgeLetters() {
	for at, received := range c.bare {
		c.report.check(OneEnd, received)
		if !c.letters[at] {
			c.report.breach(OneEnd, received, "%s/%d offset %d names no task and has no dead letter", at.topic, at.partition,
				at.offset)
		}
	}
}

// judgeAcks is I6: what was acknowledged stands where the broker said.
func (c *Checker) judgeAcks(topic func(lane string) string) {
	for _, a := range c.acks {
		c.report.check(Kept, a.At)
		name, ok := c.lanes[place{topic(a.Lane), a.Partition, a.Offset}]
		switch {
		case !ok:
			c.report.breach(Kept, a.At, "%s/%s was acknowledged at %s/%d offset %d and is not there", a.UserID, a.TaskID, a.Lane,
				a.Partition, a.Offset)
		case a.TaskID != "" && name != a.UserID+"/"+a.TaskID:
			c.report.breach(Kept, a.At, "%s/%s was acknowledged at %s/%d offset %d and %q stands there", a.UserID, a.TaskID,
				a.Lane, a.Partition, a.Offset, name)
		}
	}
}

// judgeTrace compares what was executed with the log.
func (c *Checker) judgeTrace() {
	retried := map[work]int{}
	for id, l := range c.lives {
		lane, _, _ := strings.Cut(id.shard, "/")
		retried[work{id.userID, id.taskID, lane}] += l.failed + l.putOff
	}
	for w, starts := range c.starts {
		c.report.Counters.Executions += len(starts)
		c.report.Counters.Again += max(0, len(starts)-1-retried[w])
		c.judgeWritten(w, starts)
		c.judgeOnce(w, starts, retried[w])
	}
}

// judgeWritten is I3 as far as the trace tells: every execution has a start of
// its own in the log, counted or not, since that is written first. Two owners
// may give the same number to their attempts.
func (c *Checker) judgeWritten(w work, starts []Start) {
	written := slices.Clone(c.started[w])
	for _, s := range starts {
		if i := slices.Index(written, s.Attempt); i >= 0 {
			written = slices.Delete(written, i, i+1)
			continue
		}
		c.report.breach(Attempts, time.UnixMilli(s.AtMS),
			"%s/%s in %s: attempt %d was executed by process %d and no start of it stands in the log",
			w.userID, w.taskID, w.lane, s.Attempt, s.PID)
	}
}

// judgeOnce: where processes stop in order, work is executed once. It holds for
// tasks that were executed in one phase only.
func (c *Checker) judgeOnce(w work, starts []Start, retries int) {
	first := time.UnixMilli(starts[0].AtMS)
	phase := c.report.phase.At(first)
	for _, s := range starts {
		if c.report.phase.At(time.UnixMilli(s.AtMS)) != phase || !c.report.phase.Exact(phase) {
			return
		}
	}
	c.report.check(Once, first)
	if len(starts) > 1+retries {
		c.report.breach(Once, first, "%s/%s in %s was executed %d times", w.userID, w.taskID, w.lane, len(starts))
	}
}
