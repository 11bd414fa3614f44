package webhooks

import (
	"context"

	"github.com/aiecs/tasklane/internal/journal"
)

// book is what is known of one partition's deliveries while it is owned. Once it
// is open, the courier's lock guards it.
type book struct {
	partition int32
	// ctx ends when the partition is given up, and with it its tries.
	ctx    context.Context
	cancel context.CancelFunc

	open map[string]*delivery // by id
	// made are the deliveries of events that come after the commit: its owner
	// made them and died before it could commit. Each leaves when its event comes.
	made map[string]struct{}
	// ended are those that ended in what was read back; nil once that is done.
	ended map[string]struct{}
	// end is the offset after the newest record known of the partition's log.
	end int64

	// fold and made are the poll's alone once the book is ready.
	fold *journal.Fold
	// position is the offset of the next event, with the deliveries of all before
	// it written, and states the fold's there.
	position int64
	states   map[string]journal.State
	// reported is what was committed last.
	reported mark

	// ready says that what was there is known; idle is closed when closed is set
	// and no try runs.
	ready, closed bool
	trying        int
	idle          chan struct{}
}

func newBook(parent context.Context, partition int32) *book {
	ctx, cancel := context.WithCancel(parent)
	return &book{partition: partition, ctx: ctx, cancel: cancel, idle: make(chan struct{})}
}

// begin starts from a commit, with nothing known.
func (b *book) begin(m mark) {
	b.open, b.made, b.ended = map[string]*delivery{}, map[string]struct{}{}, map[string]struct{}{}
	b.fold = journal.NewFold(m.shards(b.partition))
	b.position, b.states, b.end = m.position, m.states, m.floor
	b.reported = m
}

// restore takes in a record that was there before. Records of one delivery may
// come more than once, and late from an owner before: an end is final, and the
// highest number of tries is the newest. Bodies are left in the log: there may be
// more than fit in memory.
func (b *book) restore(e entry, offset int64) {
	b.end = max(b.end, offset+1)
	if offset >= b.reported.floor {
		b.made[e.id] = struct{}{}
	}
	if e.outcome != "" {
		delete(b.open, e.id)
		b.ended[e.id] = struct{}{}
		return
	}
	if _, over := b.ended[e.id]; over {
		return
	}
	if known := b.open[e.id]; known != nil && known.tries >= e.tries {
		return
	}
	e.body = nil
	b.open[e.id] = &delivery{entry: e, book: b, offset: offset}
}

// restored ends what begin started.
func (b *book) restored() { b.ended, b.ready = nil, true }

// wasMade reports whether an event's delivery stands in the log already.
func (b *book) wasMade(id string) bool {
	_, made := b.made[id]
	delete(b.made, id)
	return made
}

// mark is what to commit now.
func (b *book) mark() mark {
	m := mark{position: b.position, floor: b.end, open: b.end, states: b.states}
	for _, d := range b.open {
		m.open = min(m.open, d.offset)
	}
	return m
}

// took takes in a record that was written here.
func (b *book) took(offset int64) { b.end = max(b.end, offset+1) }

// close keeps new tries from beginning.
func (b *book) close() {
	if !b.closed {
		b.closed = true
		b.settle()
	}
}

func (b *book) settle() {
	if b.closed && b.trying == 0 {
		close(b.idle)
	}
}
