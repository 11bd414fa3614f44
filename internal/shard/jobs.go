package shard

import (
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// jobs are the jobs that a shard holds, and what becomes of each from its receipt until
// its end has counted. The Shard says when the logs are its own; until then nothing is
// offered, and what is to be written waits for the next fence.
type jobs struct {
	config *Config
	name   string
	port   Port
	events Events

	// running says that the shard is taken over: what is appended stands behind its fence.
	running bool
	// unassigned is set while the group does not have this owner, see [Shard.Unassign].
	unassigned bool
	// inForce is what holds tasks that wait for its end; nil if it is not known.
	inForce *Holds

	journal fencedLog[written]
	waits   waitlog
	tracker tracker
	window  *window
	missing missing
	// unreceived is what the journal says of records that were not received yet.
	unreceived map[sourceID]*attemptHistory
	// commit is what the take-over started from, promised the offset that the group's commit
	// said all is finished below.
	commit   fold.Commit
	promised int64

	working int
	// deadLettering is how many jobs wait for their dead letter before they can end.
	deadLettering int
	markAt        time.Time
}

func newJobs(c *Config, port Port) jobs {
	name := c.Shard.String()
	return jobs{
		config: c, name: name, port: port, events: Events{c, port},
		journal: fencedLog[written]{fenceAt: -1, raisedAt: -1}, waits: newWaitlog(c, port),
		tracker: tracker{epoch: -1}, window: newWindow(c.Window), missing: missing{jobs: map[fold.Identity]*Job{}},
		unreceived: map[sourceID]*attemptHistory{},
	}
}

// all are the jobs that are held: the lane's, those whose lane record is gone, and the
// active ones of the waiting log.
func (js *jobs) all() []*Job {
	return slices.Concat(js.tracker.live(), js.missing.sorted(), js.waits.active)
}

// drop lets go of a job: its work is stopped.
func (js *jobs) drop(j *Job) {
	js.stop(j)
	js.move(j, stepDrop)
}

// stop ends work on a job, and frees what a job holds whose work was about to
// start.
func (js *jobs) stop(j *Job) {
	if j.stage.in(stageStarting, stageRunning) {
		js.port.Stop(j)
	}
}

func (js *jobs) conclude(j *Job, e *schemas.Event) {
	js.move(j, stepEnd)
	js.post(j, e)
}

// advance moves the prefix over what is finished.
func (js *jobs) advance() {
	js.tracker.advance(func(j *Job) {
		js.passed(j)
	})
	js.dismiss()
	js.unblockWhere(func(offset int64) bool { return offset < js.tracker.prefix })
	js.sweep()
}

// passed remembers the task of a record that the prefix has passed. One that
// waits is known to the waiting log.
func (js *jobs) passed(j *Job) {
	if !j.recordless {
		js.waits.claims.passedAt = max(js.waits.claims.passedAt, j.Created.UnixMilli())
	}
	task := endedTask{identity: j.Identity, source: j.Offset, journal: j.history.endedAt}
	switch {
	case !j.identified() || j.history.repeat:
	case j.history.deferred:
		js.window.untrack(task)
	case j.history.endedAt > 0:
		js.window.end(task)
	}
}

// post appends an event now, or after the take-over that is under way.
func (js *jobs) post(j *Job, e *schemas.Event) {
	j.inFlight++
	if j.claim != (fold.State{}) && e.Terminal() {
		js.waits.claims.concluding[j.claim] = nil
	}
	if !js.running {
		js.journal.outbox.add(sent[written]{offset: -1, record: written{job: j, event: e}})
		return
	}
	js.journal.push(written{job: j, event: e})
	js.port.Append(Record{Stamp: js.journal.stamp(js.name), Event: e, Callback: callbackOf(j.Task, e)})
}

// postRunning appends the start of the job's next attempt. The shard must be
// running, so that the stamp is known.
func (js *jobs) postRunning(j *Job) {
	j.Attempt = j.history.attempts + 1
	e := js.events.New(j, schemas.KindState, schemas.Running)
	e.Message = "Executing task: " + e.Task
	js.post(j, e)
	j.ran = js.journal.own
}

func (js *jobs) start(j *Job) {
	if j.stage != stageStarting || js.unassigned { // it starts if the shard is assigned again
		return
	}
	js.move(j, stepStart)
	j.startedAt = js.port.Now()
	js.port.Start(j)
}

func (js *jobs) mark(now time.Time) {
	js.markAt = now.Add(js.config.MarkInterval)
	js.journal.push(written{})
	sign := js.sign(schemas.KindMark, now)
	sign.Running, sign.Lag = js.working, js.tracker.len()
	js.port.Append(Record{Stamp: js.journal.stamp(js.name), Sign: sign})
}

func (js *jobs) sign(kind schemas.Kind, now time.Time) *schemas.Sign {
	stamp := js.journal.stamp(js.name)
	return &schemas.Sign{
		EventID: stamp.EventID(), Kind: kind, Shard: stamp.Shard, Epoch: stamp.Epoch, Seq: stamp.Seq,
		Worker: js.config.Worker, Time: schemas.AtTime(now),
	}
}
