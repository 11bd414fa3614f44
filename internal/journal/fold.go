package journal

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
)

// Counted reports whether the record is part of the history.
func (v Verdict) Counted() bool { return v <= CountsAfterGap }

// Step folds one record into the state. This is the rule by which everybody who
// reads a journal agrees on the same history: a higher epoch takes the shard
// over, a lower one is dropped, and within an epoch the sequence only rises.
func (s *State) Step(epoch, seq int64) Verdict {
	switch {
	case epoch < s.Epoch:
		return Stale
	case epoch == s.Epoch && seq <= s.Seq:
		return Repeated
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

// NewFold is a fold that starts from the given states; nil means the start of
// the log, or "take the first state seen" for a reader that starts in the
// middle.
func NewFold(states map[string]State) *Fold {
	f := &Fold{shards: make(map[string]*State, len(states))}
	for shard, state := range states {
		f.shards[shard] = &state
	}
	return f
}

// Step folds a record of any shard.
func (f *Fold) Step(s Stamp) Verdict {
	state := f.shards[s.Shard]
	if state == nil {
		state = new(State)
		f.shards[s.Shard] = state
	}
	return state.Step(s.Epoch, s.Seq)
}

// States is a copy of where every shard stands, to resume from.
func (f *Fold) States() map[string]State {
	states := make(map[string]State, len(f.shards))
	for shard, state := range f.shards {
		states[shard] = *state
	}
	return states
}
