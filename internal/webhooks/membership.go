package webhooks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/ownership"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// membership is a dispatcher's time in the group: backlogs and queue of the partitions
// it is assigned. An error ends it, and with it all that is believed.
type membership struct {
	cfg         *Config
	dispatcher  *Dispatcher
	deliveryLog *deliveryLog
	tasks       *tasks
	group       *ownership.Member

	// ctx ends when the membership does, with why as its cause.
	ctx   context.Context
	fail  context.CancelCauseFunc
	opens sync.WaitGroup // backlogs being opened
	tries sync.WaitGroup

	mu       sync.Mutex // guards what follows
	backlogs map[int32]*backlog
	// opening is how many of them are being opened, rewound that a commit was put
	// back meanwhile: the membership ends once all are looked at.
	opening int
	rewound bool
	queue   *queue
	bodies  int // bytes of the bodies kept
	// changed tells the dispatcher, and room the poll, to look again.
	changed, room chan struct{}
}

func newMembership(c *Dispatcher) (*membership, error) {
	deliveryLog, err := newDeliveryLog(c.cfg.Kafka, c.cfg.Topics, c.cfg.Secrets)
	if err != nil {
		return nil, err
	}
	tasks, err := newTasks(c.cfg.Kafka)
	if err != nil {
		deliveryLog.close()
		return nil, err
	}
	m := &membership{
		cfg: &c.cfg, dispatcher: c, deliveryLog: deliveryLog, tasks: tasks,
		backlogs: map[int32]*backlog{}, queue: newQueue(c.cfg.Slots, c.cfg.TargetSlots),
		changed: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	m.ctx, m.fail = context.WithCancelCause(context.Background())
	m.group = ownership.New(ownership.Config{
		Kafka: c.cfg.Kafka, Group: c.cfg.Topics.WebhooksGroup(), Topic: c.cfg.Topics.Events(), Name: "webhooks",
		Options:        groupOptions(),
		SessionTimeout: c.cfg.SessionTimeout, DrainTimeout: c.cfg.DrainTimeout, CommitInterval: c.cfg.CommitInterval,
		Health: &c.health, Standing: &c.standing, Logger: c.log,
	}, m)
	if err := m.group.Join(); err != nil {
		m.fail(err)
		tasks.close()
		deliveryLog.close()
		return nil, err
	}
	return m, nil
}

// run works until the context ends or the membership fails, then lets tries end,
// commits and leaves.
func (m *membership) run(ctx context.Context) error {
	working, stop := context.WithCancel(m.ctx)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	var loops sync.WaitGroup
	loops.Go(func() { m.look(working) })
	loops.Go(func() { m.follow(working) })
	loops.Go(func() { m.dispatch(working) })
	loops.Go(func() { m.group.Run(working) })
	foreign := &kafka.GroupWatch{Client: m.deliveryLog.client, Group: m.cfg.Topics.WebhooksGroup(),
		Log: m.dispatcher.log}
	m.dispatcher.watch.Store(foreign)
	loops.Go(func() { foreign.Run(working) })
	<-working.Done()
	loops.Wait()
	err := context.Cause(m.ctx)
	if err == nil {
		m.group.Release(m.partitions())
	} else {
		m.group.Abandon(m.partitions())
	}
	m.group.Leave()
	m.fail(context.Canceled)
	m.tries.Wait()
	m.opens.Wait()
	m.tasks.close()
	m.deliveryLog.close()
	return err
}

// look ends the membership when a topic is another one.
func (m *membership) look(ctx context.Context) {
	watch := m.deliveryLog.watch(&m.dispatcher.health)
	err := watch.Await(ctx, func(reason error) {
		m.dispatcher.log.Warn("webhooks wait for their topics", "reason", reason)
	})
	if err == nil {
		err = watch.Run(ctx)
	}
	var changed *kafka.ChangedError
	if errors.As(err, &changed) {
		m.fail(err)
	}
}

func (m *membership) partitions() []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	partitions := make([]int32, 0, len(m.backlogs))
	for p := range m.backlogs {
		partitions = append(partitions, p)
	}
	return partitions
}

// Assigned implements [ownership.Owner]: it opens the backlogs of new partitions.
// Nothing is fetched of them until what was there is known.
func (m *membership) Assigned(_ context.Context, partitions []int32) {
	m.group.Pause(partitions...)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range partitions {
		if m.backlogs[p] != nil || m.ctx.Err() != nil {
			continue
		}
		b := newBacklog(m.ctx, p)
		m.backlogs[p] = b
		m.opening++
		m.opens.Go(func() { m.open(b) })
	}
}

