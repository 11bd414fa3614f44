package shard

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// A broker that has lost the ends of the journal and of the waiting log takes away what
// counted: starts, ends, that a task waits, and its record there. Whatever it takes, no
// task is left between two stages: each goes on, waits or ends, and the lane is finished
// to its end, by the owner that was there or by the next.
func TestNothingIsStuckAfterACut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, d := taken(t)
		c := &cutting{t: t, rt: rt, s: s, d: d, commit: fold.Commit{Offset: -1}}
		for range rapid.IntRange(1, 14).Draw(rt, "steps") {
			c.step()
		}
		c.cut()
		if rapid.Bool().Draw(rt, "another owner") {
			c.succeed()
		}
		c.takeOver()
		c.finish()
	})
}

// cutting is a shard whose logs are cut.
type cutting struct {
	t      *testing.T
	rt     *rapid.T
	s      *Shard
	d      *desk
	end    int64 // of the lane
	commit fold.Commit
	buried int
}

// step is something that happens to one of the shard's tasks.
func (c *cutting) step() {
	var queued, runs []*Job
	c.s.Jobs(func(j *Job) {
		switch j.stage {
		case stageOffered:
			queued = append(queued, j)
		case stageRunning:
			runs = append(runs, j)
		}
	})
	what := rapid.IntRange(0, 6).Draw(c.rt, "step")
	switch {
	case what == 0 && len(queued) > 0:
		c.s.Begin(rapid.SampledFrom(queued).Draw(c.rt, "begins"))
	case what == 1 && len(runs) > 0:
		j := rapid.SampledFrom(runs).Draw(c.rt, "ends")
		c.s.Conclude(j, c.s.jobs.events.New(j, schemas.KindState, schemas.Completed))
	case what == 2 && len(runs) > 0:
		until := c.d.now.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(c.rt, "for"))
		c.s.Postpone(rapid.SampledFrom(runs).Draw(c.rt, "waits"),
			Postponement{For: schemas.WaitRetry, Until: until, Error: "busy", ErrorCode: schemas.CodeServiceError})
	case what == 3:
		if point, ok := c.s.CommitPoint(); ok {
			c.commit = point
			c.s.Committed(point)
		}
	case what == 4:
		c.d.now = c.d.now.Add(time.Minute)
		c.s.Tick()
	default:
		c.s.Receive(job(c.end, fmt.Sprint("t", c.end)))
		c.end++
	}
	if rapid.IntRange(0, 3).Draw(c.rt, "counts") > 0 {
		c.d.turn(c.t, c.s)
	}
}

// cut takes the ends of the logs away: what had not counted too.
func (c *cutting) cut() {
	left := rapid.IntRange(1, c.d.counted).Draw(c.rt, "left of the journal")
	c.d.records, c.d.counted = c.d.records[:left], left
	left = rapid.IntRange(1, c.d.landed).Draw(c.rt, "left of the waiting log")
	c.d.waits, c.d.landed = c.d.waits[:left], left
	c.d.buried = nil
}

// succeed lets another owner come, which is given the lane from the commit on.
func (c *cutting) succeed() {
	now, records, waits := c.d.now, c.d.records, c.d.waits
	c.s, c.d = newShard(c.t)
	c.d.now, c.d.records, c.d.counted, c.d.waits, c.d.landed = now, records, len(records), waits, len(waits)
	c.s.TakeOver()
	for offset := max(c.commit.Offset, 0); offset < c.end; offset++ {
		c.s.Receive(job(offset, fmt.Sprint("t", offset)))
	}
}

// takeOver lets the shard read what is left, until it runs.
func (c *cutting) takeOver() {
	for range 20 {
		c.d.now = c.d.now.Add(lastRetake)
		if c.s.Tick(); c.s.Running() {
			c.s.doubt("for the test")
			continue
		}
		if c.s.phase != phaseLoading {
			continue
		}
		journal := c.d.counted
		c.s.Loaded(c.commit, Logs{
			Lane: Bounds{0, c.end}, Until: c.end, Journal: Bounds{0, int64(journal)}, Waits: Bounds{0, c.d.waitsEnd()},
		})
		if c.s.jobs.waits.next == 0 {
			c.d.landed = 0
			c.d.landWaits(c.s)
		}
		for n, r := range c.d.records[:journal] {
			c.s.Follow([]Entry{entry(c.t, int64(n), r)}, int64(n)+1)
		}
		if c.d.turn(c.t, c.s); c.s.Running() {
			return
		}
	}
	c.rt.Fatalf("not taken over: phase %d, notes %q", c.s.phase, c.d.notes)
}

// finish runs all there is to run, for as long as anything can wait for.
func (c *cutting) finish() {
	for range 30 {
		c.d.now = c.d.now.Add(time.Minute)
		c.s.Tick()
		c.s.Measured(Bounds{0, c.end})
		c.d.turn(c.t, c.s)
		if !c.s.Running() {
			c.takeOver()
		}
		var jobs []*Job
		c.s.Jobs(func(j *Job) { jobs = append(jobs, j) })
		for _, j := range jobs {
			switch j.stage {
			case stageOffered:
				c.s.Begin(j)
			case stageRunning:
				c.s.Conclude(j, c.s.jobs.events.New(j, schemas.KindState, schemas.Completed))
			}
			c.d.turn(c.t, c.s)
		}
		for ; c.buried < len(c.d.buried); c.buried++ {
			c.s.DeadLetterWritten(c.d.buried[c.buried])
		}
		if point, ok := c.s.CommitPoint(); ok {
			c.commit = point
			c.s.Committed(point)
		}
	}
	stuck := ""
	c.s.Jobs(func(j *Job) { stuck += fmt.Sprintf(" %s at %d in stage %d;", j.Task.TaskID, j.Offset, j.stage) })
	if c.commit.Offset != c.end && c.end > 0 || stuck != "" || len(c.s.jobs.missing.jobs) > 0 ||
		c.s.jobs.waits.tasks.count > 0 {
		c.rt.Fatalf("committed up to %d of %d; stuck:%s %d without a place, %d wait; notes %q",
			c.commit.Offset, c.end, stuck, len(c.s.jobs.missing.jobs), c.s.jobs.waits.tasks.count, c.d.notes)
	}
}
