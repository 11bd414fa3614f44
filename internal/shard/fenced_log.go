package shard

import (
	"slices"

	"github.com/aiecs/tasklane/internal/fold"
)

// fencedLog is one of the shard's two logs as its owner sees it: how far it was followed
// by the fold, and what this owner has appended to it that has not come back. The journal
// and the waiting log are fenced under the same epoch; the seq is each log's own.
type fencedLog[T any] struct {
	// own is the epoch this owner fenced with and its last sequence number.
	own fold.State
	// fold follows the log; next is the offset it goes on at, raisedAt that of the
	// record that last raised its epoch.
	fold     fold.State
	next     int64
	raisedAt int64
	// readEnd is where the log ended when the take-over began, fenceAt where the own
	// fence stands, -1 before it is acknowledged.
	readEnd int64
	fenceAt int64
	outbox  outbox[T]
}

// begin prepares for a take-over that reads up to end.
func (l *fencedLog[T]) begin(end int64) { l.fenceAt, l.raisedAt, l.readEnd = -1, -1, end }

// raise begins an epoch of this owner's, with a fence.
func (l *fencedLog[T]) raise(epoch int64) { l.own, l.fenceAt = fold.State{Epoch: epoch, Seq: 1}, -1 }

// push takes note of an own record that is appended next, and gives its stamp.
func (l *fencedLog[T]) push(record T) fold.State {
	l.own.Seq++
	l.outbox.add(sent[T]{at: l.own, offset: -1, record: record})
	return l.own
}

// stamp is that of the last own record.
func (l *fencedLog[T]) stamp(shard string) fold.Stamp {
	return fold.Stamp{Shard: shard, Epoch: l.own.Epoch, Seq: l.own.Seq}
}

// step takes the log's next record in, and says how the fold stood before it.
func (l *fencedLog[T]) step(s fold.Stamp, offset, appended int64) (v fold.Verdict, before fold.State) {
	before = l.fold
	v = l.fold.Step(s.Epoch, s.Seq, appended)
	l.next = offset + 1
	if v.Counted() && l.fold.Epoch > before.Epoch {
		l.raisedAt = offset
	}
	return v, before
}

// acknowledge takes note that an own record has landed; nil if it has left or never was
// here.
func (l *fencedLog[T]) acknowledge(s fold.Stamp, offset int64) *sent[T] {
	p := l.outbox.find(fold.State{Epoch: s.Epoch, Seq: s.Seq})
	if p != nil {
		p.offset = offset
	}
	return p
}

// settle takes the oldest own record out if it is the one that the fold stands at.
func (l *fencedLog[T]) settle() (record T, ok bool) {
	if p := l.outbox.first(); p == nil || p.at != l.fold {
		return record, false
	}
	return l.outbox.pop().record, true
}

// wasRead reports whether all that stood in the log when the take-over began was read.
func (l *fencedLog[T]) wasRead() bool { return l.next >= l.readEnd }

// fenced reports whether the own fence was acknowledged and read.
func (l *fencedLog[T]) fenced() bool { return l.fenceAt >= 0 && l.next > l.fenceAt }

// raised reports whether that very record raised the fold's epoch.
func (l *fencedLog[T]) raised() bool { return l.fold.Epoch == l.own.Epoch && l.raisedAt == l.fenceAt }

// passed reports whether an acknowledged own record was read past without having counted.
func (l *fencedLog[T]) passed() bool {
	p := l.outbox.first()
	return p != nil && p.offset >= 0 && p.offset < l.next
}

// sent is an own record that has not come back through the fold.
type sent[T any] struct {
	at     fold.State // epoch and seq it was appended with; zero if not appended yet
	offset int64      // where it was acknowledged, -1 before
	record T
}

// outbox holds the own records that have not counted yet, in the order of their
// (epoch, seq). What is not appended yet stands at the end.
type outbox[T any] struct {
	records []sent[T]
	head    int
}

func (o *outbox[T]) len() int { return len(o.records) - o.head }

// live are the records. The slice is valid until the next call.
func (o *outbox[T]) live() []sent[T] { return o.records[o.head:] }

func (o *outbox[T]) add(p sent[T]) { o.records = append(o.records, p) }

func (o *outbox[T]) first() *sent[T] {
	if o.len() == 0 {
		return nil
	}
	return &o.records[o.head]
}

func (o *outbox[T]) pop() sent[T] {
	p := o.records[o.head]
	o.records[o.head] = sent[T]{}
	o.head++
	if o.head > 1024 && o.head*2 > len(o.records) {
		o.records = slices.Delete(o.records, 0, o.head)
		o.head = 0
	}
	return p
}

// find is the record with this stamp, nil if it has left or never was here.
func (o *outbox[T]) find(at fold.State) *sent[T] {
	live := o.live()
	// An epoch's numbers follow each other, so its place is known.
	if len(live) > 0 {
		if i := at.Seq - live[0].at.Seq; i >= 0 && i < int64(len(live)) && live[i].at == at {
			return &live[i]
		}
	}
	i, found := slices.BinarySearchFunc(live, at, func(p sent[T], at fold.State) int { return p.at.Compare(at) })
	if !found {
		return nil
	}
	return &live[i]
}

// take empties the outbox.
func (o *outbox[T]) take() []sent[T] {
	live := slices.Clone(o.live())
	o.records, o.head = nil, 0
	return live
}
