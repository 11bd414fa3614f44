package webhooks

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// rereadPause is the wait after a body could not be read again.
const rereadPause = 5 * time.Second

// restore reads the commit and the deliveries that are open.
func (m *membership) restore(b *backlog) error {
	at, err := m.deliveryLog.checkpoint(b.ctx, b.partition)
	if err != nil {
		return err
	}
	why, start, err := m.deliveryLog.examine(b.ctx, b.partition, &at)
	if err != nil {
		return err
	}
	if why != "" {
		return m.rewind(b, why, start, at.logs)
	}
	b.begin(at)
	return m.deliveryLog.read(b.ctx, b.partition, at.open, func(e entry, offset int64, err error) {
		if err != nil {
			m.dispatcher.metrics.invalid.Inc()
			m.dispatcher.log.Error("a record of task-webhooks is none and is passed over", "partition", b.partition, "offset",
				offset, "error", err)
			return
		}
		b.restore(e, offset)
	})
}

// dispatch begins the tries that the queue names.
func (m *membership) dispatch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		m.mu.Lock()
		d, until := m.queue.next(time.Now())
		if d != nil {
			d.backlog.trying++
			body := m.takeBody(d)
			m.tries.Go(func() { m.try(d, body) })
		}
		m.mu.Unlock()
		if d != nil {
			continue
		}
		var due <-chan time.Time
		if !until.IsZero() {
			timer.Reset(time.Until(until))
			due = timer.C
		}
		select {
		case <-m.changed:
		case <-due:
		case <-ctx.Done():
		}
	}
}

// try makes one try and writes down what came of it.
func (m *membership) try(d *delivery, body []byte) {
	if body == nil {
		var err error
		body, err = m.deliveryLog.body(d.backlog.ctx, d)
		m.dispatcher.metrics.reread.Inc()
		if err != nil && !errors.Is(err, errRecordGone) {
			m.postpone(d, err)
			return
		}
	}
	a := answer{reason: errRecordGone.Error(), final: true}
	began := time.Now()
	if body != nil {
		a = m.dispatcher.sender.send(d.backlog.ctx, &d.entry, body)
		m.dispatcher.metrics.try.UpdateDuration(began)
	}
	took := time.Since(began)
	if a.status == 0 && d.backlog.ctx.Err() != nil {
		m.postpone(d, d.backlog.ctx.Err()) // cut off; whoever has the partition next makes it again
		return
	}
	j := m.cfg.judge(d, a, body, time.Now())
	offset, err := m.write(d, j, body)
	if err != nil {
		m.fail(err)
		m.postpone(d, err)
		return
	}
	m.finish(d, j, took, offset)
}

// judgement is what becomes of a delivery after a try.
type judgement struct {
	next       entry // the record to write
	target     verdict
	pause      time.Duration // how long the user's others to the target wait, as it asked
	deadLetter string        // why there is a dead letter, "" for none
	tries      int
	reason     string
	// refused says that the address was.
	refused bool
}

// judge decides about a delivery after a try.
func (c *Config) judge(d *delivery, a answer, body []byte, now time.Time) judgement {
	j := judgement{tries: d.tries + 1, reason: a.reason, refused: a.refused, target: fails}
	if a.works() {
		j.target = works
	}
	if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		j.pause = a.after
	}
	due := now.Add(max(c.backoff(j.tries), a.after))
	switch {
	case a.reason == "":
		j.next = d.ended(delivered)
	case a.status == http.StatusGone:
		j.next = d.ended(gone)
	case a.final:
		j.deadLetter, j.target = a.reason, unknown
	case j.tries >= c.MaxTries:
		j.deadLetter = "given up after " + strconv.Itoa(j.tries) + " tries: " + a.reason
	case due.After(d.created.Add(c.MaxAge)):
		j.deadLetter = "given up after " + strconv.Itoa(j.tries) + " tries in " + c.MaxAge.String() + ": " + a.reason
	default:
		j.next = d.again(body, due)
	}
	if j.deadLetter != "" {
		j.next = d.ended(failed)
	}
	return j
}

// write writes down a judgement: first the dead letter, if there is one, so that
// no end is without it. It goes on while the try's partition is given up.
func (m *membership) write(d *delivery, j judgement, body []byte) (int64, error) {
	ctx := context.WithoutCancel(m.ctx)
	if j.deadLetter != "" {
		given := d.entry
		given.body = body
		if err := m.deliveryLog.writeDeadLetter(ctx, &given, m.place(d.partition, d.offset), j.deadLetter,
			j.tries); err != nil {
			return 0, err
		}
	}
	offsets, err := m.deliveryLog.write(ctx, j.next)
	if err != nil {
		return 0, err
	}
	return offsets[0], nil
}

// finish takes a judgement in once it is written.
func (m *membership) finish(d *delivery, j judgement, took time.Duration, offset int64) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	b := d.backlog
	b.took(offset)
	if j.next.outcome != "" {
		m.dispatcher.metrics.ended(d, j.next.outcome, now)
		if j.refused {
			m.dispatcher.metrics.refused.Inc()
		}
		delete(b.open, d.id)
		m.queue.remove(d)
	} else {
		m.dispatcher.metrics.retried.Inc()
		d.entry, d.offset = j.next, offset
		d.body = nil // the pause may be long
	}
	m.back(d, j, took, now)
	m.report(d, j)
}

// report logs what an operator may want to know.
func (m *membership) report(d *delivery, j judgement) {
	log := m.dispatcher.log.With("delivery", d.id, "target", targetOf(d.url), "tries", j.tries, "reason", j.reason)
	switch {
	case j.deadLetter != "":
		log.Warn("a webhook was given up and is a dead letter")
	case j.next.outcome == gone:
		log.Info("a webhook's receiver says that it is gone")
	case j.next.outcome == "":
		log.Debug("a webhook is tried again later", "due", j.next.due)
	}
}

// postpone ends a try that came to nothing: the delivery stays as it was.
func (m *membership) postpone(d *delivery, err error) {
	m.dispatcher.log.Debug("a try of a webhook came to nothing", "delivery", d.id, "error", err)
	m.mu.Lock()
	defer m.mu.Unlock()
	d.due = time.Now().Add(rereadPause)
	m.back(d, judgement{target: unknown}, 0, time.Now())
}

// back gives the slot of a try back, and the delivery to the queue if it is still
// open here. The lock is held.
func (m *membership) back(d *delivery, j judgement, took time.Duration, now time.Time) {
	b := d.backlog
	open := b.open[d.id] == d
	switch {
	case open && !b.closed:
		m.queue.wait(d)
	case open:
		m.queue.remove(d)
	}
	m.queue.done(d, j.target, j.pause, took, now)
	b.trying--
	b.settle()
	signal(m.changed)
	signal(m.room)
}
