package guard

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceFlexible is the version from which a produce request has compact lengths and tagged fields.
const produceFlexible = 9

// produceWalk is the walk over the body of a produce request. It is the hot request, so nothing is decoded into
// structures: an array is walked element by element, and its count cannot make anybody allocate more than the
// frame's own size because every element must really be there.
type produceWalk struct {
	reader
	guard     *Guard
	version   int16
	flexible  bool
	now       time.Time
	topic     []byte // of the partition at hand
	partition int32
}

// checkProduce checks the body of a produce request and reports whether it wants no answer.
func (g *Guard) checkProduce(body reader, version int16, now time.Time) (silent bool, err error) {
	w := produceWalk{reader: body, guard: g, version: version, flexible: version >= produceFlexible, now: now}
	switch {
	case w.flexible:
		w.compactNullable() // transactional id
	case version >= 3:
		w.nullableString()
	default: // older ones have a form that the engine does not know
		return false, refuse("Produce version %d is not served here, which is 3 to %d", version, apis[kmsg.Produce].highest)
	}
	silent = w.int16() == 0 // acks
	w.span(4)               // timeout
	for range w.arrayLen() {
		if err := w.checkTopic(); err != nil {
			return false, err
		}
	}
	w.noTags()
	if w.bad || len(w.src) > 0 {
		return false, refuse("Produce version %d: the body is malformed", version)
	}
	return silent, nil
}

// checkTopic walks one topic.
func (w *produceWalk) checkTopic() error {
	if w.flexible {
		w.topic = w.span(w.compactLen())
	} else {
		w.topic = w.span(int(w.int16()))
	}
	for range w.arrayLen() {
		w.partition = w.int32()
		var n int
		if w.flexible {
			n = w.compactLen()
		} else {
			n = int(w.int32())
		}
		if n >= 0 { // less is a null, which the engine answers itself
			if err := w.checkBatch(w.span(n)); err != nil {
				return err
			}
		}
		w.noTags()
		if w.bad {
			return refuse("Produce version %d: the body ends early", w.version)
		}
	}
	w.noTags()
	return nil
}

// noTags wants that there are no tagged fields, of which none are defined.
func (w *produceWalk) noTags() {
	if w.flexible && w.uvarint() != 0 {
		w.bad = true
	}
}

// minElementBytes is the least an element of the arrays in a produce request
// takes. The decoder sets aside some hundred bytes for each that is announced.
const minElementBytes = 3

// arrayLen reads the length of an array and checks that so many elements can still come.
func (w *produceWalk) arrayLen() int {
	var n int
	if w.flexible {
		n = w.compactLen()
	} else {
		n = int(w.int32())
	}
	if n > len(w.src)/minElementBytes {
		w.bad = true
		return 0
	}
	return max(n, 0)
}
