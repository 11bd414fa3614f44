package broker

import "time"

// Versions of the produce request at which its form changes.
const (
	produceFlexible = 9  // compact lengths and tagged fields
	produceTopicIDs = 13 // topics are named by their id
)

// checkProduce walks the body of a produce request. It is the hot request, so
// nothing is decoded into structures: an array is walked element by element,
// and its count cannot make anybody allocate more than the frame's own size
// because every element must really be there.
func checkProduce(r *reader, version int16, now time.Time) error {
	flexible := version >= produceFlexible
	switch {
	case flexible:
		r.compactNullable() // transactional id
	case version >= 3:
		r.nullableString()
	}
	r.span(2 + 4) // acks, timeout
	topics := arrayLen(r, flexible)
	for range topics {
		if err := checkProduceTopic(r, version, now); err != nil {
			return err
		}
	}
	if flexible {
		r.tags()
	}
	if r.bad {
		return refuse("Produce version %d: the body ends early", version)
	}
	return nil
}

// checkProduceTopic walks one topic of a produce request.
func checkProduceTopic(r *reader, version int16, now time.Time) error {
	flexible := version >= produceFlexible
	switch {
	case version >= produceTopicIDs:
		r.span(16)
	case flexible:
		r.span(r.compactLen())
	default:
		r.span(int(r.int16()))
	}
	partitions := arrayLen(r, flexible)
	for range partitions {
		r.span(4) // the partition's number
		var n int
		if flexible {
			n = r.compactLen()
		} else {
			n = int(r.int32())
		}
		if n >= 0 { // less is a null, which the engine answers itself
			batch := r.span(n)
			if err := checkBatch(batch, now); err != nil {
				return err
			}
		}
		if flexible {
			r.tags()
		}
		if r.bad {
			return refuse("Produce version %d: the body ends early", version)
		}
	}
	if flexible {
		r.tags()
	}
	return nil
}

// minElementBytes is the least an element of the arrays in a produce request
// takes. The decoder sets aside some hundred bytes for each that is announced.
const minElementBytes = 3

// arrayLen reads the length of an array and checks that so many elements can
// still come.
func arrayLen(r *reader, flexible bool) int {
	var n int
	if flexible {
		n = r.compactLen()
	} else {
		n = int(r.int32())
	}
	if n > len(r.src)/minElementBytes {
		r.bad = true
		return 0
	}
	return max(n, 0)
}
