package webhooks

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// membership is a courier's time in the group: books and queue of the partitions
// it is assigned. An error ends it, and with it all that is believed.
type membership struct {
	cfg     *Config
	courier *Courier
	ledger  *ledger
	group   *group
	joined  chan struct{} // closed when group is set

	// ctx ends when the membership does, with why as its cause.
	ctx   context.Context
	fail  context.CancelCauseFunc
	tasks sync.WaitGroup // loops and books being opened
	tries sync.WaitGroup

	// commitMu is held for a commit, and by whoever gives books up. It is taken
	// before mu.
	commitMu sync.Mutex

	mu     sync.Mutex // guards what follows
	books  map[int32]*book
	queue  *queue
	bodies int // bytes of the bodies kept
	// changed tells the dispatcher, and room the poll, to look again.
	changed, room chan struct{}
}

func newMembership(c *Courier) (*membership, error) {
	ledger, err := newLedger(c.cfg.Kafka, c.cfg.Topics)
	if err != nil {
		return nil, err
	}
	m := &membership{
		cfg: &c.cfg, courier: c, ledger: ledger, joined: make(chan struct{}),
		books: map[int32]*book{}, queue: newQueue(c.cfg.Slots, c.cfg.TargetSlots),
		changed: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	m.ctx, m.fail = context.WithCancelCause(context.Background())
	if m.group, err = newGroup(&c.cfg, m); err != nil {
		m.fail(err)
		ledger.close()
		return nil, err
	}
	close(m.joined)
	return m, nil
}

// run works until the context ends or the membership fails, then lets tries end,
// commits and leaves.
func (m *membership) run(ctx context.Context) error {
	working, stop := context.WithCancel(m.ctx)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	var loops sync.WaitGroup
	loops.Go(func() { m.follow(working) })
	loops.Go(func() { m.dispatch(working) })
	loops.Go(func() { m.commits(working) })
	<-working.Done()
	loops.Wait()
	err := context.Cause(m.ctx)
	if err == nil {
		m.release(m.partitions(), m.cfg.DrainTimeout, leaveTimeout)
	} else {
		m.forget(m.partitions())
	}
	m.group.leave()
	m.fail(context.Canceled)
	m.tries.Wait()
	m.tasks.Wait()
	m.ledger.close()
	return err
}

func (m *membership) partitions() []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	partitions := make([]int32, 0, len(m.books))
	for p := range m.books {
		partitions = append(partitions, p)
	}
	return partitions
}

// assigned opens the books of new partitions.
func (m *membership) assigned(partitions []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range partitions {
		if m.books[p] != nil || m.ctx.Err() != nil {
			continue
		}
		b := newBook(m.ctx, p)
		m.books[p] = b
		m.tasks.Go(func() { m.open(b) })
	}
}

// revoked gives partitions up in order: the group waits.
func (m *membership) revoked(partitions []int32) {
	m.release(partitions, m.cfg.DrainTimeout, lookupTimeout)
}

// lost drops partitions that somebody else has already.
func (m *membership) lost(partitions []int32) { m.forget(partitions) }

// release lets the tries of partitions end, for as long as drain, cuts off the
// rest, commits and forgets.
func (m *membership) release(partitions []int32, drain, within time.Duration) {
	books := m.close(partitions)
	timer := time.NewTimer(drain)
	defer timer.Stop()
	for _, b := range books {
		select {
		case <-b.idle:
			continue
		case <-timer.C:
		case <-m.ctx.Done():
		}
		break
	}
	for _, b := range books {
		b.cancel()
		<-b.idle // what it writes is bounded by its time
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	m.commitMu.Lock()
	defer m.commitMu.Unlock()
	m.commit(ctx)
	m.forget(partitions)
}

// close keeps new tries of partitions from beginning.
func (m *membership) close(partitions []int32) []*book {
	m.mu.Lock()
	defer m.mu.Unlock()
	var books []*book
	for _, p := range partitions {
		b := m.books[p]
		if b == nil {
			continue
		}
		books = append(books, b)
		if !b.closed && b.ready {
			for _, d := range b.open {
				m.unkeep(d)
			}
			m.queue.drop(b)
		}
		b.close()
	}
	signal(m.room)
	return books
}

// forget drops partitions with what is believed of them.
func (m *membership) forget(partitions []int32) {
	for _, b := range m.close(partitions) {
		b.cancel()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range partitions {
		delete(m.books, p)
	}
}

// open reads what is known of a partition's deliveries and lets its events come.
func (m *membership) open(b *book) {
	<-m.joined
	for {
		err := m.restore(b)
		if b.ctx.Err() != nil {
			return
		}
		if err == nil {
			break
		}
		m.courier.log.Warn("read open webhooks, trying again", "partition", b.partition, "error", err)
		pace.Sleep(b.ctx, time.Second)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.closed || m.books[b.partition] != b {
		return
	}
	b.restored()
	for _, d := range b.open {
		m.queue.add(d)
	}
	signal(m.changed)
	m.group.resume(b.partition)
	if n := len(b.open); n > 0 {
		m.courier.log.Info("webhooks go on", "partition", b.partition, "open", n)
	}
}

// follow makes deliveries of events.
func (m *membership) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if !m.roomy() {
			select {
			case <-m.room:
			case <-ctx.Done():
			}
			continue
		}
		if err := m.group.poll(ctx, m.make); err != nil && ctx.Err() == nil {
			m.fail(err)
			return
		}
	}
}

// roomy reports whether more deliveries may be open.
func (m *membership) roomy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.queue.open < m.cfg.MaxOpen
}

