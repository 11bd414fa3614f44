package shard

import (
	"log/slog"
)

// stage is how far this owner has brought a job. What follows from the journal alone is
// in the job's past.
type stage uint8

const (
	stageReceived      stage = iota // not yet compared with the journal
	stageClaiming                   // its claim is to be written, or another's to the same content is on its way
	stageClaimWritten               // its claim is on its way
	stageQueued                     // may be started, once it is offered to the run queue
	stageOffered                    // the run queue has it
	stageStarting                   // `running` is appended
	stageRunning                    // `running` is acknowledged, the work goes on
	stageRetrying                   // `pending` is appended; queued again when it counts
	stageDelaying                   // its waiting record is to be written
	stageDelayWritten               // its waiting record is on its way
	stageDeadLettering              // its dead letter is being written
	stageEnding                     // its last event is appended
	stageHanded                     // handed over: it runs again elsewhere
	stageFinished                   // its end has counted: nothing more is to be done
	stageDropped                    // not held any more
	stages                          // how many there are
)

func (s stage) String() string {
	return [stages]string{
		"received", "claiming", "claim written", "queued", "offered", "starting", "running", "retrying", "delaying",
		"delay written", "dead-lettering", "ending", "handed over", "finished", "dropped",
	}[s]
}

// in reports whether a stage is one of several.
func (s stage) in(several ...stage) bool { return setOf(several...)&(1<<s) != 0 }

// stageSet are several stages, a bit for each.
type stageSet uint16

func setOf(several ...stage) (set stageSet) {
	for _, s := range several {
		set |= 1 << s
	}
	return set
}

const (
	everyStage stageSet = 1<<stages - 1
	// endable are the stages in which a job may be given its last event from outside: it has
	// been compared with the journal, is not on its way to the dead letters or to the waiting
	// log, and has not ended.
	endable stageSet = 1<<stageQueued | 1<<stageOffered | 1<<stageStarting | 1<<stageRunning | 1<<stageRetrying
	// sortable are those in which it is compared with the journal.
	sortable stageSet = 1<<stageReceived | 1<<stageClaiming
	// unfinished are those of a job that is held and has not ended.
	unfinished stageSet = everyStage &^ (1<<stageFinished | 1<<stageDropped)
)

// step is what brings a job from one stage to the next.
type step uint8

const (
	stepClaim      step = iota // it asks for its content, or a take-over does not rely on its claim
	stepWriteClaim             // its claim is appended
	stepQueue                  // it may be started
	stepOffer                  // the run queue gets it
	stepRecall                 // the run queue has it no more
	stepBegin                  // `running` is appended
	stepStart                  // `running` is acknowledged
	stepRetry                  // its attempt is closed by `pending`
	stepDelay                  // it is to wait in the waiting log, or a take-over does not rely on its record
	stepWriteDelay             // its waiting record is appended
	stepDeadLetter             // its dead letter goes first
	stepEnd                    // its last event is appended
	stepReplace                // a waiting record has taken its place, which is told
	stepHandOver               // it is given back
	stepFinish                 // its end has counted
	stepUnfinish               // the journal has lost its end
	stepReconsider             // why it was to end does not hold any more
	stepDrop                   // it is not held any more
	steps                      // how many there are
)

func (s step) String() string {
	return [steps]string{
		"claim", "write claim", "queue", "offer", "recall", "begin", "start", "retry", "delay", "write delay",
		"dead-letter", "end", "replace", "hand over", "finish", "unfinish", "reconsider", "drop",
	}[s]
}

// transition is a row of the table of a job's life: from which stages a step may be taken,
// and to which it leads.
type transition struct {
	from stageSet
	to   stage
}

// transition is the step's row.
func (s step) transition() transition {
	switch s {
	case stepClaim:
		return transition{sortable | 1<<stageClaimWritten, stageClaiming}
	case stepWriteClaim:
		return transition{1 << stageClaiming, stageClaimWritten}
	case stepQueue:
		from := sortable | 1<<stageClaimWritten | 1<<stageQueued | 1<<stageOffered | 1<<stageRetrying | 1<<stageDelaying
		return transition{from, stageQueued}
	case stepOffer:
		return transition{1 << stageQueued, stageOffered}
	case stepRecall:
		return transition{1 << stageOffered, stageQueued}
	case stepBegin:
		return transition{1 << stageOffered, stageStarting}
	case stepStart:
		return transition{1 << stageStarting, stageRunning}
	case stepRetry:
		return transition{1 << stageRunning, stageRetrying}
	case stepDelay:
		return transition{1<<stageQueued | 1<<stageOffered | 1<<stageRunning | 1<<stageDelayWritten, stageDelaying}
	case stepWriteDelay:
		return transition{1 << stageDelaying, stageDelayWritten}
	case stepDeadLetter:
		return transition{sortable | endable, stageDeadLettering}
	case stepEnd:
		return transition{sortable | endable | 1<<stageDeadLettering, stageEnding}
	case stepReplace:
		return transition{unfinished, stageEnding}
	case stepHandOver:
		return transition{1<<stageStarting | 1<<stageRunning, stageHanded}
	case stepFinish:
		return transition{everyStage, stageFinished}
	case stepUnfinish:
		return transition{1 << stageFinished, stageEnding}
	case stepReconsider:
		return transition{1<<stageDeadLettering | 1<<stageEnding, stageReceived}
	default: // stepDrop
		return transition{everyStage, stageDropped}
	}
}

// move brings a job to its next stage. A step that the table does not have is taken all
// the same and told of: what the log says puts the job right at the next take-over.
func (js *jobs) move(j *Job, next step) {
	t, from := next.transition(), j.stage
	if t.from&(1<<from) == 0 {
		js.port.Note(slog.LevelError, illegalStep, "offset", j.Offset, "stage", from, "step", next)
	}
	j.stage = t.to
	if from == stageRunning {
		js.working--
	}
	if j.stage == stageRunning {
		js.working++
	}
}

// illegalStep is what is noted of a step that the table does not have.
const illegalStep = "a job takes a step that it cannot take from its stage; please report this"
