package shard

import (
	"maps"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// Entry is one record of a journal partition as it was read.
type Entry struct {
	Offset   int64
	Stamp    fold.Stamp
	Appended int64 // when the broker took it, Unix ms
	Value    []byte
}

// At is where it stands.
func (e Entry) At() int64 { return e.Offset }

// facts is what a take-over needs to know of a record.
type facts struct {
	UserID  string          `json:"user_id"`
	TaskID  string          `json:"task_id"`
	Kind    schemas.Kind    `json:"kind"`
	Status  schemas.Status  `json:"status"`
	Attempt int             `json:"attempt"`
	Worker  string          `json:"worker"`
	Time    schemas.Time    `json:"time"`
	Source  *schemas.Source `json:"source"`

	Waiting  *schemas.Waiting `json:"waiting"`
	Deferred bool             `json:"deferred"`

	Error     string            `json:"error"`
	ErrorCode schemas.ErrorCode `json:"error_code"`

	Checkpoint *schemas.Checkpoint `json:"checkpoint"`
	Usage      *schemas.Usage      `json:"usage"`

	wait  fold.State // Source.Wait and
	claim fold.State // Source.Claim, read
	told  *told      // of a `running` in the log
}

// told is what an event says of its task beyond that.
type told struct {
	Task    string `json:"task"`
	Step    *int   `json:"step"`
	BatchID string `json:"batch_id"`
	Mode    string `json:"mode"`
	Service string `json:"service"`
	userID  string
	taskID  string
	claim   fold.State
}

// id is the record it is about.
func (r *facts) id() sourceID {
	return sourceID{r.Source.Offset, r.wait, fold.IdentityOf(r.UserID, r.TaskID)}
}

// readFacts decodes a record. One that cannot be decoded, or that is not about
// a source offset (progress, further output, marks, fences), yields false: it still
// counts in the fold, but says nothing of whether a task has ended.
func readFacts(value []byte) (*facts, bool) {
	r := new(facts)
	if err := json.Unmarshal(value, r); err != nil || r.Source == nil {
		return nil, false
	}
	var ok bool
	if r.wait, ok = fold.ParseStateID(r.Source.Wait); !ok {
		return nil, false
	}
	if r.claim, ok = fold.ParseStateID(r.Source.Claim); !ok {
		return nil, false
	}
	return r, aboutRecord(r.Kind)
}

// tell keeps what a `running` says of its task.
func (r *facts) tell(value []byte) {
	t := &told{userID: r.UserID, taskID: r.TaskID, claim: r.claim}
	if r.Status == schemas.Running && json.Unmarshal(value, t) == nil {
		r.told = t
	}
}

// take makes r those of an event.
func (r *facts) take(e *schemas.Event) {
	*r = facts{
		UserID: e.UserID, TaskID: e.TaskID, Kind: e.Kind, Status: e.Status, Attempt: e.Attempt, Source: e.Source,
		Worker: e.Worker, Time: e.Time, Error: e.Error, ErrorCode: e.ErrorCode,
		Waiting: e.Waiting, Deferred: e.Deferred, Checkpoint: e.Checkpoint, Usage: e.Usage,
	}
	if e.Source != nil {
		r.wait, _ = fold.ParseStateID(e.Source.Wait)
		r.claim, _ = fold.ParseStateID(e.Source.Claim)
	}
}

// aboutRecord reports whether events of this kind name their source: those that
// a take-over has to know of. Of an attempt's output only the first piece does.
func aboutRecord(k schemas.Kind) bool {
	switch k {
	case schemas.KindState, schemas.KindRepeat, schemas.KindCheckpoint, schemas.KindUsage, schemas.KindOutput,
		schemas.KindReset:
		return true
	}
	return false
}

// ends reports whether the record finishes its source offset.
func (r *facts) ends() bool {
	return r.Kind == schemas.KindRepeat || r.Kind == schemas.KindState && r.Status.Terminal()
}

// frees reports whether the record ends a task that holds a claim without having
// completed it.
func (r *facts) frees() bool {
	return r.claim != (fold.State{}) && r.Kind == schemas.KindState && r.Status.Terminal() &&
		r.Status != schemas.Completed
}

// Attempt is one attempt at a task as a dead letter tells of it.
type Attempt struct {
	Attempt int               `json:"attempt"`
	Worker  string            `json:"worker"`
	Started schemas.Time      `json:"started,omitzero"`
	Ended   schemas.Time      `json:"ended,omitzero"` // nobody knows when a lost one did
	End     attemptEnd        `json:"end"`
	Code    schemas.ErrorCode `json:"error_code,omitzero"`
	Error   string            `json:"error,omitzero"`
}

// attemptEnd is what became of an attempt: one of these, or the status of the
// task's end.
type attemptEnd string

const (
	endedLost   attemptEnd = "lost"        // its worker was, or the shard
	endedHanded attemptEnd = "handed_over" // to another processor, in order
	endedPutOff attemptEnd = "put_off"     // by the service: it is as if it had not been
	endedFailed attemptEnd = "failed"      // and tried again
)

// Bounds of a history: as many attempts are remembered, the last ones, with so much
// of a text, and as many of them are written as fit.
const (
	maxAttempts     = 16
	maxAttemptText  = 200
	maxHistoryBytes = 4 << 10
)

// shortText is a text as an attempt has it.
func shortText(s string) string {
	if len(s) > maxAttemptText {
		s = s[:maxAttemptText]
	}
	return strings.ToValidUTF8(s, "")
}

// attempt is the open attempt as it has come to an end.
func (p *attemptHistory) attempt(end attemptEnd) Attempt {
	return Attempt{Attempt: p.attempts, Worker: shortText(p.runner),
		Started: schemas.AtTime(time.UnixMilli(p.startedMS)), End: end}
}

// note keeps an attempt that has ended. The slice is replaced, not changed: copies
// of a past share it.
func (p *attemptHistory) note(e Attempt) { p.earlier = lastOf(p.earlier, []Attempt{e}) }

// lastOf are those of two histories that are remembered, in a slice of their
// own.
func lastOf(earlier, later []Attempt) []Attempt {
	all := make([]Attempt, 0, len(earlier)+len(later))
	all = append(append(all, earlier...), later...)
	return all[max(0, len(all)-maxAttempts):]
}

// fitting are the last attempts whose JSON has at most so many bytes.
func fitting(all []Attempt, most int) []Attempt {
	for ; len(all) > 0; all = all[1:] {
		if b, err := json.Marshal(all); err == nil && len(b) <= most {
			break
		}
	}
	return all
}

// maxHandOvers is how many clean hand-overs are free; further ones count as
// lost attempts, so that a task which never survives a drain ends.
const maxHandOvers = 10

// attemptHistory is what the journal says of one source offset.
type attemptHistory struct {
	// first is where the first record that counted stands, and the state of
	// the fold just before it: a successor must start reading there.
	first    fold.Place
	started  bool       // first is set
	attempts int        // highest attempt that counted
	ran      fold.State // stamp of the last `running` that counted
	running  int        // `running` records that counted
	open     bool       // the last of them was not handed over
	handed   int        // of these, how many were handed over cleanly
	failed   int        // and how many ended with an error and led to a retry
	deferred bool       // a waiting record has taken its place
	ended    bool
	endedAt  int64 // journal offset of its end
	// notBefore is until when it waits in the queue, after a retry.
	notBefore time.Time
	// checkpoints are results that later attempts need not work out again. The
	// map is replaced, not changed.
	checkpoints map[string]jsontext.Value
	// used is what models were asked for so far. It is replaced, not changed.
	used   *schemas.Usage
	stream stream
	repeat bool // ended as a repeat of an earlier task
	// runner wrote the last `running`, at startedMS; earlier are the attempts
	// before it, the last of them.
	runner    string
	startedMS int64
	earlier   []Attempt
	// told is what the first `running` says of the task, as long as nobody holds it.
	told *told
}

// stream is what readers have of the output of a task's attempts.
type stream int8

const (
	streamUntold stream = iota // as it was before
	streamShown                // some of it
	streamVoid                 // what they were told to throw away
)

// lost is how many attempts ended with their worker, the open one included.
func (p *attemptHistory) lost() int { return p.running - min(p.handed, maxHandOvers) - p.failed }

// over reports whether nothing more is to be done about this record.
func (p *attemptHistory) over() bool { return p.ended || p.deferred }

// see notes that a record about this offset counted.
func (p *attemptHistory) see(at fold.Place, r *facts) {
	if !p.started {
		p.started, p.first = true, at
	}
	switch {
	case r.Kind == schemas.KindOutput:
		p.stream = streamShown
	case r.Kind == schemas.KindReset:
		p.stream = streamVoid
	case r.Kind == schemas.KindUsage:
		p.used = schemas.Total(p.used, r.Usage)
	case r.Checkpoint != nil:
		p.remember(r.Checkpoint)
	case r.ends():
		p.ended, p.endedAt, p.repeat, p.told = true, at.Offset, r.Kind == schemas.KindRepeat, nil
	case r.Status == schemas.Running:
		if p.open {
			p.note(p.attempt(endedLost))
		}
		if r.told != nil && p.told == nil {
			p.told = r.told
		}
		p.runner, p.startedMS = r.Worker, r.Time.UnixMilli()
		p.running++
		p.attempts = max(p.attempts, r.Attempt)
		p.ran, p.open, p.notBefore = at.After, true, time.Time{}
	case r.Deferred:
		p.deferred, p.told = true, nil
	case r.Status == schemas.Pending && p.open && r.Attempt == p.attempts:
		p.close(r.Waiting, r.Time, r.ErrorCode, r.Error)
	}
}

func (p *attemptHistory) remember(c *schemas.Checkpoint) {
	all := make(map[string]jsontext.Value, len(p.checkpoints)+1)
	maps.Copy(all, p.checkpoints)
	all[c.Name] = c.Result
	p.checkpoints = all
}

// close ends the open attempt. One that failed counts, and so does one that was lost with the process that worked on
// it for its owner; one that was handed over or put off does not: the next has the same number.
func (p *attemptHistory) close(w *schemas.Waiting, at schemas.Time, code schemas.ErrorCode, text string) {
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
	case w.For == schemas.WaitRetry && code == schemas.CodeWorkerLost:
		now.End = endedLost
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
func (p attemptHistory) after(base attemptHistory) attemptHistory {
	p.running += base.running
	p.handed += base.handed
	if last := len(p.earlier) - 1; p.handed > maxHandOvers && !p.open && last >= 0 &&
		p.earlier[last].End == endedHanded {
		p.attempts = p.earlier[last].Attempt // it was free only without those before
	}
	p.attempts = max(p.attempts, base.attempts)
	p.failed += base.failed
	p.used = schemas.Total(base.used, p.used)
	if p.stream == streamUntold {
		p.stream = base.stream
	}
	if len(base.earlier) > 0 {
		p.earlier = lastOf(base.earlier, p.earlier)
	}
	if len(base.checkpoints) > 0 {
		all := maps.Clone(base.checkpoints)
		maps.Copy(all, p.checkpoints)
		p.checkpoints = all
	}
	return p
}
