package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
)

// scan is one reading of the log, for one replay or for many. It is confined to the goroutine in run, with the replays
// of its members, but for left and cancel, which the lock of scans guards.
type scan struct {
	*scans
	// ctx ends when no member is left.
	ctx    context.Context
	cancel context.CancelFunc
	left   int

	// users has the members by the user whose events they want.
	users map[string][]*member
	// target is the furthest of the members', and at is how far the scan has come.
	target, at []int64
	// parts are the partitions that are read; nil for those nobody needs.
	parts []*part
	// patience is how long the members may still wait for one of them.
	patience time.Duration
}

// part is a partition in a scan.
type part struct {
	fold *fold.Fold
	from place // where to read on
	// start is the one at from, if that has been asked for.
	start startPoint
}

func (s *scans) newScan(group []*member) *scan {
	ctx, cancel := context.WithCancel(context.Background())
	c := &scan{scans: s, ctx: ctx, cancel: cancel, left: len(group), users: make(map[string][]*member), patience: patience}
	for _, m := range group {
		m.scan = c
		c.users[m.want.User] = append(c.users[m.want.User], m)
		for n, target := range m.target {
			if n == len(c.target) {
				c.target = append(c.target, 0)
			}
			c.target[n] = max(c.target[n], target)
		}
	}
	return c
}

// run reads until every member has been released.
func (c *scan) run() {
	defer c.cancel()
	err := c.read()
	for _, m := range c.members() {
		c.release(m, err)
	}
}

func (c *scan) members() (all []*member) {
	for _, of := range c.users {
		all = append(all, of...)
	}
	return all
}

// read reads until the target or where the ring begins. A partition that is there before the others stays in the reader
// and its new records, which are few, are passed over: taking it out restarts the fetching of all the others.
func (c *scan) read() error {
	places, err := c.begin()
	if err != nil || len(places) == 0 {
		return err
	}
	tail, err := c.topic.scan(places)
	if err != nil {
		return err
	}
	defer tail.close()
	for len(c.users) > 0 {
		if err := c.poll(tail); err != nil {
			return err
		}
		c.arrive()
	}
	return nil
}

func (c *scan) poll(tail scanned) error {
	bounded, cancel := context.WithTimeout(c.ctx, c.timeout)
	defer cancel()
	err := tail.poll(bounded, c.step)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("replay: no records for %s: %w", c.timeout, err)
	}
	return err
}

// step takes one record through the fold and to those whose it is.
func (c *scan) step(rec *record) {
	n := rec.partition
	part := c.parts[n]
	if part == nil || rec.offset < part.from.offset || c.at[n] >= c.target[n] {
		return
	}
	if rec.offset >= c.target[n] {
		// Records are missing just before the target; it is reached all the same.
		part.from, c.at[n] = place{offset: c.target[n]}, c.target[n]
		return
	}
	// Before the fold moves: a client that does not read gets this record again.
	e, takers := c.takers(rec)
	counted := rec.stamped && part.fold.Step(rec.stamp, rec.time).Counted()
	part.from, c.at[n] = place{offset: rec.offset + 1}, rec.offset+1
	if !counted {
		return
	}
	for _, m := range takers {
		m.advance(c.at)
		m.send(e, n)
	}
}

// takers are the members whose event a record is, with the event, but for those that have no room for it: they leave.
func (c *scan) takers(rec *record) (e *Event, takers []*member) {
	var mine []*member
	for _, m := range c.users[string(rec.key)] {
		if m.needs(rec) {
			mine = append(mine, m)
		}
	}
	if len(mine) == 0 {
		return nil, nil
	}
	if e = mine[0].read(rec); e == nil {
		return nil, nil
	}
	for _, m := range mine {
		switch {
		case !m.want.Wants(e):
		case c.hasRoom(m):
			takers = append(takers, m)
		default:
			c.dismiss(m, errYield)
		}
	}
	return e, takers
}

// needs reports whether a record of the client's user is between its place and its target.
func (p *replay) needs(rec *record) bool {
	n := int(rec.partition)
	return n < len(p.target) && rec.offset >= p.next[n] && rec.offset < p.target[n]
}

// hasRoom waits a little for a client to read: for all members together no longer than for one, unless nobody else is
// kept by it.
func (c *scan) hasRoom(m *member) bool {
	if len(c.users) == 1 && len(c.users[m.want.User]) == 1 {
		return m.sub.HasRoom(m.ctx, patience)
	}
	began := time.Now()
	ok := m.sub.HasRoom(m.ctx, c.patience)
	c.patience -= time.Since(began)
	return ok
}

