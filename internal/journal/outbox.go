package journal

import (
	"cmp"
	"slices"

	"github.com/aiecs/tasklane/schemas"
)

// Record is one record to append to the journal.
type Record struct {
	Stamp Stamp
	// Event is the record's event, nil for a fence or a mark.
	Event *schemas.Event
	// Sign is the fence or mark, nil for an event.
	Sign *schemas.Sign
	// Callback is where a terminal event is delivered to, "" for nowhere.
	Callback string
}

// callbackOf is where an event of a task is delivered to. A task that is ended
// because it is not valid may have a URL that is not.
func callbackOf(t *schemas.Task, e *schemas.Event) string {
	if t.CallbackURL == "" || !e.Terminal() || schemas.CheckCallbackURL(t.CallbackURL) != "" {
		return ""
	}
	return t.CallbackURL
}

// pending is an own record that has not come back through the fold.
type pending struct {
	at     State // epoch and seq it was appended with; zero if not appended yet
	job    *Job  // nil for a mark
	event  *schemas.Event
	offset int64 // where it was acknowledged, -1 before
	// counted is set while a take-over reads the journal.
	counted bool
}

func (p *pending) running() bool {
	return p.event != nil && p.event.Kind == schemas.KindState && p.event.Status == schemas.Running
}

// late reports whether it is a report of an attempt that is closed already.
func (p *pending) late() bool {
	closed := p.job.stage == stageHanded || p.job.stage == stageRetrying || p.job.stage == stageQueued
	return closed && p.event.Kind != schemas.KindState && !p.job.past.open
}

// stands reports whether an end that was decided from the journal alone is still
// right after the journal went on: another owner may have handed the job over,
// or started it.
func (p *pending) stands() bool {
	switch {
	case p.event.Kind == schemas.KindRepeat:
		return !p.job.past.started
	case p.event.ErrorCode == schemas.CodeWorkerLost && !p.job.begun:
		return p.job.convicted()
	case p.event.ErrorCode == schemas.CodeDuplicate, p.event.ErrorCode == schemas.CodeOverLimit && !p.job.begun:
		return false // the claim may be free by now, or the job have one
	}
	return true
}

// outbox holds the own records that have not counted yet, in the order of their
// (epoch, seq). What is not appended yet stands at the end.
type outbox struct {
	records []pending
	head    int
}

func (o *outbox) len() int { return len(o.records) - o.head }

func (o *outbox) add(p pending) { o.records = append(o.records, p) }

func (o *outbox) first() *pending {
	if o.len() == 0 {
		return nil
	}
	return &o.records[o.head]
}

func (o *outbox) pop() pending {
	p := o.records[o.head]
	o.records[o.head] = pending{}
	o.head++
	if o.head > 1024 && o.head*2 > len(o.records) {
		o.records = slices.Delete(o.records, 0, o.head)
		o.head = 0
	}
	return p
}

// find is the record with this stamp, nil if it has left or never was here.
func (o *outbox) find(at State) *pending {
	live := o.records[o.head:]
	// An epoch's numbers follow each other, so its place is known.
	if len(live) > 0 {
		if i := at.Seq - live[0].at.Seq; i >= 0 && i < int64(len(live)) && live[i].at == at {
			return &live[i]
		}
	}
	i, found := slices.BinarySearchFunc(live, at, func(p pending, at State) int { return p.at.compare(at) })
	if !found {
		return nil
	}
	return &live[i]
}

// take empties the outbox.
func (o *outbox) take() []pending {
	live := slices.Clone(o.records[o.head:])
	o.records, o.head = nil, 0
	return live
}

// compare orders states as they were appended; the zero state, not appended
// yet, comes last.
func (s State) compare(other State) int {
	switch {
	case s == other:
		return 0
	case s == State{}:
		return 1
	case other == State{}:
		return -1
	case s.Epoch != other.Epoch:
		return cmp.Compare(s.Epoch, other.Epoch)
	}
	return cmp.Compare(s.Seq, other.Seq)
}