// Drain implements [ownership.Owner]: tries that run may end.
func (m *membership) Drain(ctx context.Context, partitions []int32) {
	backlogs := m.close(partitions)
	for _, b := range backlogs {
		select {
		case <-b.idle:
		case <-ctx.Done():
		case <-m.ctx.Done():
		}
	}
	for _, b := range backlogs {
		b.cancel()
		<-b.idle // what it writes is bounded by its time
	}
}

// Lost implements [ownership.Owner]: somebody else has them already.
func (m *membership) Lost(partitions []int32) { m.Forget(partitions) }

// close keeps new tries of partitions from beginning.
func (m *membership) close(partitions []int32) []*backlog {
	m.mu.Lock()
	defer m.mu.Unlock()
	var backlogs []*backlog
	for _, p := range partitions {
		b := m.backlogs[p]
		if b == nil {
			continue
		}
		backlogs = append(backlogs, b)
		if !b.closed && b.ready {
			for _, d := range b.open {
				m.takeBody(d)
			}
			m.queue.drop(b)
		}
		b.close()
	}
	signal(m.room)
	return backlogs
}

// Forget implements [ownership.Owner]: it drops partitions with what is believed of them.
func (m *membership) Forget(partitions []int32) {
	for _, b := range m.close(partitions) {
		b.cancel()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range partitions {
		delete(m.backlogs, p)
	}
}

// open reads what is known of a partition's deliveries and lets its events come.
func (m *membership) open(b *backlog) {
	defer m.opened()
	for {
		err := m.restore(b)
		if b.ctx.Err() != nil || errors.Is(err, errRewound) {
			return
		}
		if err == nil {
			break
		}
		m.dispatcher.log.Warn("read open webhooks, trying again", "partition", b.partition, "error", err)
		pace.Sleep(b.ctx, time.Second)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.closed || m.backlogs[b.partition] != b {
		return
	}
	b.restored()
	for _, d := range b.open {
		m.queue.add(d)
	}
	signal(m.changed)
	m.group.Resume(b.partition)
	if n := len(b.open); n > 0 {
		m.dispatcher.log.Info("webhooks go on", "partition", b.partition, "open", n)
	}
}

// opened ends the membership if commits were put back and nothing is left to look
// at: the group's client begins at a commit only when it joins.
func (m *membership) opened() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opening--; m.rewound && m.opening == 0 {
		m.fail(errRewound)
	}
}

// rewind puts the group's commit of a partition back to where its events begin. What
// task-webhooks shows as made is not made again.
func (m *membership) rewind(b *backlog, why string, start int64, logs string) error {
	m.dispatcher.metrics.rewinds.Inc()
	m.dispatcher.log.Error("webhooks read a partition of task-events from its start: their commit is not of the log "+
		"that is there. What task-webhooks does not show any more is posted again",
		"partition", b.partition, "reason", why)
	ctx, cancel := context.WithTimeout(b.ctx, lookupTimeout)
	defer cancel()
	if err := m.group.PutBack(ctx, b.partition, checkpoint{position: start, logs: logs}.place()); err != nil {
		return fmt.Errorf("put the commit back: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rewound = true
	return errRewound
}

// follow makes deliveries of events.
func (m *membership) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if !m.hasRoom() {
			select {
			case <-m.room:
			case <-ctx.Done():
			}
			continue
		}
		if err := m.poll(ctx); err != nil && ctx.Err() == nil {
			m.fail(err)
			return
		}
	}
}

// hasRoom reports whether more deliveries may be open.
func (m *membership) hasRoom() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.queue.open < m.cfg.MaxOpen || m.queue.heaviest(m.cfg.MaxOpen) != nil
}

// shed makes dead letters of the deliveries of a user who has more than half of all
// that may be open, once nothing more would be taken: others' go on.
func (m *membership) shed(ctx context.Context, entries []entry) ([]entry, error) {
	m.mu.Lock()
	heaviest, full := "", m.queue.open >= m.cfg.MaxOpen
	if u := m.queue.heaviest(m.cfg.MaxOpen); full && u != nil {
		heaviest = u.name
	}
	m.mu.Unlock()
	if heaviest == "" {
		return entries, nil
	}
	kept := entries[:0]
	for _, e := range entries {
		if e.user != heaviest {
			kept = append(kept, e)
			continue
		}
		why := fmt.Sprintf("not tried: the user has more than half of the %d webhooks that may be open here",
			m.cfg.MaxOpen)
		if err := m.deliveryLog.writeDeadLetter(ctx, &e, m.place(e.partition, -1), why, 0); err != nil {
			return nil, err
		}
		m.dispatcher.metrics.shed.Inc()
		m.dispatcher.log.Warn("a webhook is a dead letter, because its user has too many open", "delivery", e.id, "target",
			targetOf(e.url))
	}
	return kept, nil
}

