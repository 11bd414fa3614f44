package journal

import (
	"crypto/sha256"
	"maps"
	"time"

	"github.com/go-json-experiment/json/jsontext"

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
// The exported fields are set before [Shard.Receive] and not changed after, but
// for Attempt and NotBefore, which are read under the shard's lock, and Wait.
// Everything else belongs to the shard.
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
	// Wait is the waiting record that the job is, the zero State for a record of
	// the lane. Offset is the lane record's in both cases.
	Wait State
	// NotBefore is when the job may begin. The run queue keeps to it.
	NotBefore time.Time
	// Checkpoints are those that a job of a waiting record starts with.
	Checkpoints map[string]jsontext.Value

	// Unique is the task's content if no other with the same is to run.
	Unique *Content

	// earlier are the attempts before a job of a waiting record.
	earlier  []episode
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

	postponed *Postponement // what the job is about to wait for
	written   bool          // its waiting record or claim is on its way
	claim     State         // the record of its claim that counts
	inFlight  int           // own records about it that have not counted
	successor *waiter       // the waiting record that takes its place
	waiter    *waiter       // that the job is; nil for a record of the lane
	slot      int           // place among the shard's active waiters
}

// sourceID tells the records apart that a job can be: that of the lane, and
// those of the waiting log that take its place one after the other.
type sourceID struct {
	offset int64
	wait   State
}

func (j *Job) id() sourceID { return sourceID{j.Offset, j.Wait} }

// stage is how far this owner has brought a job.
type stage uint8

const (
	stageReceived  stage = iota // not yet compared with the journal
	stageClaiming               // its claim is being written, or another's to the same
	stageQueued                 // may be started
	stageStarting               // `running` is appended
	stageRunning                // `running` is acknowledged, the work goes on
	stageBurying                // the dead letter is being written
	stageRetrying               // `pending` is appended; queued again when it counts
	stageDeferring              // the waiting record is being written
	stageEnding                 // the last event is appended
	stageHanded                 // handed over: runs again elsewhere
)

// current reports whether the journal's last `running` of the job is this
// owner's. Comparing attempts would not do: an owner that came in between gave
// its attempt the same number.
func (j *Job) current() bool { return j.begun && j.past.ran == j.ran }

// endable reports whether the job may be given its last event from outside: it
// has been compared with the journal, is not on its way to the dead letters and
// has not ended.
func (j *Job) endable() bool {
	return !j.finished && (j.stage == stageQueued || j.stage == stageStarting || j.stage == stageRunning || j.stage == stageRetrying)
}

// Suspect reports whether an attempt at this job was lost with its worker.
// Suspects run one at a time, so that a task which kills its process convicts
// only itself.
func (j *Job) Suspect() bool { return j.past.lost() > 0 }

// Remembered are the checkpoints of earlier attempts.
func (j *Job) Remembered() map[string]jsontext.Value { return j.past.checkpoints }

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
	failed   int   // and how many ended with an error and led to a retry
	deferred bool  // a waiting record has taken its place
	ended    bool
	endedAt  int64 // journal offset of its end
	// notBefore is until when it waits in the queue, after a retry.
	notBefore time.Time
	// checkpoints are results that later attempts need not work out again. The
	// map is replaced, not changed.
	checkpoints map[string]jsontext.Value
	repeat      bool // ended as a repeat of an earlier task
	// runner wrote the last `running`, at startedMS; episodes are the attempts
	// before it, the last of them.
	runner    string
	startedMS int64
	episodes  []episode
	identity  Identity
}

// place is a position in the journal with the fold's state just before it and
// just after it: the record's own stamp, as it counted.
type place struct {
	offset int64
	before State
	after  State
}

// lost is how many attempts ended with their worker, the open one included.
func (p *past) lost() int { return p.running - min(p.handed, maxHandOvers) - p.failed }

// over reports whether nothing more is to be done about this record.
func (p *past) over() bool { return p.ended || p.deferred }

// see notes that a record about this offset counted.
func (p *past) see(at place, r *facts) {
	if !p.started {
		p.started, p.first = true, at
	}
	switch {
	case r.Checkpoint != nil:
		p.remember(r.Checkpoint)
	case r.ends():
		p.ended, p.endedAt, p.repeat = true, at.offset, r.Kind == schemas.KindRepeat
	case r.Status == schemas.Running:
		if p.open {
			p.note(p.attempt(endedLost))
		}
		p.runner, p.startedMS = r.Worker, r.Time.UnixMilli()
		p.running++
		p.attempts = max(p.attempts, r.Attempt)
		p.ran, p.open, p.notBefore = at.after, true, time.Time{}
	case r.Deferred:
		p.deferred = true
	case r.Status == schemas.Pending && p.open && r.Attempt == p.attempts:
		p.close(r.Waiting, r.Time, r.ErrorCode, r.Error)
	}
}

func (p *past) remember(c *schemas.Checkpoint) {
	all := make(map[string]jsontext.Value, len(p.checkpoints)+1)
	maps.Copy(all, p.checkpoints)
	all[c.Name] = c.Result
	p.checkpoints = all
}

// close ends the open attempt. One that failed counts, one that was handed over
// or put off does not: the next has the same number.
func (p *past) close(w *schemas.Waiting, at schemas.Time, code schemas.ErrorCode, text string) {
	p.open = false
	now := p.attempt(endedPutOff)
	now.Ended, now.Code, now.Error = at, code, shortText(text)
	switch {
	case w == nil:
		now.End = endedHanded
		p.handed++
		if p.handed <= maxHandOvers {
			p.attempts--
		}
	case w.For == schemas.WaitRetry:
		now.End = endedFailed
		p.failed++
	default:
		p.running--
		p.attempts--
	}
	p.note(now)
	if w == nil {
		return
	}
	if w.Until != nil {
		p.notBefore = w.Until.Time
	}
}

// after is this past with what happened before its record was written.
func (p past) after(base past) past {
	p.identity = base.identity
	p.attempts = max(p.attempts, base.attempts)
	p.running += base.running
	p.handed += base.handed
	p.failed += base.failed
	if len(base.episodes) > 0 {
		p.episodes = lastEpisodes(base.episodes, p.episodes)
	}
	if len(base.checkpoints) > 0 {
		all := maps.Clone(base.checkpoints)
		maps.Copy(all, p.checkpoints)
		p.checkpoints = all
	}
	return p
}
