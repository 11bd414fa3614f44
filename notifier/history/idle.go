package history

import "time"

// A client that hears nothing for long holds an old cursor. When a notifier is started again, all of its clients come
// back at once, and each with a cursor from before the ring would read the log from there for itself. So it is told a
// newer place in time: while the ring still reaches back to the one it has.

// mark is how far the live reader had come at a time.
type mark struct {
	at      time.Time
	seq     uint64
	segment int64 // the ring's newest
}

// renew has those clients told where to go on whose cursors would soon be from before the ring.
func (r *reader) renew(now time.Time) {
	if r.ring.limit == 0 {
		return
	}
	seq := r.positions.count()
	fading := r.fading(now)
	if n := len(r.marks); n == 0 || r.marks[n-1].seq != seq {
		r.marks = append(r.marks, mark{at: now, seq: seq, segment: r.ring.last()})
	}
	if fading == 0 {
		return
	}
	r.audience.Renew(fading, Now{Seq: seq, reader: r})
	r.audience.Flush()
}

// fading is the count of records below which a cursor is half-way out of the ring, by its bytes or by its age; 0 if
// none is. A ring that is filled between two looks helps nobody, nor would a message at each.
func (r *reader) fading(now time.Time) (seq uint64) {
	middle, gone := r.ring.middle(), 0
	for i, m := range r.marks {
		old := now.Sub(m.at)
		if m.segment < middle && old >= r.refresh || old > r.ring.age/2 {
			seq, gone = m.seq, i
		}
	}
	r.marks = r.marks[gone:] // those before say nothing more
	return seq
}
