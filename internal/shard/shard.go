package shard

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// Reading is how far a shard has read one of its logs, and whether it waits for more.
type Reading struct {
	Waits bool
	Next  int64
}

// Readings are those of the shard's logs.
func (s *Shard) Readings() (journal, waits Reading) {
	journal, waits = Reading{true, s.jobs.journal.next}, Reading{true, s.jobs.waits.next}
	switch s.phase {
	case phaseForgotten:
		journal.Waits, waits.Waits = false, false
	case phaseDoubting:
		journal.Waits, waits.Waits = !s.jobs.unassigned, !s.jobs.unassigned
	case phaseRunning:
		journal.Waits, waits.Waits = s.jobs.journal.outbox.len() > 0, s.jobs.waits.outbox.len() > 0
	case phaseReading:
		journal.Waits, waits.Waits = !s.jobs.journal.wasRead(), !s.jobs.waits.wasRead()
	case phaseFencing:
		journal.Waits, waits.Waits = !s.jobs.journal.fenced(), !s.jobs.waits.fenced() || s.jobs.waits.outbox.len() > 0
	default: // between two take-overs what was waited for still is
	}
	return journal, waits
}

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

// enter goes on to another phase.
func (s *Shard) enter(p phase) { s.phase, s.jobs.running = p, p == phaseRunning }

// Config describes a shard and its owner.
type Config struct {
	Shard fold.ShardID
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
	// Idle is how long a claim has to be over before the lane's end stands for a record
	// that outlives it: a sender's clock may be behind by that, or the processor's ahead;
	// 10 minutes if not given.
	Idle time.Duration
	// YieldUntil is how long a take-over waits while others are at work on what it
	// would take over; the zero time is not at all.
	YieldUntil time.Time
	// Session is how long the group waits for a silent member; zero if a take-over need
	// not look at how long others have been silent.
	Session time.Duration
	// Astray says that the lane is delivered from wherever it was before, not from the
	// commit on.
	Astray bool
}

// Shard is the owner's side of the journal protocol for one partition of one
// lane (doc.go has the rules). It does no I/O and starts no goroutine: the
// world comes in through its methods and is reached through its [Port]. It is
// not safe for concurrent use.
//
// The Shard itself keeps to the protocol: it takes over, fences, follows its logs and
// doubts. What becomes of its jobs is the business of jobs.
type Shard struct {
	config *Config
	name   string
	port   Port

	phase     phase
	takeover  takeover
	doubts    doubts
	jobs      jobs
	committed fold.Commit
}

// New is a shard that owns nothing yet; [Shard.TakeOver] starts.
func New(c Config, port Port) *Shard {
	c.Deferring = cmp.Or(c.Deferring, maxDeferring)
	c.MaxClaims = cmp.Or(c.MaxClaims, maxClaims)
	c.Idle = cmp.Or(c.Idle, idleTime)
	return &Shard{
		config: &c, name: c.Shard.String(), port: port, takeover: takeover{refused: -1, astray: c.Astray},
		jobs: newJobs(&c, port), committed: fold.Commit{Offset: -1},
	}
}

// Events makes the events of the shard's jobs.
func (s *Shard) Events() *Events { return &s.jobs.events }

// Running reports whether the shard is taken over and may start tasks.
func (s *Shard) Running() bool { return s.phase == phaseRunning }

// Forgotten reports whether the shard was given up.
func (s *Shard) Forgotten() bool { return s.phase == phaseForgotten }

// Held is how many received records are not passed by the prefix, and their
// bytes: what bounds the read-ahead.
func (s *Shard) Held() (records, bytes int) { return s.jobs.tracker.len(), s.jobs.tracker.bytes }

// Taking reports whether a take-over has not come to its own fence yet.
func (s *Shard) Taking() bool { return s.phase < phaseFencing }

// Knows reports whether the shard knows of every task that it holds or that waits: not
// while it is being taken over.
func (s *Shard) Knows() bool { return s.Running() && !s.jobs.waits.torn || s.Forgotten() }

// Working is how many jobs are being worked on.
func (s *Shard) Working() int { return s.jobs.working }

// Quiet reports whether nothing is being worked on or about to start, and every
// own record has counted.
func (s *Shard) Quiet() bool {
	js := &s.jobs
	return js.working == 0 && js.deadLettering == 0 && js.journal.outbox.len() == 0 && js.waits.outbox.len() == 0
}

// Jobs calls visit for every job that is held and not finished.
func (s *Shard) Jobs(visit func(*Job)) {
	for _, j := range s.jobs.all() {
		if !j.finished() {
			visit(j)
		}
	}
}

// Forget gives the shard up: the partition was revoked or lost. Work that is
// still running is stopped; its late reports do not count.
func (s *Shard) Forget() {
	if s.phase == phaseForgotten {
		return
	}
	s.enter(phaseForgotten)
	for _, j := range s.jobs.all() {
		s.jobs.drop(j)
	}
}

