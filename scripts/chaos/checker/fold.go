package checker

import "time"

// Stamp is what the three headers of a journal record say.
type Stamp struct {
	Shard string
	Epoch int64
	Seq   int64
}

// ReadStamp reads the headers; false if one is missing or malformed, which
// makes the record count for nobody.
func ReadStamp(headers map[string]string) (Stamp, bool) {
	epoch, epochOK := decimal(headers["tl-epoch"])
	seq, seqOK := decimal(headers["tl-seq"])
	s := Stamp{Shard: headers["tl-shard"], Epoch: epoch, Seq: seq}
	return s, epochOK && seqOK && s.Shard != ""
}

// decimal reads 1 to 18 digits that are not zero.
func decimal(text string) (int64, bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, n > 0
}

// Verdict is what the fold says of a record.
type Verdict int

// The verdicts.
const (
	Counts  Verdict = iota
	Stale           // of a superseded owner
	Repeats         // written twice, or too late to count
	Ahead           // its epoch lies beyond its own time: forged, or a wrong clock's
)

// State is how far a shard's fold has come.
type State struct{ Epoch, Seq int64 }

// verdict says what a record of another state is worth that was appended at a
// time, in Unix milliseconds.
func (last State) verdict(s State, appended int64) Verdict {
	switch {
	case s.Epoch < last.Epoch:
		return Stale
	case s.Epoch == last.Epoch && s.Seq <= last.Seq:
		return Repeats
	case s.Epoch > last.Epoch && s.Epoch > appended+margin.Milliseconds():
		return Ahead
	}
	return Counts
}

// Fold is the rule of docs/DELIVERY.md: one (epoch, seq) for every shard.
type Fold map[string]State

// margin is how far beyond its record's append time an epoch may lie that takes
// over.
const margin = 10 * time.Minute

// Take moves the fold by a record that was appended at a time. Gap says that it
// counts and that records of its owner before it are missing.
func (f Fold) Take(s Stamp, appended time.Time) (v Verdict, gap bool) {
	last := f[s.Shard]
	if v := last.verdict(State{s.Epoch, s.Seq}, appended.UnixMilli()); v != Counts {
		return v, false
	}
	f[s.Shard] = State{s.Epoch, s.Seq}
	if s.Epoch == last.Epoch {
		return Counts, s.Seq != last.Seq+1
	}
	return Counts, s.Seq != 1
}
