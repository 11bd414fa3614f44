package journal

import (
	"slices"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// phase is where a shard stands in the protocol.
type phase uint8

const (
	phaseNew       phase = iota
	phaseLoading         // asked for the commit
	phaseReading         // reading the journal before the own fence
	phaseFencing         // fence appended, reading on to it
	phaseRunning         // owner: writes
	phaseContested       // a foreign fence counts; asked the coordinator
	phaseDoubting        // waiting to take over again
	phaseForgotten       // not ours any more
)

// Config describes a shard and its owner.
type Config struct {
	Shard ShardID
	// Topic is the lane's topic, for the source of events.
	Topic string
	// Worker is the owner's instance id.
	Worker string
	// Window is how many finished tasks are remembered to recognise repeats.
	Window int
	// MarkInterval is the time between two marks.
	MarkInterval time.Duration
	// ShortWait is the longest wait that is spent in the run queue. A longer one
	// would hold the lane's commit and its read-ahead.
	ShortWait time.Duration
	// Deferring is how many waiting records may be on their way at once; 256 if
	// not given.
	Deferring int
	// MaxClaims is how many claims of unique tasks are kept; 50,000 if not given.
	MaxClaims int
}

// Shard is the owner's side of the journal protocol for one partition of one
// lane (doc.go has the rules). It does no I/O and starts no goroutine: the
// world comes in through its methods and is reached through its [Port]. It is
// not safe for concurrent use.
type Shard struct {
	config Config
	name   string
	port   Port

	phase phase
	// own is the epoch this owner fenced with and its last sequence number.
	own State
	// known is the highest epoch seen anywhere, so that a fence goes above it.
	known int64

	// fold follows the journal; next is the offset it goes on at, raisedAt the
	// offset of the record that last raised its epoch.
	fold     State
	next     int64
	raisedAt int64

	// commit is what the take-over started from, foldFrom where its fold did,
	// readEnd the journal's end then, fenceAt where the own fence stands.
	commit   Commit
	readEnd  int64
	fenceAt  int64
	foldFrom int64

	outbox  outbox
	tracker tracker
	window  *window
	waits   waitlog
	// active are the jobs of waiting records that are to run, run or are being
	// ended; blocked are waiting records by the lane record whose place they
	// took and that was not received yet.
	active  []*Job
	blocked map[int64]*waiter
	// deferring are jobs whose waiting record has no room yet.
	deferring []*Job
	// claimants are the jobs whose content is being claimed: the first's claim is
	// on its way, the others wait for what becomes of it.
	claimants map[Identity][]*Job
	// concluding are the claims of tasks whose end is on its way, and the jobs that
	// wait for what that does to the claim.
	concluding map[State][]*Job
	// freed are the claims of tasks that have ended without completing, and where,
	// until their tombstones count.
	freed map[State]place
	// passedAt is the latest time, in Unix ms, of a record that the prefix has passed.
	passedAt int64
	// measuredAt is when the lane's end was last asked for.
	measuredAt time.Time
	// history is what the journal says of records that were not received yet.
	history map[sourceID]*past
	working int
	// condemned is how many jobs wait for their letter before they can end.
	condemned int

	committed Commit
	retakes   int
	retakeAt  time.Time
	markAt    time.Time
	steadyAt  time.Time
	// progressAt is when a take-over last came a step further.
	progressAt time.Time
}

// New is a shard that owns nothing yet; [Shard.TakeOver] starts.
func New(c Config, port Port) *Shard {
	setDefault(&c.Deferring, maxDeferring)
	setDefault(&c.MaxClaims, maxClaims)
	return &Shard{
		config: c, name: c.Shard.String(), port: port,
		fenceAt: -1, raisedAt: -1, history: map[sourceID]*past{}, window: newWindow(c.Window),
		waits: newWaitlog(), blocked: map[int64]*waiter{},
		claimants: map[Identity][]*Job{}, concluding: map[State][]*Job{}, freed: map[State]place{},
		committed: Commit{Offset: -1},
	}
}

// Running reports whether the shard is taken over and may start tasks.
func (s *Shard) Running() bool { return s.phase == phaseRunning }

// Forgotten reports whether the shard was given up.
func (s *Shard) Forgotten() bool { return s.phase == phaseForgotten }

// Held is how many received records are not passed by the prefix, and their
// bytes: what bounds the read-ahead.
func (s *Shard) Held() (records, bytes int) { return s.tracker.len(), s.tracker.bytes }

// Working is how many jobs are being worked on.
func (s *Shard) Working() int { return s.working }

// Quiet reports whether nothing is being worked on or about to start, and every
// own record has counted.
func (s *Shard) Quiet() bool {
	return s.working == 0 && s.condemned == 0 && s.outbox.len() == 0 && len(s.waits.outbox) == 0
}

// Jobs calls visit for every job that is held and not finished.
func (s *Shard) Jobs(visit func(*Job)) {
	for _, j := range s.jobs() {
		if !j.finished {
			visit(j)
		}
	}
}

// jobs are all that are held: the lane's, and the active ones of the waiting log.
func (s *Shard) jobs() []*Job { return slices.Concat(s.tracker.live(), s.active) }

// Forget gives the shard up: the partition was revoked or lost. Work that is
// still running is stopped; its late reports do not count.
func (s *Shard) Forget() {
	if s.phase == phaseForgotten {
		return
	}
	s.phase = phaseForgotten
	for _, j := range s.jobs() {
		s.stop(j)
	}
}

// stop ends work on a job, and frees what a job holds whose work was about to
// start.
func (s *Shard) stop(j *Job) {
	begun := j.working || j.stage == stageStarting
	s.rest(j)
	if begun {
		s.port.Stop(j)
	}
}

// Begin appends `running` for an offered job; the work starts when that is
// acknowledged. False if the job cannot begin now: it has ended meanwhile, or
// the shard is in doubt and will offer the job again.
func (s *Shard) Begin(j *Job) bool {
	j.offered = false
	if s.phase != phaseRunning || j.stage != stageQueued {
		return false
	}
	j.stage, j.begun = stageStarting, true
	s.postRunning(j)
	return true
}

// Report appends an event of a job that is being worked on. False once the job
// has ended or is not this owner's any more.
func (s *Shard) Report(j *Job, e *schemas.Event) bool {
	if s.phase == phaseForgotten || j.stage != stageRunning {
		return false
	}
	s.post(j, e)
	return true
}

// Conclude appends the job's last event. Whatever is reported later is
// dropped. False if the job has ended already, or is not known well enough to be
// ended: it is compared with the journal first and then offered, or dead.
func (s *Shard) Conclude(j *Job, e *schemas.Event) bool {
	if s.phase == phaseForgotten || !j.endable() {
		return false
	}
	s.conclude(j, e)
	return true
}

func (s *Shard) conclude(j *Job, e *schemas.Event) {
	s.rest(j)
	j.stage = stageEnding
	s.post(j, e)
}

// HandOver gives a job that was being worked on back to the lane: it runs again
// under the next owner, and the attempt is not held against it.
func (s *Shard) HandOver(j *Job) bool {
	if s.phase != phaseRunning || (j.stage != stageRunning && j.stage != stageStarting) {
		return false
	}
	s.rest(j)
	j.stage = stageHanded
	s.post(j, s.handOverEvent(j))
	return true
}

// rest notes that nobody works on the job any more.
func (s *Shard) rest(j *Job) {
	if j.working {
		j.working = false
		s.working--
	}
}

// Buried tells that the job's dead letter is acknowledged.
func (s *Shard) Buried(j *Job) {
	verdict := s.takeVerdict(j)
	if s.phase == phaseForgotten || j.finished || j.stage != stageBurying {
		return
	}
	if verdict != nil {
		s.execute(j, verdict)
		return
	}
	if j.identified() {
		s.conclude(j, s.invalidEvent(j))
		return
	}
	j.buried, j.finished = true, true
	if s.phase == phaseRunning {
		s.advance()
	}
}

// advance moves the prefix over what is finished.
func (s *Shard) advance() {
	s.tracker.advance(func(j *Job) {
		s.passed(j)
	})
	s.unblockPassed()
	s.sweep()
}

// passed remembers the task of a record that the prefix has passed. One that
// waits is known to the waiting log.
func (s *Shard) passed(j *Job) {
	s.passedAt = max(s.passedAt, s.port.Created(j).UnixMilli())
	task := endedTask{identity: j.Identity, source: j.Offset, journal: j.past.endedAt}
	switch {
	case !j.identified() || j.past.repeat:
	case j.past.deferred:
		s.window.untrack(task)
	case j.past.endedAt > 0:
		s.window.end(task)
	}
}

// post appends an event now, or after the take-over that is under way.
func (s *Shard) post(j *Job, e *schemas.Event) {
	j.inFlight++
	s.unsettle(j, e)
	if s.phase != phaseRunning {
		s.outbox.add(pending{job: j, event: e, offset: -1})
		return
	}
	s.own.Seq++
	s.outbox.add(pending{at: s.own, job: j, event: e, offset: -1})
	s.port.Append(Record{Stamp: s.stamp(), Event: e, Callback: callbackOf(j.Task, e)})
}

// postRunning appends the start of the job's next attempt. The shard must be
// running, so that the stamp is known.
func (s *Shard) postRunning(j *Job) {
	j.Attempt = j.past.attempts + 1
	s.post(j, s.runningEvent(j))
	j.ran = s.own
}

func (s *Shard) stamp() Stamp { return Stamp{Shard: s.name, Epoch: s.own.Epoch, Seq: s.own.Seq} }

// Appended tells that an own record is acknowledged at an offset. An
// acknowledgement starts work, but finishes nothing: that takes the record's
// return through the fold.
func (s *Shard) Appended(at Stamp, offset int64) {
	if s.phase == phaseForgotten || at.Epoch != s.own.Epoch {
		return
	}
	if at.Seq == 1 {
		s.fenceAt = offset
		s.checkFence()
		return
	}
	if s.phase != phaseRunning {
		return
	}
	p := s.outbox.find(State{Epoch: at.Epoch, Seq: at.Seq})
	if p == nil {
		return
	}
	p.offset = offset
	if p.running() && offset >= s.next {
		s.start(p.job) // read past already, it does not count and may not start
	}
	s.checkPassed()
}

// checkPassed doubts if an acknowledged own record was read past without
// having counted.
func (s *Shard) checkPassed() {
	if p := s.outbox.first(); p != nil && p.offset >= 0 && p.offset < s.next {
		s.doubt("an acknowledged record did not count")
		return
	}
	if s.waits.passed() {
		s.doubt("an acknowledged waiting record did not count")
	}
}

// AppendFailed tells that an own record's append failed or is in doubt.
func (s *Shard) AppendFailed(at Stamp, err error) {
	if (s.phase == phaseRunning || s.phase == phaseFencing) && at.Epoch == s.own.Epoch {
		s.doubt("append failed", "error", err)
	}
}

func (s *Shard) start(j *Job) {
	if j.stage != stageStarting {
		return
	}
	j.stage = stageRunning
	if !j.working {
		j.working = true
		s.working++
		s.port.Start(j)
	}
}
