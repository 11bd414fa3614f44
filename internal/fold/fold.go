// Package fold says which records of Tasklane's logs count. It is all that a reader of
// the logs needs: the stamp that every record carries ([Stamp]), the rule by which
// everybody agrees on the same history ([State.Step], [Fold]), what tells tasks apart
// ([Identity]), and what a group's commit says of the log ([Commit]). It knows no Kafka
// client, and nothing of what owners do: that is internal/shard.
package fold

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// Margin is how far an epoch may lie beyond the time at which its record was
// appended, and still count. Owners take the wall clock for their epochs, so the
// margin is what their clocks may be ahead of the broker's without a second
// fence; and what the broker's clock may be set back by without shards that
// nobody can take over until it has caught up. Machines that keep their time are
// milliseconds apart; ten minutes are a year of drift of one that does not.
const Margin = 10 * time.Minute

// Reach is the highest epoch that counts in a record that was appended at a
// time, both in Unix ms.
func Reach(appended int64) int64 { return appended + Margin.Milliseconds() }

// State is how far one shard's journal has been followed: the epoch of the
// owner whose records count, and the sequence number of its last record that
// did. The zero State is the start of the log.
type State struct {
	Epoch int64
	Seq   int64
}

// Verdict says what a record is worth.
type Verdict uint8

// The verdicts of [State.Step].
const (
	// Counts: the record is part of the shard's history.
	Counts Verdict = iota
	// CountsAfterGap: it counts, but records before it are missing. A reader
	// that started in the middle or after retention sees this once a shard.
	CountsAfterGap
	// Stale: written by an owner that had been superseded when it landed.
	Stale
	// Repeated: written again by a producer that did not see its
	// acknowledgement.
	Repeated
	// Ahead: its epoch lies more than [Margin] beyond its own append time. An owner
	// whose clock is wrong wrote it, and fences again; or it is forged. It would
	// end the shard for good, because nobody could fence above it.
	Ahead
)

// Counted reports whether the record is part of the history.
func (v Verdict) Counted() bool { return v <= CountsAfterGap }

// Step folds one record into the state. This is the rule by which everybody who
// reads a journal agrees on the same history: a higher epoch takes the shard
// over, a lower one is dropped, and within an epoch the sequence only rises.
// Appended is the record's append time in Unix ms, which all readers share: an
// epoch takes over only if it is not too far beyond that. No reader's own clock is
// asked. What its owner writes after it counts whatever the broker's clock says
// then.
func (s *State) Step(epoch, seq, appended int64) Verdict {
	switch {
	case epoch < s.Epoch:
		return Stale
	case epoch == s.Epoch && seq <= s.Seq:
		return Repeated
	case epoch > s.Epoch && epoch > Reach(appended):
		return Ahead
	}
	next := s.Seq + 1
	if epoch > s.Epoch {
		next = 1
	}
	*s = State{Epoch: epoch, Seq: seq}
	if seq != next {
		return CountsAfterGap
	}
	return Counts
}

// Fold follows the journals of many shards, for readers that look at whole
// partitions: views, notifiers, tools. It is not safe for concurrent use.
type Fold struct {
	shards map[string]*State
}

// New is a fold that starts from the given states; nil means the start of
// the log, or "take the first state seen" for a reader that starts in the
// middle.
func New(states map[string]State) *Fold {
	f := &Fold{shards: make(map[string]*State, len(states))}
	for shard, state := range states {
		f.shards[shard] = &state
	}
	return f
}

// Step folds a record of any shard that was appended at a time: the record's own
// timestamp, as the broker gave it.
func (f *Fold) Step(s Stamp, appended time.Time) Verdict {
	state := f.shards[s.Shard]
	if state == nil {
		state = new(State)
		f.shards[s.Shard] = state
	}
	return state.Step(s.Epoch, s.Seq, appended.UnixMilli())
}

// States is a copy of where every shard stands, to resume from.
func (f *Fold) States() map[string]State {
	states := make(map[string]State, len(f.shards))
	for shard, state := range f.shards {
		states[shard] = *state
	}
	return states
}

// Place is a position in the journal with the fold's state just before it and
// just after it: the record's own stamp, as it counted.
type Place struct {
	Offset int64
	Before State
	After  State
}

// Compare orders states as they were appended; the zero state, not appended
// yet, comes last.
func (s State) Compare(other State) int {
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

// ID is how a waiting record is named: the epoch and seq it was written
// with. The zero State, no waiting record, is "".
func (s State) ID() string {
	if s == (State{}) {
		return ""
	}
	return strconv.FormatInt(s.Epoch, 10) + "-" + strconv.FormatInt(s.Seq, 10)
}

// ParseStateID reads what ID writes; ok is false if it is not that.
func ParseStateID(text string) (State, bool) {
	if text == "" {
		return State{}, true
	}
	epoch, seq, _ := strings.Cut(text, "-")
	e, ok := parseDecimal([]byte(epoch))
	n, ok2 := parseDecimal([]byte(seq))
	return State{Epoch: e, Seq: n}, ok && ok2
}