// Begin appends `running` for an offered job; the work starts when that is
// acknowledged. False if the job cannot begin now: it has ended meanwhile, or
// the shard is in doubt and will offer the job again.
func (s *Shard) Begin(j *Job) bool {
	switch {
	case j.stage != stageOffered:
		return false
	case s.phase != phaseRunning || s.jobs.unassigned:
		s.jobs.move(j, stepRecall)
		return false
	}
	s.jobs.move(j, stepBegin)
	s.jobs.postRunning(j)
	return true
}

// Report appends an event of a job that is being worked on. False once the job
// has ended or is not this owner's any more.
func (s *Shard) Report(j *Job, e *schemas.Event) bool {
	if s.phase == phaseForgotten || j.stage != stageRunning {
		return false
	}
	s.jobs.post(j, e)
	return true
}

// Conclude appends the job's last event. Whatever is reported later is
// dropped. False if the job has ended already, or is not known well enough to be
// ended: it is compared with the journal first and then offered, or dead.
func (s *Shard) Conclude(j *Job, e *schemas.Event) bool {
	if s.phase == phaseForgotten || !j.Endable() {
		return false
	}
	s.jobs.conclude(j, e)
	return true
}

// HandOver gives a job that was being worked on back to the lane: it runs again
// under the next owner, and the attempt is not held against it.
func (s *Shard) HandOver(j *Job) bool {
	if s.phase != phaseRunning || !j.stage.in(stageStarting, stageRunning) {
		return false
	}
	s.jobs.move(j, stepHandOver)
	e := s.jobs.events.New(j, schemas.KindState, schemas.Pending)
	e.Message = "Handed over to another processor: " + e.Task
	s.jobs.post(j, e)
	return true
}

// DeadLetterWritten tells that the job's dead letter is acknowledged.
func (s *Shard) DeadLetterWritten(j *Job) { s.jobs.deadLetterWritten(j) }

// Appended tells that an own record is acknowledged at an offset. An
// acknowledgement starts work, but finishes nothing: that takes the record's
// return through the fold.
func (s *Shard) Appended(at fold.Stamp, offset int64) {
	if p := acknowledge(s, &s.jobs.journal, at, offset); p != nil {
		if p.record.running() && offset >= s.jobs.journal.next {
			s.jobs.start(p.record.job) // read past already, it does not count and may not start
		}
		s.checkPassed()
	}
}

// WaitAppended is the same for the waiting log.
func (s *Shard) WaitAppended(at fold.Stamp, offset int64) {
	if acknowledge(s, &s.jobs.waits.fencedLog, at, offset) != nil {
		s.checkPassed()
	}
}

// acknowledge takes note that an own record has landed in one of the logs. It is nil for
// one of an earlier epoch, and for the fence, which may end the take-over.
func acknowledge[T any](s *Shard, l *fencedLog[T], at fold.Stamp, offset int64) *sent[T] {
	switch {
	case s.phase == phaseForgotten, at.Epoch != l.own.Epoch:
	case at.Seq == 1:
		l.fenceAt = offset
		s.checkFence()
	case s.phase == phaseRunning:
		return l.acknowledge(at, offset)
	}
	return nil
}

// checkPassed doubts if an acknowledged own record was read past without
// having counted.
func (s *Shard) checkPassed() {
	switch {
	case s.jobs.journal.passed():
		s.doubt("an acknowledged record did not count")
	case s.jobs.waits.passed():
		s.doubt("an acknowledged waiting record did not count")
	}
}

// AppendFailed tells that an own record's append failed or is in doubt.
func (s *Shard) AppendFailed(at fold.Stamp, err error) {
	if (s.phase == phaseRunning || s.phase == phaseFencing) && at.Epoch == s.jobs.journal.own.Epoch {
		s.doubt("append failed", "error", err)
	}
}

// Tick lets time pass: it writes marks and ends back-offs. Call it about every
// second.
func (s *Shard) Tick() {
	now := s.port.Now()
	switch s.phase {
	case phaseReading:
		s.readOn()
		if s.phase == phaseReading && now.Sub(s.takeover.progressAt) > stallTime {
			// What stands before the end may be nothing that is ever delivered (the
			// marker of somebody's transaction). The fence comes after it; whether it
			// is high enough is checked all the same.
			s.port.Note(slog.LevelInfo, "the end of a log is not delivered, the take-over goes on without it")
			s.takeover.progressAt = now
			s.fence()
		}
	case phaseLoading, phaseFencing:
		if now.Sub(s.takeover.progressAt) > stallTime {
			s.doubt("the take-over made no progress")
		}
	case phaseContested:
		if now.Sub(s.takeover.progressAt) > stallTime {
			s.takeover.progressAt = now
			s.port.Confirm()
		}
	case phaseDoubting:
		if !s.jobs.unassigned && !now.Before(s.doubts.until) {
			s.TakeOver()
		}
	case phaseRunning:
		if s.jobs.waits.torn {
			s.doubt("the waiting log has to be read again")
			return
		}
		s.doubts.settle(now)
		if s.config.MarkInterval > 0 && !now.Before(s.jobs.markAt) {
			s.jobs.mark(now)
		}
		s.jobs.wake(now)
		s.jobs.keepSoon()
		s.jobs.sweep()
		s.jobs.measure(now)
		s.jobs.lookForMissing(now)
	}
}
