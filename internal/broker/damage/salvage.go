package damage

import (
	"encoding/binary"
	"math/bits"

	"github.com/aiecs/tasklane/internal/broker/recordbatch"
)

// salvage walks the batches of a segment and tells the sound from the damaged.
type salvage struct {
	raw  []byte // headers that are damaged in one bit are put right in it
	next int64  // the lowest offset that the next batch may have
	// dense says that no offsets are left out but by markers, as in topics that are not compacted.
	dense bool
	limit int64         // no offset is as high
	floor int64         // about where the partition ends, 0 if nobody knows
	after func() []byte // the segment behind; nil if there is none

	batches []span // the sound ones
	lost    []loss // what is between them
	mended  []int  // where headers were put right
}

// span is a part of a segment.
type span struct{ from, to int }

// loss is a damaged part, and the offsets that are lost with it. Behind the last
// sound batch nobody knows how many those are.
type loss struct {
	span
	first, behind int64
}

// maxSearchedBytes is the largest batch that is found behind damage.
const maxSearchedBytes = 16 << 20

// run walks all of the segment.
func (s *salvage) run() {
	for pos := 0; pos < len(s.raw); {
		if size := s.sound(pos, true); size > 0 {
			s.accept(pos, size)
			pos += size
			continue
		}
		to := pos + 1
		if size := recordbatch.Size(s.raw[pos:]); size > 0 && (pos+size == len(s.raw) || s.sound(pos+size, false) > 0) {
			to = pos + size
		}
		for to < len(s.raw) && s.sound(to, false) == 0 {
			to++
		}
		s.lost = append(s.lost, loss{span: span{pos, to}, first: s.next, behind: -1})
		pos = to
	}
}

func (s *salvage) accept(pos, size int) {
	if n := len(s.lost); n > 0 && s.lost[n-1].behind < 0 {
		s.lost[n-1].behind = recordbatch.First(s.raw[pos:])
	}
	s.batches = append(s.batches, span{pos, pos + size})
	s.next = recordbatch.End(s.raw[pos : pos+size])
}

// sound is the size of the batch at pos if it is whole and has its place here, 0 otherwise. Where a batch has to be,
// a header with one flipped bit is put right if it is known how it should be: the first 21 bytes are not covered by
// the checksum.
func (s *salvage) sound(pos int, mend bool) int {
	b := s.raw[pos:]
	size := recordbatch.Size(b)
	if !mend && (size == 0 || size > maxSearchedBytes || b[recordbatch.AtMagic] != recordbatch.Magic) {
		return 0
	}
	if size == 0 || !recordbatch.Intact(b[:size]) {
		if !mend {
			return 0
		}
		if size = s.mendLength(pos); size == 0 {
			return 0
		}
	}
	b = b[:size]
	delta := recordbatch.LastDelta(b)
	if delta < 0 || !s.mendOffset(pos, size, delta) {
		return 0
	}
	if b[recordbatch.AtMagic] != recordbatch.Magic || binary.BigEndian.Uint32(b[recordbatch.AtEpoch:]) != 0 {
		b[recordbatch.AtMagic] = recordbatch.Magic
		binary.BigEndian.PutUint32(b[recordbatch.AtEpoch:], 0) // there is one broker, which never changes it
		s.mended = append(s.mended, pos)
	}
	return size
}

// mendLength looks for the one bit by which the length is wrong.
func (s *salvage) mendLength(pos int) int {
	b := s.raw[pos:]
	if len(b) < recordbatch.HeaderBytes {
		return 0
	}
	length := binary.BigEndian.Uint32(b[recordbatch.AtLength:])
	for bit := range 32 {
		size := int64(length^1<<bit) + 12
		if size >= recordbatch.HeaderBytes && size <= int64(len(b)) && recordbatch.Intact(b[:size]) {
			binary.BigEndian.PutUint32(b[recordbatch.AtLength:], length^1<<bit)
			s.mended = append(s.mended, pos)
			return int(size)
		}
	}
	return 0
}

// mendOffset checks that the first offset of a batch is possible, and puts it right if one bit makes it impossible.
// Believed, an offset that is too high would make all that stands behind it impossible.
func (s *salvage) mendOffset(pos, size int, delta int64) bool {
	b := s.raw[pos:]
	first := recordbatch.First(b)
	fits := func(first int64) bool { return first >= s.next && first+delta < s.limit && first+delta >= 0 }
	if first == s.next && fits(first) {
		return true // nearly always
	}
	behind, known := s.firstBehind(pos + size)
	if fits(first) && !s.contradicted(b, first, delta, behind, known) {
		return true
	}
	var candidates []int64
	for bit := range 63 {
		c := first ^ 1<<bit
		switch {
		case c == s.next && fits(c): // in a topic without gaps it is no other
			candidates = []int64{c}
		case !s.dense && known && fits(c) && c+delta < behind:
			candidates = append(candidates, c)
			continue
		default:
			continue
		}
		break
	}
	switch len(candidates) {
	case 0:
		return fits(first) && !s.dense // what contradicts it is itself wrong
	case 1:
		binary.BigEndian.PutUint64(b, uint64(candidates[0]))
		s.mended = append(s.mended, pos)
		return true
	}
	return false
}

// firstBehind is the first offset of the whole batch behind, if there is one.
func (s *salvage) firstBehind(pos int) (first int64, known bool) {
	rest := s.raw[pos:]
	if len(rest) == 0 && s.after != nil {
		rest = s.after()
	}
	if size := recordbatch.Size(rest); size > 0 && recordbatch.Intact(rest[:size]) {
		return recordbatch.First(rest), true
	}
	return 0, false
}

// contradicted reports whether the batch behind says that an offset is wrong which is
// possible by itself: it fits what stands before, and leaves no room for this one.
func (s *salvage) contradicted(b []byte, first, delta, behind int64, known bool) bool {
	switch {
	case !s.dense:
		return known && behind <= first+delta && behind > s.next+delta
	case isMarker(b):
		return false
	case known: // a gap without a reason: so it is, unless there is none without the bit
		return behind <= first+delta && behind == s.next+delta+1
	}
	return s.floor > 0 && first+delta >= s.floor && bits.OnesCount64(uint64(first^s.next)) == 1
}

// isMarker reports whether a batch is one of ours that holds an end.
func isMarker(batch []byte) bool {
	return recordbatch.Attributes(batch)&recordbatch.Control != 0
}
