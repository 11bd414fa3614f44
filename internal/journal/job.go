package journal

import (
	"crypto/sha256"

	"github.com/aiecs/tasklane/schemas"
)

// Identity tells tasks apart: a hash of (user_id, task_id).
type Identity [16]byte

// IdentityOf is the identity of a task. The hash is cryptographic because the
// ids are chosen by senders, and a collision would suppress a task.
func IdentityOf(userID, taskID string) Identity {
	b := make([]byte, 0, 128)
	b = append(append(append(b, userID...), 0), taskID...)
	sum := sha256.Sum256(b)
	return Identity(sum[:16])
}

// Job is one record of the lane from its receipt until its end has counted.
// The exported fields are set before [Shard.Receive] and not changed after,
// but for Attempt. Everything else belongs to the shard.
type Job struct {
	Offset   int64
	Identity Identity
	// Task is the task, or as much of it as could be read when Invalid is set.
	Task *schemas.Task
	// Invalid says why the record cannot be run: it goes to the dead letters.
	Invalid *schemas.InvalidTaskError
	// Bytes is what the record holds in memory.
	Bytes int
	// MaxLost is how many lost attempts end the task.
	MaxLost int
	// Payload is the owner's: the raw record, a slot, a cancel function.
	Payload any
	// Attempt is the attempt that runs, or ran last.
	Attempt int

	source   *schemas.Source // shared by the job's events
	stage    stage
	past     past
	offered  bool
	begun    bool  // `running` was appended by this owner
	ran      State // with this stamp, last
	working  bool
	verdict  *schemas.Event // its last event, once the dead letter is written
	buried   bool           // the dead letter is all there will be of it
	finished bool
}

// stage is how far this owner has brought a job.
type stage uint8

const (
	stageReceived stage = iota // not yet compared with the journal
	stageQueued                // may be started
	stageStarting              // `running` is appended
	stageRunning               // `running` is acknowledged, the work goes on
	stageBurying               // the dead letter is being written
	stageEnding                // the last event is appended
	stageHanded                // handed over: runs again elsewhere
)

// current reports whether the journal's last `running` of the job is this
// owner's. Comparing attempts would not do: an owner that came in between gave
// its attempt the same number.
func (j *Job) current() bool { return j.begun && j.past.ran == j.ran }

// endable reports whether the job may be given its last event from outside: it
// has been compared with the journal, is not on its way to the dead letters and
// has not ended.
func (j *Job) endable() bool {
	return !j.finished && (j.stage == stageQueued || j.stage == stageStarting || j.stage == stageRunning)
}

// Suspect reports whether an attempt at this job was lost with its worker.
// Suspects run one at a time, so that a task which kills its process convicts
// only itself.
func (j *Job) Suspect() bool { return j.past.lost() > 0 }

// convicted reports whether the job has lost as many attempts as it may.
func (j *Job) convicted() bool { return j.past.lost() > 0 && j.past.lost() >= j.MaxLost }

// identified reports whether events can be written for the job.
func (j *Job) identified() bool { return j.Invalid == nil || j.Invalid.Identified() }

// maxHandOvers is how many clean hand-overs are free; further ones count as
// lost attempts, so that a task which never survives a drain ends.
const maxHandOvers = 10

// past is what the journal says of one source offset.
type past struct {
	// first is where the first record that counted stands, and the state of
	// the fold just before it: a successor must start reading there.
	first    place
	started  bool  // first is set
	attempts int   // highest attempt that counted
	ran      State // stamp of the last `running` that counted
	running  int   // `running` records that counted
	open     bool  // the last of them was not handed over
	handed   int   // of these, how many were handed over cleanly
	ended    bool
	endedAt  int64 // journal offset of its end
	repeat   bool  // ended as a repeat of an earlier task
	identity Identity
}

// place is a position in the journal with the fold's state just before it and
// just after it: the record's own stamp, as it counted.
type place struct {
	offset int64
	before State
	after  State
}

func (p *past) lost() int { return p.running - min(p.handed, maxHandOvers) }

// see notes that a record about this offset counted.
func (p *past) see(at place, r *facts) {
	if !p.started {
		p.started, p.first = true, at
	}
	switch {
	case r.ends():
		p.ended, p.endedAt, p.repeat = true, at.offset, r.Kind == schemas.KindRepeat
	case r.Status == schemas.Running:
		p.running++
		p.attempts = max(p.attempts, r.Attempt)
		p.ran, p.open = at.after, true
	case r.Status == schemas.Pending && p.open && r.Attempt == p.attempts:
		p.open = false
		p.handed++
	}
}
