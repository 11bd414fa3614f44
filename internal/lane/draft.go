package lane

import (
	"github.com/twmb/franz-go/pkg/kgo"
)

// draft is a journal record until it is acknowledged. There are two for every
// task and with all they hold they are larger than the task, so they are used
// again: kgo lets go of a record when it calls its promise.
type draft struct {
	record  kgo.Record
	headers [3]kgo.RecordHeader
	texts   [64]byte // the headers' values
	key     []byte
	value   []byte
	done    func(offset int64, err error)
	promise func(*kgo.Record, error) // made once
}

// maxDraftBytes is the largest value whose room is kept for the next.
const maxDraftBytes = 8 << 10

func newDraft(a *Appender) *draft {
	d := &draft{value: make([]byte, 0, 1<<10)}
	d.promise = func(r *kgo.Record, err error) {
		offset, done := r.Offset, d.done
		a.recycle(d)
		a.health.Settled(err)
		done(offset, err)
	}
	return d
}

func (a *Appender) recycle(d *draft) {
	d.done, d.record = nil, kgo.Record{}
	if cap(d.value) > maxDraftBytes {
		return
	}
	a.drafts.Put(d)
}
