package webhooks

import (
	"context"

	"github.com/aiecs/tasklane/internal/fold"
)

// backlog is what is known of one partition's deliveries while it is owned. Once it
// is open, the dispatcher's lock guards it.
type backlog struct {
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

	// fold and made are the poll's alone once the backlog is ready.
	fold *fold.Fold
	// position is the offset of the next event, with the deliveries of all before
	// it written, and states the fold's there.
	position int64
	states   map[string]fold.State
	// anchor and logs are the checkpoint's.
	anchor int64
	logs   string
	// reported is what was committed last.
	reported checkpoint

	// ready says that what was there is known; idle is closed when closed is set
	// and no try runs.
	ready, closed bool
	trying        int
	idle          chan struct{}
}

func newBacklog(parent context.Context, partition int32) *backlog {
	ctx, cancel := context.WithCancel(parent)
	return &backlog{partition: partition, ctx: ctx, cancel: cancel, idle: make(chan struct{})}
}

// begin starts from a commit, with nothing known.
func (b *backlog) begin(m checkpoint) {
	b.open, b.made, b.ended = map[string]*delivery{}, map[string]struct{}{}, map[string]struct{}{}
	b.fold = fold.New(m.shards(b.partition))
	b.position, b.states, b.end = m.position, m.states, m.floor
	b.anchor, b.logs = m.anchor, m.logs
	b.reported = m
}

// restore takes in a record that was there before. Records of one delivery may
// come more than once, and late from an owner before: an end is final, and the
// highest number of tries is the newest. Bodies are left in the log: there may be
// more than fit in memory.
func (b *backlog) restore(e entry, offset int64) {
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
	b.open[e.id] = &delivery{entry: e, backlog: b, offset: offset}
}

// restored ends what begin started.
func (b *backlog) restored() { b.ended, b.ready = nil, true }

// wasMade reports whether an event's delivery stands in the log already.
func (b *backlog) wasMade(id string) bool {
	_, made := b.made[id]
	delete(b.made, id)
	return made
}

// checkpoint is what to commit now.
func (b *backlog) checkpoint() checkpoint {
	m := checkpoint{position: b.position, floor: b.end, open: b.end, states: b.states, anchor: b.anchor, logs: b.logs}
	for _, d := range b.open {
		m.open = min(m.open, d.offset)
	}
	return m
}

// took takes in a record that was written here.
func (b *backlog) took(offset int64) { b.end = max(b.end, offset+1) }

// close keeps new tries from beginning.
func (b *backlog) close() {
	if !b.closed {
		b.closed = true
		b.settle()
	}
}

func (b *backlog) settle() {
	if b.closed && b.trying == 0 {
		close(b.idle)
	}
}