// make writes the deliveries of polled events and takes them in.
func (m *membership) make(polled map[int32][]event) error {
	var candidates []candidate
	backlogs := make(map[int32]*backlog, len(polled))
	for p, events := range polled {
		m.mu.Lock()
		b := m.backlogs[p]
		ready := b != nil && b.ready && !b.closed
		m.mu.Unlock()
		if b == nil {
			continue // lost just now
		}
		if !ready {
			return fmt.Errorf("events of partition %d came before its deliveries were known", p)
		}
		if first := events[0].offset; first < b.position {
			return fmt.Errorf("partition %d of task-events goes back from %d to %d: the log was cut, or made anew", p,
				b.position, first)
		}
		backlogs[p] = b
		candidates = append(candidates, m.candidates(b, events)...)
	}
	entries, err := m.resolve(m.ctx, candidates)
	if err == nil {
		entries, err = m.shed(m.ctx, entries)
	}
	if err != nil {
		return err
	}
	offsets, err := m.deliveryLog.write(m.ctx, entries...)
	if err != nil {
		return err
	}
	m.dispatcher.metrics.made.Add(len(entries))
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, e := range entries {
		m.took(backlogs[e.partition], e, offsets[i])
	}
	for p, b := range backlogs {
		last := &polled[p][len(polled[p])-1]
		b.position, b.anchor = last.offset+1, last.appended.UnixMilli()
		b.states = laneStates(b.fold.States(), p)
	}
	signal(m.changed)
	return nil
}

// candidates are the events that ask for a delivery which was not made yet.
func (m *membership) candidates(b *backlog, events []event) []candidate {
	var candidates []candidate
	for i := range events {
		e := &events[i]
		if !m.counts(b, e) || e.callback == "" || e.user == "" {
			continue
		}
		a, problem := readCandidate(m.cfg.Topics, b.partition, e)
		if problem != "" {
			m.dispatcher.metrics.unconfirmed.Inc()
			m.dispatcher.log.Error("a record that asks for a webhook is no processor's and is passed over", "partition",
				b.partition, "offset", e.offset, "problem", problem)
			continue
		}
		if b.wasMade(a.id) {
			m.dispatcher.metrics.repeated.Inc()
			continue
		}
		candidates = append(candidates, a)
	}
	return candidates
}

// counts takes an event through the fold.
func (m *membership) counts(b *backlog, e *event) bool {
	if !e.stamped {
		return false
	}
	verdict := b.fold.Step(e.stamp, e.appended)
	if verdict == fold.Ahead {
		m.dispatcher.aheads.Note(m.cfg.Topics.Events(), b.partition, e.offset, e.stamp, e.appended)
	}
	return verdict.Counted()
}

// took takes in a delivery that was written. The lock is held.
func (m *membership) took(b *backlog, e entry, offset int64) {
	b.took(offset)
	d := &delivery{entry: e, backlog: b, offset: offset}
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

// takeBody drops a delivery's body from memory. The lock is held.
func (m *membership) takeBody(d *delivery) (body []byte) {
	body = d.body
	m.bodies -= len(body)
	d.body = nil
	return body
}

// Commits implements [ownership.Owner]: the backlogs that have something new.
func (m *membership) Commits() map[int32]ownership.Commit {
	m.mu.Lock()
	defer m.mu.Unlock()
	commits := map[int32]ownership.Commit{}
	for p, b := range m.backlogs {
		if !b.ready { // who opens it has it to itself until then
			continue
		}
		now := b.checkpoint()
		if now.equal(b.reported) {
			continue
		}
		commits[p] = ownership.Commit{Place: now.place(), Taken: func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			b.reported = now
		}}
	}
	return commits
}

// place is where a record of task-webhooks stands.
func (m *membership) place(partition int32, offset int64) schemas.Place {
	return schemas.Place{Topic: m.cfg.Topics.Webhooks(), Partition: partition, Offset: offset}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
