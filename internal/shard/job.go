package shard

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// Job is one record of the lane from its receipt until its end has counted.
// The exported fields are set before [Shard.Receive] and not changed after, but
// for Attempt and NotBefore, which are read under the shard's lock, and Wait.
// Everything else belongs to the shard.
type Job struct {
	Offset   int64
	Identity fold.Identity
	// LaneEpoch is the leader epoch of the lane in which the record was written.
	LaneEpoch int32
	// Task is the task, or as much of it as could be read when Invalid is set.
	Task *schemas.Task
	// Invalid says why the record cannot be run: it goes to the dead letters.
	Invalid *schemas.InvalidTaskError
	// Created is when the broker took the lane's record, or what its sender says of that.
	Created time.Time
	// Bytes is what the record holds in memory.
	Bytes int
	// MaxLost is how many lost attempts end the task.
	MaxLost int
	// Payload is the owner's: the raw record, a slot, a cancel function.
	Payload any
	// Attempt is the attempt that runs, or ran last.
	Attempt int
	// Wait is the waiting record that the job is, the zero State for a record of
	// the lane. Offset is the lane record's in both cases.
	Wait fold.State
	// NotBefore is when the job may begin. The run queue keeps to it.
	NotBefore time.Time
	// Checkpoints are those that a job of a waiting record starts with.
	Checkpoints map[string]jsontext.Value
	// Earlier are the attempts before a job of a waiting record, Used is what models were asked for in them,
	// Streamed whether readers have output of theirs.
	Earlier  []Attempt
	Used     *schemas.Usage
	Streamed bool
	// Unique is the task's content if no other with the same is to run.
	Unique *Content

	source    *schemas.Source // shared by the job's events
	stage     stage
	history   attemptHistory
	ran       fold.State     // stamp of the last `running` that this owner has appended; the zero State is none
	startedAt time.Time      // when the work began here
	lastEvent *schemas.Event // its last event, once the dead letter is written
	cancelled bool           // it does not wait for its time any more; see [Shard.Cancel]

	postponed  *Postponement // what the job is about to wait for
	claim      fold.State    // the record of its claim that counts
	inFlight   int           // own records about it that have not counted
	successor  *delayedTask  // the waiting record that takes its place
	delayed    *delayedTask  // that the job is; nil for a record of the lane
	light      bool          // finished, and let go of: it cannot run any more
	slot       int           // place among the shard's active delayed tasks
	recordless bool          // only the journal knows of it: it can be ended, not run
}

// sourceID tells the records apart that a job can be: that of the lane, and
// those of the waiting log that take its place one after the other. A lane that was
// cut short, or made anew, has another task at an offset that was used before.
type sourceID struct {
	offset int64
	wait   fold.State
	task   fold.Identity
}

func (j *Job) id() sourceID { return sourceID{j.Offset, j.Wait, j.Identity} }

// current reports whether the journal's last `running` of the job is this
// owner's. Comparing attempts would not do: an owner that came in between gave
// its attempt the same number.
func (j *Job) current() bool { return j.begun() && j.history.ran == j.ran }

// begun reports whether this owner has appended a `running` of the attempt that is open.
func (j *Job) begun() bool { return j.ran != fold.State{} }

func (j *Job) finished() bool { return j.stage == stageFinished }

// Endable reports whether the job may be given its last event from outside: it
// has been compared with the journal, is not on its way to the dead letters and
// has not ended.
func (j *Job) Endable() bool { return endable&(1<<j.stage) != 0 }

// Waited reports whether the job is one of the waiting log.
func (j *Job) Waited() bool { return j.Wait != (fold.State{}) }

// Started is when the work on the job started that goes on, the zero time if none does.
func (j *Job) Started() time.Time {
	if j.stage != stageRunning {
		return time.Time{}
	}
	return j.startedAt
}

// Suspect reports whether an attempt at this job was lost with its worker.
// Suspects run one at a time, so that a task which kills its process convicts
// only itself.
func (j *Job) Suspect() bool { return j.history.lost() > 0 }

// Failed is how many attempts have failed before.
func (j *Job) Failed() int { return j.history.failed }

// Remembered are the checkpoints of earlier attempts.
func (j *Job) Remembered() map[string]jsontext.Value { return j.history.checkpoints }

// UsedBefore is what models were asked for in earlier attempts, nil if none was.
func (j *Job) UsedBefore() *schemas.Usage { return j.history.used }

// Shown reports whether readers have output of an earlier attempt that they were not told to throw away.
func (j *Job) Shown() bool { return j.history.stream == streamShown }

// lostTooOften reports whether the job has lost as many attempts as it may.
func (j *Job) lostTooOften() bool { return j.history.lost() > 0 && j.history.lost() >= j.MaxLost }

// identified reports whether events can be written for the job.
func (j *Job) identified() bool { return j.Invalid == nil || j.Invalid.Identified() }