// arrive releases the members that have what they need.
func (c *scan) arrive() {
	covered := c.ring.covers(c.at, c.target)
	for _, m := range c.members() {
		if covered || m.ctx.Err() != nil || m.arrived(c.at) {
			c.dismiss(m, nil)
		}
	}
}

// arrived reports whether a scan that has come so far has brought the replay to its target.
func (p *replay) arrived(at []int64) bool {
	for n, target := range p.target {
		if p.next[n] < target && at[n] < target {
			return false
		}
	}
	return true
}

// advance moves the client's place to where the scan is.
func (p *replay) advance(at []int64) {
	for n, target := range p.target {
		p.next[n] = max(p.next[n], min(at[n], target))
	}
}

// dismiss lets a member go on from where the scan is.
func (c *scan) dismiss(m *member, why error) {
	m.advance(c.at)
	for n := range m.starts {
		if n >= len(c.parts) || c.parts[n] == nil {
			continue
		}
		m.starts[n] = c.parts[n].startPoint()
		if m.starts[n].at.offset > m.next[n] {
			// The scan has gone on for others: what is between is still to come.
			m.starts[n] = startPoint{}
		}
	}
	c.drop(m, why)
}

func (c *scan) drop(m *member, why error) {
	user := m.want.User
	if c.users[user] = slices.DeleteFunc(c.users[user],
		func(other *member) bool { return other == m }); len(c.users[user]) == 0 {
		delete(c.users, user)
	}
	c.release(m, why)
}

// startPoint is where the scan is; many members leave at the same place.
func (p *part) startPoint() startPoint {
	if !p.start.known || p.start.at != p.from {
		p.start = startPoint{known: true, at: p.from, states: p.fold.States()}
	}
	return p.start
}

// begin finds where to begin in each partition that somebody needs.
func (c *scan) begin() (map[int32]place, error) {
	starts, err := c.topic.starts(c.ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range c.members() {
		if m.overtaken(starts) {
			c.drop(m, errRetention)
		}
	}
	c.at, c.parts = slices.Clone(c.target), make([]*part, len(c.target))
	unknown := make(map[int32]place)
	for n := range c.target {
		next, start, needed := c.last(n)
		if !needed {
			continue
		}
		if !start.known {
			unknown[int32(n)] = place{offset: next}
			continue
		}
		if n < len(starts) && start.at.after.IsZero() {
			// The checkpoint may be older than what is left of the log. What is gone between the two can only have
			// raised the fold's states.
			start.at.offset = max(start.at.offset, starts[n])
		}
		c.enter(int32(n), start)
	}
	if err := c.lead(unknown); err != nil {
		return nil, err
	}
	places := make(map[int32]place)
	for n, part := range c.parts {
		if part != nil {
			places[int32(n)] = part.from
		}
	}
	return places, nil
}

// overtaken reports whether retention has passed where the client is.
func (p *replay) overtaken(starts []int64) bool {
	for n, target := range p.target {
		if p.next[n] < target && n < len(starts) && starts[n] > p.next[n] {
			return true
		}
	}
	return false
}

// last is the place of the member that is last in a partition, and where to begin for it; not needed if nobody needs
// the partition.
func (c *scan) last(n int) (next int64, start startPoint, needed bool) {
	for _, of := range c.users {
		for _, m := range of {
			if n < len(m.target) && m.next[n] < m.target[n] && (!needed || m.next[n] < next) {
				next, start, needed = m.next[n], m.starts[n], true
			}
		}
	}
	if needed && !start.known {
		if at, ok := c.checkpoints.before(int32(n), next); ok {
			start = startPoint{known: true, at: place{offset: at.offset}, states: at.states}
		}
	}
	return next, start, needed
}

func (c *scan) enter(partition int32, start startPoint) {
	c.parts[partition] = &part{fold: fold.New(start.states), from: start.at}
	c.at[partition] = start.at.offset // 0 while it is a time
}

// lead finds where to begin to fold for partitions without a checkpoint: foldLead before the record wanted, by the
// broker's clock.
func (c *scan) lead(wanted map[int32]place) error {
	if len(wanted) == 0 {
		return nil
	}
	tail, err := c.topic.scan(wanted)
	if err != nil {
		return err
	}
	defer tail.close()
	bounded, cancel := context.WithTimeout(c.ctx, c.timeout)
	defer cancel()
	for found := 0; found < len(wanted); {
		err := tail.poll(bounded, func(rec *record) {
			if c.parts[rec.partition] == nil {
				c.enter(rec.partition, startPoint{at: place{after: rec.time.Add(-foldLead)}})
				found++
			}
		})
		if err != nil {
			return fmt.Errorf("replay: look where to begin: %w", err)
		}
	}
	return nil
}
