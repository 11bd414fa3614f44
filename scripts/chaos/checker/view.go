package checker

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"sort"
	"strconv"
	"strings"
	"time"
)

// entry is a record of a shard's journal and what a reader from the start makes
// of it.
type entry struct {
	offset int64
	at     int64 // Unix milliseconds
	state  State // its own
	after  State // of the fold, after it
	counts bool
}

// journal is a shard's records in the order of the log.
type journal struct {
	entries []entry
	digest  Digest
}

func (j *journal) add(r *Record, s Stamp, counts bool) {
	e := entry{offset: r.Offset, at: r.Time.UnixMilli(), state: State{s.Epoch, s.Seq}, counts: counts}
	if counts {
		e.after = e.state
	} else if n := len(j.entries); n > 0 {
		e.after = j.entries[n-1].after
	}
	j.entries = append(j.entries, e)
	if counts {
		j.digest.Add(r, s)
	}
}

// Digest is a sequence of records that count, in short.
type Digest struct {
	Count int
	Sum   uint64
}

// Add appends a record that counts.
func (d *Digest) Add(r *Record, s Stamp) {
	h := fnv.New64a()
	var numbers [32]byte
	for i, n := range []uint64{d.Sum, uint64(r.Offset), uint64(s.Epoch), uint64(s.Seq)} {
		binary.BigEndian.PutUint64(numbers[8*i:], n)
	}
	_, _ = h.Write(numbers[:])
	_, _ = h.Write(r.Value)
	d.Count++
	d.Sum = h.Sum64()
}

// judgeViews is I4: readers that start elsewhere see what one from the start
// sees.
func (c *Checker) judgeViews() {
	for shard, j := range c.journals {
		c.judgeLive(shard, j)
		for i := range middles {
			c.judgeMiddle(shard, j, i*len(j.entries)/middles)
		}
	}
	for _, m := range c.commits {
		c.judgeCommit(m)
	}
}

func (c *Checker) judgeLive(shard string, j *journal) {
	if c.live == nil || len(j.entries) == 0 {
		return
	}
	last := time.UnixMilli(j.entries[len(j.entries)-1].at)
	c.report.check(SameHistory, last)
	if c.live[shard] != j.digest {
		c.report.breach(SameHistory, last,
			"%s: a reader during the run saw %d records that count, one after it %d, or others",
			shard, c.live[shard].Count, j.digest.Count)
	}
}

// judgeCommit reads on from a commit's metadata.
func (c *Checker) judgeCommit(m Commit) {
	position, before, err := parseMetadata(m.Metadata)
	if err != nil {
		c.report.breach(SameHistory, m.At, "commit of %s/%d at %d: %v", m.Lane, m.Partition, m.Offset, err)
		return
	}
	shard := fmt.Sprint(m.Lane, "/", m.Partition)
	j := c.journal(shard)
	from := sort.Search(len(j.entries), func(i int) bool { return j.entries[i].offset >= position })
	c.report.check(SameHistory, m.At)
	c.report.Counters.CommitViews++
	if at, same := j.view(from, before); !same {
		c.report.breach(SameHistory, m.At, "%s: a reader from the commit %q sees another history at offset %d", shard,
			m.Metadata, at)
	}
}

// view folds from an entry on with a state and tells where that differs first
// from the fold from the start.
func (j *journal) view(from int, state State) (offset int64, same bool) {
	for _, e := range j.entries[from:] {
		counts := state.verdict(e.state, e.at) == Counts
		if counts {
			state = e.state
		}
		if counts != e.counts {
			return e.offset, false
		}
		if state == e.after {
			return 0, true // and the same from here on
		}
	}
	return 0, true
}

// parseMetadata reads tl1:POSITION:EPOCH:SEQ:OWN:WINDOW.
func parseMetadata(text string) (position int64, before State, err error) {
	fields := strings.Split(text, ":")
	if len(fields) != 6 || fields[0] != "tl1" {
		return 0, State{}, fmt.Errorf("metadata %q has another form", text)
	}
	var numbers [5]int64
	for i, field := range fields[1:] {
		if numbers[i], err = strconv.ParseInt(field, 10, 64); err != nil {
			return 0, State{}, fmt.Errorf("metadata %q: %w", text, err)
		}
	}
	return numbers[0], State{numbers[1], numbers[2]}, nil
}

const (
	// middles is how many places of each shard a reader starts at.
	middles = 100
	// lead is how much earlier it starts to read.
	lead = 15 * time.Second
)

// judgeMiddle starts at an entry without a state, as docs/DELIVERY.md says:
// 15 s earlier, with the first state that is seen.
func (c *Checker) judgeMiddle(shard string, j *journal, start int) {
	if start >= len(j.entries) {
		return
	}
	at := time.UnixMilli(j.entries[start].at)
	from := sort.Search(start, func(i int) bool { return j.entries[i].at >= at.Add(-lead).UnixMilli() })
	var state State
	sighted := false
	for _, e := range j.entries[from:start] {
		sighted = sighted || e.counts
		if state.verdict(e.state, e.at) == Counts {
			state = e.state
		}
	}
	if !sighted { // no owner wrote in that time: the document promises nothing
		c.report.Counters.Unsighted++
		return
	}
	c.report.Counters.MiddleViews++
	c.report.check(SameHistory, at)
	if offset, same := j.view(start, state); !same {
		c.report.breach(SameHistory, at, "%s: a reader from offset %d sees another history at offset %d", shard,
			j.entries[start].offset, offset)
	}
}