// make writes the deliveries of polled events and takes them in.
func (m *membership) make(polled map[int32][]event) error {
	var entries []entry
	books := make(map[int32]*book, len(polled))
	for p, events := range polled {
		m.mu.Lock()
		b := m.books[p]
		ready := b != nil && b.ready && !b.closed
		m.mu.Unlock()
		if b == nil {
			continue // lost just now
		}
		if !ready {
			return fmt.Errorf("events of partition %d came before its deliveries were known", p)
		}
		books[p] = b
		entries = append(entries, m.draft(b, events)...)
	}
	offsets, err := m.ledger.write(m.ctx, entries...)
	if err != nil {
		return err
	}
	m.courier.metrics.made.Add(len(entries))
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, e := range entries {
		m.took(books[e.partition], e, offsets[i])
	}
	for p, b := range books {
		b.position = polled[p][len(polled[p])-1].offset + 1
		b.states = laneStates(b.fold.States(), p)
	}
	signal(m.changed)
	return nil
}

// draft is the deliveries that events ask for.
func (m *membership) draft(b *book, events []event) []entry {
	var entries []entry
	for _, e := range events {
		if !e.stamped || !b.fold.Step(e.stamp).Counted() || e.callback == "" || e.user == "" {
			continue
		}
		if problem := schemas.CheckCallbackURL(e.callback); problem != "" {
			m.courier.metrics.invalid.Inc()
			m.courier.log.Error("an event's callback is no URL and is passed over", "partition", b.partition, "offset", e.offset, "problem", problem)
			continue
		}
		id := e.stamp.EventID()
		if b.wasMade(id) {
			m.courier.metrics.repeated.Inc()
			continue
		}
		now := time.Now()
		entries = append(entries, entry{
			partition: b.partition, id: id, user: e.user, url: e.callback, created: now, due: now, body: slices.Clone(e.value),
		})
	}
	return entries
}

// took takes in a delivery that was written. The lock is held.
func (m *membership) took(b *book, e entry, offset int64) {
	b.took(offset)
	d := &delivery{entry: e, book: b, offset: offset}
	b.open[e.id] = d
	if b.closed {
		return
	}
	if d.body != nil && m.bodies+len(d.body) <= m.cfg.BodyBytes {
		m.bodies += len(d.body)
	} else {
		d.body = nil
	}
	m.queue.add(d)
}

// unkeep drops a delivery's body from memory. The lock is held.
func (m *membership) unkeep(d *delivery) (body []byte) {
	body = d.body
	m.bodies -= len(body)
	d.body = nil
	return body
}

// commits commits what has changed, at intervals.
func (m *membership) commits(ctx context.Context) {
	pace.Every(ctx, m.cfg.CommitInterval, func() {
		bounded, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		m.commitMu.Lock()
		defer m.commitMu.Unlock()
		m.commit(bounded)
	})
}

// commit commits the books that have something new. The caller holds commitMu.
func (m *membership) commit(ctx context.Context) {
	m.mu.Lock()
	marks := map[int32]mark{}
	for p, b := range m.books {
		if !b.ready {
			continue
		}
		if now := b.mark(); !now.equal(b.reported) {
			marks[p] = now
		}
	}
	m.mu.Unlock()
	taken := m.group.commit(ctx, marks)
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, at := range taken {
		if b := m.books[p]; b != nil {
			b.reported = at
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
