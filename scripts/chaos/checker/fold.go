package checker

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
)

// State is how far a shard's fold has come.
type State struct{ Epoch, Seq int64 }

// Fold is the rule of docs/DELIVERY.md: one (epoch, seq) for every shard.
type Fold map[string]State

// Take moves the fold by a record. Gap says that it counts and that records of
// its owner before it are missing.
func (f Fold) Take(s Stamp) (v Verdict, gap bool) {
	last := f[s.Shard]
	switch {
	case s.Epoch < last.Epoch:
		return Stale, false
	case s.Epoch == last.Epoch && s.Seq <= last.Seq:
		return Repeats, false
	}
	f[s.Shard] = State{s.Epoch, s.Seq}
	if s.Epoch == last.Epoch {
		return Counts, s.Seq != last.Seq+1
	}
	return Counts, s.Seq != 1
}
